"""Tests of pcl_synth.rooms.placement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_synth.materials import Material
from pcl_synth.mesh import bounds, box, cushion
from pcl_synth.rooms.arrangements import Item
from pcl_synth.rooms.layout import Room
from pcl_synth.rooms.placement import (
    BEHIND,
    Clearance,
    Pose,
    Supports,
    anywhere,
    at_wall,
    on_top,
)
from pcl_synth.rooms.style import Style

PLAIN = Material("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1.0, 0.0)
CUBE = np.array([[-0.1, 0.0, 0.0], [0.1, 0.2, 0.2]])
TABLE = Item(
    [box((0, 2), (0, 1), (0.7, 0.75), PLAIN), box((0, 0.1), (0, 0.1), (0, 0.7), PLAIN)], "table"
)


def room(seed: int = 0) -> Room:
    return Room("office", Style(np.random.default_rng(seed)))


def corners(*ends: tuple[float, float]) -> np.ndarray:
    return np.array(ends, dtype=float).T


def test_parts_and_zones_are_taken_and_what_is_between_is_free():
    clearance = Clearance([corners((3, 4), (0, 1), (0, 2))], [TABLE])
    assert clearance.is_free(corners((0.5, 1), (0.2, 0.8), (0, 0.6)))  # under the table
    assert not clearance.is_free(corners((0.05, 1), (0.05, 0.8), (0, 0.6)))  # in its leg
    assert not clearance.is_free(corners((0.5, 1), (0.2, 0.8), (0.6, 0.9)))  # in its top
    assert clearance.is_free(corners((0.5, 1), (0.2, 0.8), (0.749, 0.9)))  # within the tolerance
    assert not clearance.is_free(corners((0.5, 1), (0.2, 0.8), (0.74, 0.9)))
    assert clearance.is_free(corners((0.5, 1), (0.2, 0.8), (0.74, 0.9)), on=0)
    assert not clearance.is_free(corners((3.5, 3.6), (0.5, 0.6), (1, 1.1)), on=0)  # in the zone
    assert Clearance([], []).is_free(CUBE)


def test_what_was_added_is_taken():
    clearance = Clearance([], [])
    clearance.add([box((0, 1), (0, 1), (0, 1), PLAIN)], 0)
    assert not clearance.is_free(CUBE + 0.2)
    assert clearance.is_free(CUBE + 1.2)


@given(st.floats(-4, 4), st.tuples(*[st.floats(-5, 5)] * 3))
def test_corners_of_a_pose_bound_the_shape_that_it_moves(yaw, offset):
    pose = Pose(yaw, np.array(offset))
    shape = [box(*map(tuple, CUBE.T.tolist()), PLAIN)]
    np.testing.assert_allclose(pose.corners(CUBE), bounds(pose.moved(shape)), atol=1e-9)


def square(x: float, y: float, half: float = 0.1) -> np.ndarray:
    return np.array([(x + a, y + b) for a in (-half, half) for b in (-half, half)])


def test_a_top_has_a_height_where_all_of_a_footprint_is_on_it():
    sink = Item([box((0.9, 1.1), (0.4, 0.6), (0.6, 0.755), PLAIN)], "sink")
    supports = Supports([TABLE, sink])
    assert supports.height(0, square(0.5, 0.5)) == pytest.approx(0.75)
    assert supports.height(0, square(1.95, 0.5)) is None  # over the edge
    assert supports.height(0, square(1.0, 0.5, half=0.05)) is None  # on the sink
    assert supports.height(0, square(5, 5)) is None


def test_a_step_is_no_top_but_on_a_bed():
    step = [box((0, 1), (0, 1), (0, 0.5), PLAIN), box((1, 2), (0, 1), (0, 0.58), PLAIN)]
    assert Supports([Item(step, "cabinet")]).height(0, square(1, 0.5)) is None
    assert Supports([Item(step, "bed")]).height(0, square(1, 0.5)) == pytest.approx(0.54)
    low = [box((0, 1), (0, 1), (0, 0.1), PLAIN)]
    assert Supports([Item(low, "cabinet")]).height(0, square(0.5, 0.5)) is None


def test_what_carries_something_is_of_its_class_and_not_too_high():
    high = Item([box((0, 1), (0, 1), (0, 2), PLAIN)], "table")
    supports = Supports([TABLE, high, Item([cushion((0, 1), (0, 1), (0, 2), PLAIN)], "bed")])
    assert supports.numbers("table") == [0]
    assert supports.numbers("bed") == [2]
    assert supports.numbers("desk") == []


def test_a_back_is_at_a_wall():
    for seed in range(20):
        one = room(seed)
        low, high = at_wall(one, CUBE, 0.9).corners(CUBE)
        walls = [low[0], low[1], one.width - high[0], one.depth - high[1]]
        assert min(walls) == pytest.approx(BEHIND)
        assert low[2] == pytest.approx(0.9)


def test_anywhere_is_in_the_room_on_the_floor_or_at_the_ceiling():
    for seed in range(20):
        one = room(seed)
        low, high = anywhere(one, CUBE).corners(CUBE)
        assert (low[:2] > 0.02).all()
        assert (high[:2] < (one.width - 0.02, one.depth - 0.02)).all()
        assert low[2] == pytest.approx(0)
        assert anywhere(one, CUBE, hanging=True).corners(CUBE)[1, 2] == pytest.approx(one.height)


def test_on_top_stands_on_the_top():
    one, supports = room(), Supports([TABLE])
    poses = [on_top(one, CUBE, supports, 0) for _ in range(60)]
    found = [pose.corners(CUBE) for pose in poses if pose is not None]
    assert 20 < len(found) < 60  # some would stand over the edge
    for low, high in found:
        assert low[2] == pytest.approx(0.75)
        assert (low[:2] > -0.05).all()
        assert (high[:2] < (2.05, 1.05)).all()
