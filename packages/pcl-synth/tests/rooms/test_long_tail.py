"""Tests of pcl_synth.rooms.long_tail."""

from collections import Counter

import numpy as np
import pytest

from pcl_data.label_set import SCANNET200
from pcl_synth.mesh import bounds
from pcl_synth.rooms.dataset import LONG_TAIL_VERSION, _kind, _objects
from pcl_synth.rooms.layout import ROOM_KINDS
from pcl_synth.rooms.long_tail import LONG_TAIL, TALL, frequency_of, long_tail_room
from pcl_synth.rooms.object_plan import planned_objects
from pcl_synth.rooms.object_shapes import OBJECTS

NAMES = {row.name for row in OBJECTS}
OF = dict(zip(LONG_TAIL.names, LONG_TAIL.frequency, strict=True))


@pytest.fixture(scope="module")
def rooms():
    return [furnished(index) for index in range(10, 15)]


def furnished(index: int, seed: int = 0):
    rng = np.random.default_rng([seed, index])
    return long_tail_room(_kind(seed, index), _objects(seed, index, flat=False), rng)


def things(room) -> Counter:
    return Counter(item.label for item in room.items if item.label in LONG_TAIL.names)


def test_the_label_set_is_a_part_of_scannet200():
    assert LONG_TAIL.n_classes > 120
    for name, raw, color, is_stuff in zip(
        LONG_TAIL.names, LONG_TAIL.raw_ids, LONG_TAIL.colors, LONG_TAIL.is_stuff, strict=True
    ):
        whole = SCANNET200.names.index(name)
        assert raw == SCANNET200.raw_ids[whole]
        assert color == SCANNET200.colors[whole]
        assert is_stuff == (name in ("wall", "floor"))
    stairs = SCANNET200.raw_ids[SCANNET200.names.index("stairs")]
    assert LONG_TAIL.to_train(np.array([0, 1, 2, stairs])).tolist() == [-1, 0, 1, -1]


def test_about_a_third_of_the_classes_is_head_common_and_tail():
    shares = Counter(OF.values())
    assert all(
        0.25 < shares[one] / LONG_TAIL.n_classes < 0.42 for one in ("head", "common", "tail")
    )
    assert [frequency_of(n) for n in (1, 10, 11, 20, 21)] == [
        *("tail", "tail", "common", "common", "head")
    ]
    assert {row.name for row in OBJECTS if row.count <= 10} <= {n for n in OF if OF[n] == "tail"}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("first", [0, 10])
def test_fifty_rooms_hold_at_most_ten_of_a_tail_class(seed, first):
    planned: Counter = Counter()
    for block in range(first // 10, first // 10 + 5):
        kinds = [_kind(seed, 10 * block + k) for k in range(10)]
        for room in planned_objects(kinds, block, (LONG_TAIL_VERSION, seed), flat=False):
            planned.update(row.name for row in room)
    for name, frequency in OF.items():
        if name in NAMES:
            assert (frequency == "tail") == (planned[name] <= 10)


def test_a_room_holds_no_more_than_its_plan_and_most_of_it(rooms):
    found: Counter = Counter()
    planned: Counter = Counter()
    for index, room in zip(range(10, 15), rooms, strict=True):
        plan = Counter(row.name for row in _objects(0, index, flat=False))
        assert not Counter({n: k for n, k in things(room).items() if n in NAMES}) - plan
        found, planned = found + things(room), planned + plan
    assert sum(found[name] for name in planned) > 0.7 * planned.total()


def test_furniture_of_the_tail_stands_at_most_once_in_rooms_of_one_kind(rooms):
    """So that fifty rooms, ten of them of a kind, hold at most ten."""
    bare = [
        long_tail_room(kind, [], np.random.default_rng(seed))
        for kind in ("bedroom", "kitchen", "bathroom")
        for seed in range(4)
    ]
    kinds: dict[str, set[str]] = {}
    for room in rooms + bare:
        for name, count in things(room).items():
            if OF[name] == "tail" and name not in NAMES:
                assert count == 1
                kinds.setdefault(name, set()).add(room.kind)
    assert {len(one) for one in kinds.values()} == {1}
    assert {room.kind for room in rooms} == set(ROOM_KINDS)


def test_labels_are_of_the_label_set_or_of_no_class(rooms):
    for room in rooms:
        assert {item.label for item in room.items} <= {*LONG_TAIL.names, None}


def test_objects_are_in_the_room(rooms):
    for room in rooms:
        for item in room.items:
            if item.label in NAMES:
                low, high = bounds(item.shape)
                assert (low > -0.06).all()
                assert (high < (room.width + 0.02, room.depth + 0.02, room.height + 0.01)).all()


def test_parts_of_two_objects_do_not_meet(rooms):
    """By over a centimetre, but where one carries the other."""
    for room in rooms:
        items = [item for item in room.items if item.label in NAMES]
        parts = [np.stack([bounds([part]) for part in item.shape]) for item in items]
        for k, one in enumerate(parts):
            for other in parts[:k]:
                low, high = one[:, None].transpose(2, 0, 1, 3)
                meets = (low < other[:, 1] - 0.01) & (high > other[:, 0] + 0.01)
                carries = abs(one[..., 2].min() - other[..., 2].min()) > 0.1
                assert carries or not meets.all(axis=2).any()


def test_the_camera_knows_of_tall_objects(rooms):
    for room in rooms:
        low, high = np.array(room.occupied).transpose(1, 0, 2)
        tall = [bounds(item.shape) for item in room.items if item.label in NAMES]
        for box in tall:
            if box[1, 2] > TALL:
                assert ((low < box[0] + 1e-6) & (high > box[1] - 1e-6)).all(axis=1).any()


def test_the_same_random_numbers_give_the_same_room(rooms):
    again = furnished(10)
    assert [item.label for item in again.items] == [item.label for item in rooms[0].items]
    np.testing.assert_array_equal(
        *(bounds([p for i in room.items for p in i.shape]) for room in (again, rooms[0]))
    )


def test_a_room_without_objects_has_its_furniture():
    room = long_tail_room("bathroom", [], np.random.default_rng(0))
    assert {"toilet", "bathtub"} <= set(things(room))
    assert not NAMES & set(things(room))
