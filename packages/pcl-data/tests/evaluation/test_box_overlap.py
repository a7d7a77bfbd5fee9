"""Tests of pcl_data.evaluation.box_overlap."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import box_iou, suppress_boxes
from pcl_data.evaluation.box_overlap import CHUNK

places = st.floats(-2, 2)
sizes = st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0])
# Quarter turns and nearly quarter turns are where edges fall on edges.
turns = st.one_of(
    st.floats(-7, 7),
    st.integers(-4, 4).map(lambda k: k * math.pi / 2),
    st.integers(-4, 4).map(lambda k: k * math.pi / 2 + 1e-9),
)
boxes = st.tuples(places, places, places, sizes, sizes, sizes, turns)
lists = st.lists(boxes, max_size=4).map(lambda rows: np.array(rows, np.float64).reshape(-1, 7))


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    place, size = rng.uniform(-1.5, 1.5, (count, 3)), rng.uniform(0.2, 3, (count, 3))
    return np.hstack([place, size, rng.uniform(-7, 7, (count, 1))])


def corners(box: np.ndarray) -> np.ndarray:
    """Corners from above, counter-clockwise."""
    cos, sin = math.cos(box[6]), math.sin(box[6])
    return (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * box[3:5] / 2) @ np.array(
        [[cos, sin], [-sin, cos]]
    ) + box[:2]


def pairs(polygon: list) -> zip:
    return zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)


def clipped_area(polygon: list, clip: np.ndarray) -> float:
    """Area that a convex polygon shares with another: cut by one edge after the other."""
    for start, end in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        edge = end - start
        kept = []
        for p, q in pairs(polygon):
            left, right = (edge[0] * (r - start)[1] - edge[1] * (r - start)[0] for r in (p, q))
            if left >= 0:
                kept.append(p)
            if (left > 0 > right) or (left < 0 < right):
                kept.append(p + (q - p) * left / (left - right))
        polygon = kept
    return (
        sum(
            p[0] * q[1] - p[1] * q[0]
            for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=False)
        )
        / 2
    )


def slow_iou(box: np.ndarray, other: np.ndarray) -> float:
    """VoteNet's: area of the clipped polygon times the height shared, over the union."""
    top = min(box[2] + box[5] / 2, other[2] + other[5] / 2)
    bottom = max(box[2] - box[5] / 2, other[2] - other[5] / 2)
    shared = clipped_area(list(corners(box)), corners(other)) * max(0, top - bottom)
    return shared / (math.prod(box[3:6]) + math.prod(other[3:6]) - shared)


@given(lists, lists)
def test_equals_the_clipped_polygons(left, right):
    expected = [[slow_iou(a, b) for b in right] for a in left]
    # clipping adds rounding of a few units in the last place of coordinates up to 4
    np.testing.assert_allclose(
        box_iou(left, right), np.reshape(expected, (len(left), len(right))), rtol=0, atol=1e-12
    )


def test_equals_shapely():
    shapely = pytest.importorskip("shapely", reason="compares areas with shapely")
    left, right = random_boxes(0, 30), random_boxes(1, 30)
    right[:10] = left[:10] + np.array([0, 0, 0, 0, 0, 0, np.pi / 2])
    area = shapely.area(
        shapely.intersection(
            *np.meshgrid(*[[shapely.Polygon(corners(b)) for b in x] for x in (left, right)])
        )
    ).T
    top = np.minimum.outer(left[:, 2] + left[:, 5] / 2, right[:, 2] + right[:, 5] / 2)
    bottom = np.maximum.outer(left[:, 2] - left[:, 5] / 2, right[:, 2] - right[:, 5] / 2)
    shared = area * (top - bottom).clip(0)
    volume = np.add.outer(left[:, 3:6].prod(axis=1), right[:, 3:6].prod(axis=1))
    iou = box_iou(left, right)
    assert (iou > 0).mean() > 0.3
    np.testing.assert_allclose(iou, shared / (volume - shared), rtol=0, atol=1e-12)


def test_agrees_with_random_points():
    left, right = random_boxes(2, 4), random_boxes(3, 4)
    points = np.random.default_rng(4).uniform(-4, 4, (400_000, 3))

    def inside(box: np.ndarray) -> np.ndarray:
        cos, sin = math.cos(box[6]), math.sin(box[6])
        place = (points - box[:3]) @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        return (np.abs(place) <= box[3:6] / 2).all(axis=1)

    a, b = (np.array([inside(box) for box in x], np.float64) for x in (left, right))
    shared = a @ b.T
    expected = shared / (a.sum(axis=1)[:, None] + b.sum(axis=1) - shared)
    # some thousand points a box: a standard error of about 0.01
    np.testing.assert_allclose(box_iou(left, right), expected, rtol=0, atol=0.04)


@given(lists, lists)
def test_boxes_along_the_axes_have_the_closed_form(left, right):
    left[:, 6] = right[:, 6] = 0
    low = np.maximum(left[:, None, :3] - left[:, None, 3:6] / 2, right[:, :3] - right[:, 3:6] / 2)
    high = np.minimum(left[:, None, :3] + left[:, None, 3:6] / 2, right[:, :3] + right[:, 3:6] / 2)
    shared = (high - low).clip(0).prod(axis=2)
    volume = left[:, None, 3:6].prod(axis=2) + right[:, 3:6].prod(axis=1)
    np.testing.assert_allclose(box_iou(left, right), shared / (volume - shared), rtol=0, atol=1e-12)


@given(lists, lists)
def test_is_symmetric_and_a_fraction(left, right):
    iou = box_iou(left, right)
    assert ((iou >= 0) & (iou <= 1)).all()
    np.testing.assert_allclose(iou, box_iou(right, left).T, rtol=0, atol=1e-12)


@given(lists, lists, turns, places, places)
def test_turning_and_moving_the_world_changes_nothing(left, right, turn, x, y):
    cos, sin = math.cos(turn), math.sin(turn)

    def moved(rows: np.ndarray) -> np.ndarray:
        rows = rows.copy()
        rows[:, :2] = rows[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
        rows[:, 6] += turn
        return rows

    np.testing.assert_allclose(
        box_iou(moved(left), moved(right)), box_iou(left, right), rtol=0, atol=1e-11
    )


@given(lists, st.integers(-3, 3))
def test_a_box_is_itself_however_its_heading_is_written(rows, quarters):
    same = rows.copy()
    same[:, 6] += quarters * math.pi / 2
    if quarters % 2:
        same[:, [3, 4]] = same[:, [4, 3]]
    np.testing.assert_allclose(np.diag(box_iou(rows, same)), 1, rtol=0, atol=1e-12)


def test_rounding_lifts_no_fraction_above_one():
    rows = random_boxes(8, 300)
    turned = rows[:, [0, 1, 2, 4, 3, 5, 6]]
    turned[:, 6] += math.pi / 2
    assert np.diag(box_iou(rows, turned)).max() == 1


def test_hand_values():
    cube = np.array([[0.0, 0, 0, 2, 2, 2, 0]])
    # turned by an eighth, a square of side 2 and itself share an octagon of area 8 (sqrt 2 - 1)
    eighth = 8 * (math.sqrt(2) - 1)
    moves = [
        [1, 0, 0, 0, 0, 0, 0],  # half shared: 4 / 12
        [0, 0, 1.5, 0, 0, 0, 0],  # a quarter shared: 2 / 14
        [1, 1, 1, 0, 0, 0, 0],  # an eighth shared: 1 / 15
        [2, 0, 0, 0, 0, 0, 0],  # they touch
        [0, 0, 2, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, math.pi / 4],
    ]
    expected = [1 / 3, 1 / 7, 1 / 15, 0, 0, 2 * eighth / (16 - 2 * eighth)]
    np.testing.assert_allclose(
        box_iou(cube, cube + np.array(moves))[0], expected, rtol=0, atol=1e-12
    )


def test_heading_turns_counter_clockwise():
    plank = np.array([[0.0, 0, 0, 4, 0.2, 1, math.pi / 4]])
    at_upper_right = np.array([[1.0, 1, 0, 0.1, 0.1, 1, 0]])
    assert box_iou(plank, at_upper_right)[0, 0] > 0
    assert box_iou(plank, at_upper_right * [1, -1, 1, 1, 1, 1, 1])[0, 0] == 0


@pytest.mark.filterwarnings("error")
def test_boxes_without_a_volume_share_nothing():
    flat = np.array([[0.0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0.3], [0, 0, 0, 1, 0, 1, 0.3]])
    assert (box_iou(flat, flat) == 0).all()
    assert box_iou(flat, np.array([[0.0, 0, 0, 2, 2, 2, 0.5]])).tolist() == [[0]] * 3


def test_single_precision_and_further_columns_are_fine():
    rows = random_boxes(5, 3).astype(np.float32)
    with_class = np.hstack([rows, np.full((3, 1), 7, np.float32)])
    np.testing.assert_array_equal(box_iou(with_class, rows), box_iou(rows, rows))
    assert box_iou(rows, rows).dtype == np.float64


def test_many_boxes_are_worked_through_in_parts():
    few, many = random_boxes(6, 9), random_boxes(7, CHUNK // 2)
    iou = box_iou(few, many)
    assert np.count_nonzero(iou) > CHUNK
    np.testing.assert_array_equal(iou[:, -5:], box_iou(few, many[-5:]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 6)), r"boxes must have shape \(k, 7\) or more columns, got \(2, 6\)"),
        (np.zeros(7), r"boxes must have shape \(k, 7\) or more columns, got \(7,\)"),
        (np.full((1, 7), np.nan), "boxes must be finite, got nan"),
        (np.full((1, 7), -1.0), "boxes must have sizes of at least 0, got -1.0"),
    ],
)
def test_rejects(rows, message):
    good = np.ones((1, 7))  # unwrapped: without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(box_iou)(rows, good)
    with pytest.raises(ValueError, match=message.replace("boxes", "others", 1)):
        inspect.unwrap(box_iou)(good, rows)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(suppress_boxes)(rows, np.ones(len(rows)))


# Non-maximum suppression


def slow_suppression(rows: np.ndarray, scores: list[float], max_iou: float) -> list[int]:
    """One box after the other, with corners from their definition."""
    low, high = (
        np.array([[*f(corners(b), axis=0), b[2] + s * b[5] / 2] for b in rows]).reshape(-1, 3)
        for f, s in ((np.min, -1), (np.max, 1))
    )
    kept = []
    for i in sorted(range(len(rows)), key=lambda i: -scores[i]):
        clashes = False
        for j in kept:
            shared = (np.minimum(high[i], high[j]) - np.maximum(low[i], low[j])).clip(0).prod()
            union = (high[i] - low[i]).prod() + (high[j] - low[j]).prod() - shared
            same_class = rows.shape[1] == 7 or rows[i, 7] == rows[j, 7]
            clashes |= bool(same_class and shared / union > max_iou)
        if not clashes:
            kept.append(i)
    return kept


@given(
    st.lists(st.tuples(boxes, st.integers(0, 2), st.integers(0, 3)), max_size=8),
    st.booleans(),
    st.sampled_from([0.11, 0.26, 0.61]),  # no fraction that boxes of these sizes meet exactly
)
def test_suppression_matches_the_slow_loop(rows, with_class, max_iou):
    table = np.array([(*box, label) for box, label, _ in rows], np.float64).reshape(-1, 8)
    table = table if with_class else table[:, :7]
    scores = np.array([score for *_, score in rows], np.float64)
    kept = suppress_boxes(table, scores, max_iou=max_iou)
    assert kept.tolist() == slow_suppression(table, scores.tolist(), max_iou)


def test_suppression_looks_at_the_boxes_around():
    # two crossing planks share little; the boxes around them are the same
    planks = np.array([[0, 0, 0, 4, 0.1, 1, 0.7], [0, 0, 0, 4, 0.1, 1, -0.7]])
    assert box_iou(planks, planks)[0, 1] < 0.1
    assert suppress_boxes(planks, np.array([0.5, 0.6]), max_iou=0.99).tolist() == [1]


def test_a_suppressed_box_suppresses_none():
    row = np.array([[x, 0, 0, 1, 1, 1, 0] for x in (0, 0.5, 1.0)])
    assert suppress_boxes(row, np.array([0.9, 0.8, 0.7])).tolist() == [0, 2]


def test_suppression_needs_a_finite_score_a_box():
    with pytest.raises(ValueError, match=r"scores must have shape \(2,\), got \(3,\)"):
        inspect.unwrap(suppress_boxes)(np.ones((2, 7)), np.ones(3))
    with pytest.raises(ValueError, match="scores must be finite, got nan"):
        suppress_boxes(np.ones((1, 7)), np.array([np.nan]))
