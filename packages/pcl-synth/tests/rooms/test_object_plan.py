"""Tests of pcl_synth.rooms.object_plan."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_synth.rooms.layout import ROOM_KINDS
from pcl_synth.rooms.object_plan import planned_objects
from pcl_synth.rooms.object_shapes import OBJECTS

KINDS = [*ROOM_KINDS, *reversed(ROOM_KINDS)]


def counts(seed: int, first: int, *, flat: bool = False) -> Counter:
    """Instances of each class in fifty rooms from block `first` on."""
    found: Counter = Counter()
    for block in range(first, first + 5):
        for room in planned_objects(KINDS, block, (1, seed), flat=flat):
            found.update(row.name for row in room)
    return found


@settings(max_examples=8)
@given(st.integers(0, 2**40), st.integers(0, 200))
def test_fifty_rooms_hold_as_many_of_a_class_as_the_table_says(seed, first):
    assert counts(seed, first) == {row.name: row.count for row in OBJECTS}


@settings(max_examples=8)
@given(st.integers(0, 2**40), st.integers(0, 200))
def test_blocks_share_a_class_evenly(seed, block):
    found = Counter(
        row.name for room in planned_objects(KINDS, block, (1, seed), flat=False) for row in room
    )
    for row in OBJECTS:
        assert row.count // 5 <= found[row.name] <= -(-row.count // 5)


def test_flat_rooms_hold_four_of_a_class_or_one_a_room_that_may_have_it():
    rooms = planned_objects(KINDS, 3, (1, 0), flat=True)
    found = Counter(row.name for room in rooms for row in room)
    assert found == {row.name: min(4, 2 * len(row.kinds)) for row in OBJECTS}


def test_only_rooms_that_may_have_it_get_an_object():
    initials = {"bathroom": "w"}
    for kind, room in zip(KINDS, planned_objects(KINDS, 0, (1, 0), flat=False), strict=True):
        assert all(initials.get(kind, kind[0]) in row.kinds for row in room)
        assert len(room) > 10
    assert planned_objects(["bathroom"], 0, (1, 0), flat=False)[0]


def test_a_plan_is_that_of_its_seed_and_block():
    first = planned_objects(KINDS, 1, (1, 0), flat=False)
    assert first == planned_objects(KINDS, 1, (1, 0), flat=False)
    for other in ((2, (1, 0)), (1, (1, 1)), (1, (2, 0))):
        assert first != planned_objects(KINDS, *other, flat=False)


def test_an_object_that_no_room_may_have_is_left_out():
    bathrooms = planned_objects(["bathroom"] * 10, 0, (1, 0), flat=False)
    names = {row.name for room in bathrooms for row in room}
    assert names <= {row.name for row in OBJECTS if "w" in row.kinds}
    assert planned_objects([], 0, (1, 0), flat=False) == []


@pytest.mark.parametrize("flat", [False, True])
def test_larger_rooms_get_more(flat):
    rooms = planned_objects(KINDS, 0, (1, 0), flat=flat)
    of = {kind: len(room) for kind, room in zip(KINDS, rooms, strict=True)}
    assert of["bathroom"] == min(of.values())
