"""Tests of pcl_backbones.location_assignment."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones.location_assignment import assign_locations, box_levels

# Mean sizes of VoteNet's classes and the levels of TR3D's configurations, 0 for cells of 0.16 m.
SCANNET = (
    ("cabinet", (0.769667, 0.811602, 0.925737), 0),
    ("bed", (1.876858, 1.84256, 1.193157), 1),
    ("chair", (0.61328, 0.614861, 0.71827), 0),
    ("sofa", (1.395501, 1.512155, 0.834436), 1),
    ("table", (0.979496, 1.067515, 0.632969), 1),
    ("door", (0.531663, 0.595558, 1.750015), 0),
    ("window", (0.962471, 0.724623, 1.148187), 1),
    ("bookshelf", (0.832219, 1.049094, 1.687566), 1),
    ("picture", (0.211322, 0.420616, 0.537285), 0),
    ("counter", (1.444007, 1.897083, 0.269857), 1),
    ("desk", (1.029426, 1.40408, 0.875543), 1),
    ("curtain", (1.376641, 0.655218, 1.681313), 1),
    ("refrigerator", (0.665082, 0.711119, 1.298853), 0),
    ("showercurtain", (0.419992, 0.379069, 1.751397), 0),
    ("toilet", (0.593596, 0.591249, 0.73919), 0),
    ("sink", (0.508676, 0.506561, 0.301362), 0),
    ("bathtub", (1.151153, 1.05463, 0.497068), 1),
    ("garbagebin", (0.475353, 0.492495, 0.580212), 0),
)
SUN_RGBD = (
    ("bed", (2.114256, 1.620300, 0.927272), 1),
    ("table", (0.791118, 1.279516, 0.718182), 1),
    ("sofa", (0.923508, 1.867419, 0.845495), 1),
    ("chair", (0.591958, 0.552978, 0.827272), 0),
    ("toilet", (0.699104, 0.454178, 0.756250), 0),
    ("desk", (0.695190, 1.346299, 0.736364), 1),
    ("dresser", (0.528526, 1.002642, 1.172878), 0),
    ("night_stand", (0.500618, 0.632163, 0.683424), 0),
    ("bookshelf", (0.404671, 1.071108, 1.688889), 1),
    ("bathtub", (0.765840, 1.398258, 0.472728), 0),
)


def scene(seed, n_boxes=6):
    """Locations of two levels on grids, so that distances tie, and boxes; exact in binary."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for edge in (0.25, 0.5):
        cells = torch.randint(0, int(4 / edge), (150, 3), generator=generator).unique(dim=0)
        parts.append(((cells + 0.5) * edge, torch.full((len(cells),), edge)))
    locations, cell_sizes = (torch.cat(part) for part in zip(*parts, strict=True))
    center = torch.randint(0, 32, (n_boxes, 3), generator=generator) / 8
    size = torch.randint(1, 24, (n_boxes, 3), generator=generator) / 8
    heading = torch.randint(-8, 8, (n_boxes, 1), generator=generator) / 4
    return locations, cell_sizes, torch.cat([center, size, heading], dim=1)


def slow_assignment(locations, cell_sizes, boxes, n_nearest):
    edges = sorted(set(cell_sizes.tolist()))
    claims = {}  # of each location: (squared distance, box)
    for k, (x, y, z, length, width, height, heading) in enumerate(boxes.tolist()):
        edge = edges[0]
        for candidate in edges:
            if length * width * height >= 20 * candidate**3:
                edge = candidate
        found = []
        for v, (px, py, pz) in enumerate(locations.tolist()):
            dx, dy, dz = px - x, py - y, pz - z
            along = dx * math.cos(heading) + dy * math.sin(heading)
            across = dy * math.cos(heading) - dx * math.sin(heading)
            is_near = abs(along) <= length / 2 + edge and abs(across) <= width / 2 + edge
            if cell_sizes[v] == edge and is_near and abs(dz) <= height / 2 + edge:
                found.append((dx * dx + dy * dy + dz * dz, v))
        for distance, v in sorted(found)[:n_nearest]:
            claims.setdefault(v, []).append((distance, k))
    return [min(claims[v])[1] if v in claims else -1 for v in range(len(locations))]


@pytest.mark.parametrize("n_nearest", [1, 6, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_is_what_the_loop_gives(seed, n_nearest):
    arguments = scene(seed)
    expected = slow_assignment(*arguments, n_nearest)
    assert assign_locations(*arguments, n_nearest=n_nearest).tolist() == expected
    assert max(expected) >= 0


def test_levels_are_those_of_tr3d_for_all_classes_but_one():
    edges = torch.tensor([0.16, 0.32])
    for classes, other in ((SCANNET, ["bathtub"]), (SUN_RGBD, [])):
        boxes = torch.tensor([[0.0, 0, 0, *size, 0] for _, size, _ in classes])
        levels = (box_levels(boxes, edges) == edges[1]).tolist()
        differ = [row[0] for row, level in zip(classes, levels, strict=True) if level != row[2]]
        assert differ == other


def test_a_box_smaller_than_twenty_of_the_finest_cells_is_learned_there():
    tiny = torch.tensor([[0.0, 0, 0, 0.1, 0.1, 0.1, 0]])
    assert box_levels(tiny, torch.tensor([0.25, 0.5])).tolist() == [0.25]


def test_the_heading_says_which_locations_are_inside():
    locations = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    cells = torch.full((2,), 0.25)
    long = torch.tensor([[0.0, 0, 0, 2, 0.25, 1, 0]])
    turned = torch.tensor([[0.0, 0, 0, 2, 0.25, 1, math.pi / 2]])
    assert assign_locations(locations, cells, long).tolist() == [0, -1]
    assert assign_locations(locations, cells, turned).tolist() == [-1, 0]


def test_a_location_that_two_boxes_claim_goes_to_the_nearer_centre_or_the_first():
    boxes = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0], [0.5, 0, 0, 1, 1, 1, 0]])
    locations = torch.tensor([[0.125, 0, 0], [0.375, 0, 0], [0.25, 0, 0]])
    assert assign_locations(locations, torch.full((3,), 0.25), boxes).tolist() == [0, 1, 0]


@given(st.permutations(range(6)), st.integers(0, 50))
def test_the_order_of_boxes_names_them_only(order, seed):
    locations, cell_sizes, boxes = scene(seed)
    boxes[:, :3] += torch.rand(6, 3, generator=torch.Generator().manual_seed(seed))  # no ties
    found = assign_locations(locations, cell_sizes, boxes)
    permuted = assign_locations(locations, cell_sizes, boxes[list(order)])
    named = [-1 if row < 0 else order[row] for row in permuted.tolist()]
    assert named == found.tolist()


def test_a_box_without_a_location_near_it_teaches_nothing():
    far = torch.tensor([[50.0, 0, 0, 1, 1, 1, 0]])
    assert assign_locations(torch.zeros(3, 3), torch.ones(3), far).tolist() == [-1, -1, -1]


def test_no_boxes_no_locations_and_one_of_each():
    one, box = torch.zeros(1, 3), torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])
    assert assign_locations(one, torch.ones(1), box[:0]).tolist() == [-1]
    assert assign_locations(one[:0], torch.ones(0), box).tolist() == []
    assert assign_locations(one, torch.ones(1), box).tolist() == [0]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        (6, math.nan, "boxes must be finite, got nan"),
        (0, math.inf, "boxes must be finite, got inf"),
        (4, 0.0, "boxes must have sizes above 0, got 0"),
        (5, -0.5, "boxes must have sizes above 0, got -0.5"),
    ],
)
def test_boxes_that_are_none_are_refused(column, value, problem):
    boxes = torch.ones(2, 7)
    boxes[1, column] = value
    with pytest.raises(ValueError, match=problem):
        assign_locations(torch.zeros(1, 3), torch.ones(1), boxes)


def test_a_box_claims_one_location_at_least():
    with pytest.raises(ValueError, match="n_nearest must be at least 1, got 0"):
        assign_locations(torch.zeros(1, 3), torch.ones(1), torch.ones(1, 7), n_nearest=0)
