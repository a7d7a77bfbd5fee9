"""Furnishes a room: what belongs in each kind of room, and where it finds a place."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from pcl_synth.materials import Material
from pcl_synth.mesh import bounds, box, moved, turned
from pcl_synth.rooms import arrangements as groups
from pcl_synth.rooms import shell
from pcl_synth.rooms.arrangements import Group, Item
from pcl_synth.rooms.props import floor_prop
from pcl_synth.rooms.seating import chair
from pcl_synth.rooms.storage import (
    bookshelf,
    cabinet,
    other_furniture,
    refrigerator,
)
from pcl_synth.rooms.style import Style
from pcl_synth.rooms.tables import table

ROOM_KINDS = ("bedroom", "office", "living", "kitchen", "bathroom")
TRIALS = 12  # other objects to try where one does not fit
Make = Callable[[Style], Group]
_CHAIR = groups.single(chair, "chair")
_OTHER = groups.single(other_furniture, "otherfurniture")
_SHELF = groups.single(bookshelf, "bookshelf")
_TABLE = groups.single(table, "table")
_FRIDGE = groups.single(refrigerator, "refrigerator")
_CABINET = groups.single(cabinet, "cabinet")
# What stands at a wall: group, fewest, most.
_AT_WALL: dict[str, list[tuple[Make, int, int]]] = {
    "bedroom": [
        (groups.bed_group, 1, 2),
        (groups.storage_row, 1, 2),
        (groups.desk_group, 0, 1),
        (_CHAIR, 1, 2),
        (_SHELF, 0, 2),
        (_OTHER, 0, 2),
        (groups.sofa_group, 0, 1),
    ],
    "office": [
        (groups.desk_group, 2, 3),
        (groups.storage_row, 1, 3),
        (groups.chair_row, 1, 2),
        (_OTHER, 1, 2),
        (_SHELF, 0, 2),
        (_FRIDGE, 0, 1),
        (groups.counter_group, 0, 1),
        (_TABLE, 0, 1),
        (_CHAIR, 0, 2),
    ],
    "living": [
        (groups.sofa_group, 2, 3),
        (groups.television_group, 0, 1),
        (groups.storage_row, 1, 2),
        (_SHELF, 1, 2),
        (_CHAIR, 1, 3),
        (groups.desk_group, 0, 1),
        (_OTHER, 0, 2),
        (groups.chair_row, 0, 1),
    ],
    "kitchen": [
        (groups.kitchen_line, 1, 2),
        (_FRIDGE, 0, 1),
        (groups.counter_group, 0, 1),
        (_TABLE, 0, 1),
        (_OTHER, 0, 2),
        (_CABINET, 1, 2),
        (_CHAIR, 1, 2),
        (groups.chair_row, 0, 1),
    ],
    "bathroom": [
        (groups.bath_group, 1, 1),
        (groups.vanity_group, 1, 2),
        (groups.toilet_group, 1, 1),
        (groups.shower_group, 0, 1),
        (_CABINET, 1, 2),
        (_OTHER, 0, 2),
    ],
}
# What stands free.
_FREE: dict[str, list[tuple[Make, int, int]]] = {
    "bedroom": [(_CHAIR, 0, 1), (groups.desk_group, 0, 1)],
    "office": [(groups.dining_group, 0, 1), (_CHAIR, 1, 2), (groups.desk_group, 1, 1)],
    "living": [(groups.dining_group, 1, 1), (groups.sofa_group, 0, 1), (_CHAIR, 1, 2)],
    "kitchen": [(groups.dining_group, 1, 1), (_CHAIR, 0, 2)],
    "bathroom": [],
}
_SIZE = {
    "bedroom": (2.7, 4.0),
    "office": (2.9, 4.4),
    "living": (3.2, 4.6),
    "kitchen": (2.7, 4.2),
    "bathroom": (2.1, 3.2),
}  # metres


class Room:
    """Objects in a box of `width` x `depth` x `height` metres with a corner at the origin."""

    def __init__(self, kind: str, style: Style, *, scale: float = 1.0) -> None:
        low, high = (scale * side for side in _SIZE[kind])
        self.kind, self.style = kind, style
        self.width, self.depth = style.between(low, high), style.between(low, high)
        self.height = style.between(2.3, 2.9)
        self.items: Group = []
        self.occupied: list[Float[np.ndarray, "2 3"]] = []

    def fits(self, low: Float[np.ndarray, " 3"], high: Float[np.ndarray, " 3"]) -> bool:
        """Whether a box lies inside the room and meets nothing by more than a centimetre."""
        if (low[:2] < -0.02).any() or high[0] > self.width + 0.02 or high[1] > self.depth + 0.02:
            return False
        taken = np.array(self.occupied).reshape(-1, 2, 3)
        meets = (low < taken[:, 1] - 0.01) & (high > taken[:, 0] + 0.01)
        return not meets.all(axis=1).any()

    def at_wall(self, group: Group, *, z: float = 0.0, gap: float = 0.0) -> bool:
        """Put a group at a place along the walls, often a corner; False if none is free."""
        style = self.style
        box_of_group = bounds([part for item in group for part in item.shape])
        low, high = box_of_group
        for _ in range(25):
            origin, yaw, length = self.wall(style.count(0, 3))
            corner = np.array([*origin, 0.0])
            free = length - (high[0] - low[0])
            if free < 0.02:
                continue
            ends, between = (0.01, free - 0.01), style.between(0.01, free - 0.01)
            along = style.pick(ends) if style.chance(0.35) else between
            local = np.array([along - low[0], gap + 0.003 - low[1], z])
            if self._place(group, rotated(local, yaw) + corner, yaw, rotated(box_of_group, yaw)):
                return True
        return False

    def free(self, group: Group) -> bool:
        """Put a group at a free place away from the walls, at any angle; False if none is found."""
        style = self.style
        for _ in range(4):
            yaw = style.between(-3.1, 3.1)
            if style.chance(0.5):
                yaw = round(yaw / 1.5708) * 1.5708 + style.between(-0.1, 0.1)
            low, high = bounds(turned([part for item in group for part in item.shape], yaw))
            room_left = np.array([self.width, self.depth]) - (high - low)[:2] - 0.1
            if (room_left < 0).any():
                continue
            for _ in range(8):
                corner = 0.05 + style.rng.uniform(0, room_left)
                offset = np.array([*(corner - low[:2]), 0.0])
                if self._place(group, offset, yaw, np.stack([low, high])):
                    return True
        return False

    def _place(
        self,
        group: Group,
        offset: Float[np.ndarray, " 3"],
        yaw: float,
        corners: Float[np.ndarray, "2 3"],
    ) -> bool:
        """Put a group there if nothing stands there yet; `corners` bound the turned group."""
        low, high = corners.min(axis=0) + offset, corners.max(axis=0) + offset
        if not self.fits(low, high):
            return False
        self.occupied.append(np.stack([low, high]))
        x, y, z = offset.tolist()
        self.items += [
            Item(moved(turned(item.shape, yaw), (x, y, z)), item.label) for item in group
        ]
        return True

    def wall(self, number: int) -> tuple[Float[np.ndarray, " 2"], float, float]:
        """Origin, yaw and length of a wall; its local x runs along it and its local y inwards."""
        corners = np.array([[0, 0], [self.width, 0], [self.width, self.depth], [0, self.depth]])
        return corners[number], number * np.pi / 2, (self.width, self.depth)[number % 2]


def furnished_room(kind: str, rng: np.random.Generator) -> Room:
    """A random room of a kind, with everything in it."""
    room = empty_room(kind, rng)
    add_furniture(room)
    hang_pictures(room)
    style, wet = room.style, kind == "bathroom"
    if style.chance(0.6):
        room.at_wall(shell.board_or_mirror(style), z=style.between(1.3, 1.6))
    for _ in range(style.count(0, 3 if wet else 6)):
        room.free([Item(floor_prop(style), None)])
    return room


def empty_room(kind: str, rng: np.random.Generator, *, scale: float = 1.0) -> Room:
    """A random room of a kind with its floor, walls, doors, windows and curtains.

    Args:
        kind: one of `ROOM_KINDS`.
        rng: of all that is random in the room.
        scale: of its width and depth.
    """
    style = Style(rng)
    room = Room(kind, style, scale=scale)
    wet = kind == "bathroom"
    room.items += shell.floor_and_ceiling(style, room.width, room.depth, room.height, wet=wet)
    if not wet and style.chance(0.3):
        _corner_pillar(room)
    _raise_walls(room, wet=wet)
    return room


def add_furniture(room: Room, *, sparse: bool = False) -> None:
    """Put what belongs in this kind of room at the walls, then what stands free.

    Args:
        room: without furniture.
        sparse: one less of each than drawn, where that is allowed, and none without a class.
    """
    style = room.style
    for make, fewest, most in _AT_WALL[room.kind]:
        if make is _OTHER and sparse:
            continue
        for _ in range(max(fewest, style.count(fewest, most) - sparse)):
            gap = style.pick((0.0, 0.0, 0.02, 0.06))
            for _ in range(TRIALS):
                if room.at_wall(make(style), gap=gap):
                    break
    for make, fewest, most in _FREE[room.kind]:
        for _ in range(max(fewest, style.count(fewest, most) - sparse)):
            any(room.free(make(style)) for _ in range(TRIALS))


def hang_pictures(room: Room) -> None:
    """Put some pictures on the walls."""
    for _ in range(room.style.count(1, 4)):
        room.at_wall(shell.picture(room.style), z=room.style.between(1.3, 1.8))


def _raise_walls(room: Room, *, wet: bool) -> None:
    style = room.style
    paint = (
        style.tiles()
        if wet and style.chance(0.7)
        else style.paint()._replace(first=style.color(0.25, 0.55, 0.95))
    )
    paint = paint._replace(gloss=0.0)
    openings = [style.pick(("door", "window", "blank", "door+window")) for _ in range(4)]
    if not any("door" in o for o in openings):
        openings[style.count(0, 3)] = "door"
    if not wet and not any("window" in o for o in openings):
        openings[style.count(0, 3)] = "window"
    doors = 0
    for number, opening in enumerate(openings):
        if "door" in opening:
            doors += 1
        if doors > 2:
            opening = opening.replace("door", "blank")
        _raise_wall(room, number, opening, paint)


def _raise_wall(room: Room, number: int, opening: str, paint: Material) -> None:
    """One wall with a door and a window where they fit; keeps the way to them free."""
    style, (origin, yaw, length) = room.style, room.wall(number)
    holes: list[shell.Hole] = []
    group: Group = []
    if "door" in opening:
        w = style.between(0.75, 0.95)
        x = style.between(0.12, length / 2 - w) if length > 2 * w + 0.3 else 0.12
        hole = ((x, x + w), (0.0, style.between(1.98, 2.12)))
        if _keep_free(room, number, (x - 0.08, x + w + 0.08), (0.0, 0.75), (0, 2.15)):
            holes.append(hole)
            group += shell.door(style, hole)
    if "window" in opening and length > 2.0:
        w = min(style.between(0.6, 1.9), length / 2 - 0.35)
        x = style.between(length / 2 + 0.05, length - w - 0.25)
        hole = ((x, x + w), (style.between(0.75, 1.2), style.between(1.8, 2.2)))
        if _keep_free(room, number, (x - 0.25, x + w + 0.25), (0.0, 0.1), hole[1]):
            holes.append(hole)
            group += shell.window(style, hole)
            if style.chance(0.65):
                drapes = shell.curtains(style, hole)
                group += drapes
                hem = bounds([part for item in drapes for part in item.shape])[0, 2]
                _keep_free(room, number, (x - 0.25, x + w + 0.25), (0.0, 0.12), (hem, 2.3))
    group.append(Item(shell.wall(length, room.height, holes, style, paint), "wall"))
    offset = (float(origin[0]), float(origin[1]), 0.0)
    room.items += [Item(moved(turned(item.shape, yaw), offset), item.label) for item in group]


def _keep_free(room: Room, number: int, x: shell.Range, y: shell.Range, z: shell.Range) -> bool:
    """Occupy a box given in the frame of a wall; False if something stands there."""
    origin, yaw, _ = room.wall(number)
    block = box(x, y, z, Material("plain", (0, 0, 0), (0, 0, 0), 1.0, 0.0))
    low, high = bounds(moved(turned([block], yaw), (float(origin[0]), float(origin[1]), 0.0)))
    if not room.fits(low + 0.001, high - 0.001):
        return False
    room.occupied.append(np.stack([low, high]))
    return True


def _corner_pillar(room: Room) -> None:
    """A pillar or shaft that makes the room L-shaped."""
    style = room.style
    w, d = style.between(0.25, 1.0), style.between(0.25, 0.8)
    x = style.pick(((0.0, w), (room.width - w, room.width)))
    y = style.pick(((0.0, d), (room.depth - d, room.depth)))
    pillar = box(x, y, (0.0, room.height), style.paint()._replace(gloss=0.0))
    room.items.append(Item([pillar], "wall"))
    room.occupied.append(bounds([pillar]))


def rotated(vectors: Float[np.ndarray, "*k 3"], yaw: float) -> Float[np.ndarray, "*k 3"]:
    """The vectors turned by `yaw` radians about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return vectors @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
