"""Rooms with many classes, most of them rare: furniture, then the objects of a table."""

import math

import numpy as np

from pcl_data.label_set import SCANNET200, Frequency, LabelSet
from pcl_synth.mesh import bounds
from pcl_synth.rooms.arrangements import Group, Item
from pcl_synth.rooms.layout import Room, add_furniture, empty_room, hang_pictures
from pcl_synth.rooms.object_shapes import OBJECTS, ObjectRow
from pcl_synth.rooms.placement import (
    BEFORE_WALL,
    NOTHING,
    Clearance,
    Corners,
    Pose,
    Supports,
    anywhere,
    at_wall,
    on_top,
)

_NAMES: dict[str | None, str | None] = {"sofa": "couch"}
SCALE = 1.2  # of the sides of a room, to those of rooms with 20 classes
TRIALS = 100  # places to try for an object
TALL = 1.1  # metres above which the camera walks around an object
HEAD, COMMON = 20, 10  # instances in fifty rooms above which a class is head, or common
# Of the furniture. That of the tail stands at most once in a room, and in rooms of one kind.
_FURNITURE: dict[Frequency, str] = {
    "head": "chair, table, cabinet, bookshelf, desk, door, window, curtain, picture",
    "common": "couch, sink, counter",
    "tail": "bed, refrigerator, toilet, bathtub, shower curtain",
}


def frequency_of(count: int) -> Frequency:
    """How common a class of `count` instances in fifty rooms is."""
    return "head" if count > HEAD else "common" if count > COMMON else "tail"


def _label_set() -> LabelSet:
    """Of SCANNET200 the classes that occur, with frequencies of these rooms."""
    frequencies: dict[str, Frequency] = {"wall": "head", "floor": "head"}
    frequencies |= {name: one for one, names in _FURNITURE.items() for name in names.split(", ")}
    frequencies |= {row.name: frequency_of(row.count) for row in OBJECTS}
    kept = [i for i, name in enumerate(SCANNET200.names) if name in frequencies]
    names = tuple(SCANNET200.names[i] for i in kept)
    assert len(names) == len(frequencies)
    raw_ids = tuple(SCANNET200.raw_ids[i] for i in kept)
    known = {*SCANNET200.raw_ids, *SCANNET200.ignored_raw_ids}
    return LabelSet(
        name="rooms-longtail",
        names=names,
        raw_ids=raw_ids,
        colors=tuple(SCANNET200.colors[i] for i in kept),
        is_stuff=tuple(SCANNET200.is_stuff[i] for i in kept),
        frequency=tuple(frequencies[name] for name in names),
        ignored_raw_ids=tuple(sorted(known - set(raw_ids))),
    )


LONG_TAIL = _label_set()


def long_tail_room(kind: str, objects: list[ObjectRow], rng: np.random.Generator) -> Room:
    """A random room of a kind with its furniture and those of the objects that find a place.

    What hangs on walls comes first, then what stands on the floor, then what stands on furniture;
    each time large before small.
    """
    room = empty_room(kind, rng, scale=SCALE)
    zones, n_shell = list(room.occupied), len(room.items)
    add_furniture(room, sparse=True)
    hang_pictures(room)
    items = [item._replace(label=_NAMES.get(item.label, item.label)) for item in room.items]
    shell, furniture = items[:n_shell], items[n_shell:]
    furniture = [item for item in furniture if item.label in LONG_TAIL.names]
    room.items = shell  # what follows holds the others
    furnishing = _Furnishing(room, zones, furniture)
    by_size = sorted(objects, key=lambda row: -math.prod(row.size))
    wishes = [(row, room.style.pick(row.places)) for row in by_size]
    wishes.sort(key=lambda wish: not wish[1].startswith("wall"))
    left = [row for row, place in wishes if not furnishing.settle(row, (place,))]
    furnishing.open_supports()
    for row in left:
        furnishing.settle(row, row.places)
    room.items = shell + furnishing.items
    return room


class _Furnishing:
    """A room that fills with objects: `items` holds them, but not its walls."""

    def __init__(self, room: Room, zones: list[Corners], items: Group) -> None:
        self.room, self.items = room, items
        self._clearance = Clearance(zones, items)
        self._supports: Supports | None = None

    def open_supports(self) -> None:
        """Let what follows stand on what is there now."""
        self._supports = Supports(list(self.items))

    def settle(self, row: ObjectRow, places: tuple[str, ...]) -> bool:
        """Put an object at one of the places; False if none of them is free."""
        shape = row.shape(self.room.style)
        box = bounds(shape)
        for _ in range(TRIALS):
            place = self.room.style.pick(places)
            pose, on = self._pose(box, place)
            if pose is None:
                continue
            corners = pose.corners(box)
            before = np.array([1, 1, 0]) * (BEFORE_WALL if place.startswith("wall") else 0.0)
            wide = np.stack([corners[0] - before, corners[1] + before])
            if self._is_inside(corners) and self._clearance.is_free(wide, on=on):
                self._add(Item(pose.moved(shape), row.name), corners)
                return True
        return False

    def _add(self, item: Item, corners: Corners) -> None:
        self._clearance.add(item.shape, len(self.items))
        self.items.append(item)
        if corners[1, 2] > TALL:
            self.room.occupied.append(corners)

    def _pose(self, box: Corners, place: str) -> tuple[Pose | None, int]:
        """A random pose at a place, and the number of what carries it."""
        word, _, foot = place.partition(":")
        if word in ("floor", "wall"):
            return at_wall(self.room, box, int(foot or 0) / 100), NOTHING
        if word in ("free", "ceiling"):
            return anywhere(self.room, box, hanging=word == "ceiling"), NOTHING
        numbers = [] if self._supports is None else self._supports.numbers(word.replace("-", " "))
        if self._supports is None or not numbers:
            return None, NOTHING
        number = self.room.style.pick(numbers)
        return on_top(self.room, box, self._supports, number), number

    def _is_inside(self, corners: Corners) -> bool:
        low, high = corners
        top = (self.room.width + 0.01, self.room.depth + 0.01, self.room.height + 0.001)
        return bool((low > (-0.01, -0.01, -0.05)).all() and (high < top).all())
