"""Free places for the objects of long-tail rooms: at and on walls, on the floor, on furniture."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pcl_synth.mesh import Shape, bounds, moved, turned
from pcl_synth.ray_casting import cast, tracer
from pcl_synth.rooms.arrangements import Group
from pcl_synth.rooms.layout import Room, rotated

TOLERANCE = 0.004  # metres by which two boxes may meet
BEHIND = 0.006  # metres between a wall and what stands at it
BEFORE_WALL = 0.12  # metres that stay free before what hangs on a wall
NOTHING, ZONE = -2, -1  # what carries an object on the floor; owner of what must stay free
SOFT = ("bed", "couch", "chair", "armchair")
SOFT_STEP, HARD_STEP = 0.12, 0.012  # metres by which a top may rise under one object
LOWEST, HIGHEST = 0.2, 1.5  # metres, of a top that carries something
_GRID = np.stack(np.meshgrid([0.06, 0.5, 0.94], [0.06, 0.5, 0.94]), axis=-1).reshape(-1, 2)

Corners = Float[np.ndarray, "2 3"]


class Clearance:
    """Boxes that are taken: zones that must stay free, and each part of each object."""

    def __init__(self, zones: list[Corners], items: Group) -> None:
        self._boxes = np.array(zones).reshape(-1, 2, 3)
        self._owner = np.full(len(self._boxes), ZONE)
        for number, item in enumerate(items):
            self.add(item.shape, number)

    def add(self, shape: Shape, number: int) -> None:
        """Take the boxes of the parts of an object."""
        parts = np.stack([bounds([part]) for part in shape])
        self._boxes = np.concatenate([self._boxes, parts])
        self._owner = np.append(self._owner, np.full(len(parts), number))

    def is_free(self, corners: Corners, *, on: int = NOTHING) -> bool:
        """Whether a box meets none of them, but for those of the object that carries it."""
        low, high = corners
        meets = (low < self._boxes[:, 1] - TOLERANCE) & (high > self._boxes[:, 0] + TOLERANCE)
        return not (meets.all(axis=1) & (self._owner != on)).any()


class Pose(NamedTuple):
    """Where an object stands: turned by `yaw` radians about z, then shifted by `offset`."""

    yaw: float
    offset: Float[np.ndarray, " 3"]

    def corners(self, box: Corners) -> Corners:
        """Bounds of a box that is moved so."""
        ends = rotated(np.stack(np.meshgrid(*box.T), axis=-1).reshape(-1, 3), self.yaw)
        return np.stack([ends.min(axis=0), ends.max(axis=0)]) + self.offset

    def moved(self, shape: Shape) -> Shape:
        """The shape that is moved so."""
        x, y, z = self.offset.tolist()
        return moved(turned(shape, self.yaw), (x, y, z))


class Supports:
    """The furniture of a room, and where something may stand on it."""

    def __init__(self, items: Group) -> None:
        self.labels = [item.label for item in items]
        self.boxes = [bounds(item.shape) for item in items]
        triangles = [part.triangles for item in items for part in item.shape]
        counts = [sum(len(part.triangles) for part in item.shape) for item in items]
        self._owner = np.repeat(np.arange(len(items)), counts)
        self._tracer = tracer(np.concatenate(triangles).astype(np.float32))

    def numbers(self, label: str) -> list[int]:
        """Objects of a class that are low enough."""
        return [
            number
            for number, (own, box) in enumerate(zip(self.labels, self.boxes, strict=True))
            if own == label and (own in SOFT or box[1, 2] < HIGHEST)
        ]

    def height(self, number: int, footprint: Float[np.ndarray, "k 2"]) -> float | None:
        """Height of the top of an object under a footprint; None where it is not all on one top."""
        above = np.full(len(footprint), self.boxes[number][1, 2] + 0.01)
        start = np.column_stack([footprint, above]).astype(np.float32)
        hits = cast(self._tracer, start, np.tile(np.array([0, 0, -1], np.float32), (len(start), 1)))
        if (hits.face < 0).any() or (self._owner[hits.face] != number).any():
            return None
        top, is_soft = hits.points[:, 2], self.labels[number] in SOFT
        if np.ptp(top) > (SOFT_STEP if is_soft else HARD_STEP) or top.min() < LOWEST:
            return None
        return float(top.mean() if is_soft else top.max())


def at_wall(room: Room, box: Corners, z: float) -> Pose:
    """The back of a box at a random place of a random wall, its foot at `z`."""
    style, (low, high) = room.style, box
    origin, yaw, length = room.wall(style.count(0, 3))
    along = style.between(0.01, max(length - (high[0] - low[0]) - 0.01, 0.02))
    local = np.array([along - low[0], BEHIND - low[1], z - low[2]])
    return Pose(yaw, rotated(local, yaw) + np.array([*origin, 0.0]))


def anywhere(room: Room, box: Corners, *, hanging: bool = False) -> Pose:
    """A random place and angle for a box that stands on the floor or hangs from the ceiling."""
    style = room.style
    turn = Pose(style.between(-3.14, 3.14), np.zeros(3))
    low, high = turn.corners(box)
    free = np.array([room.width, room.depth]) - (high - low)[:2] - 0.06
    x, y = 0.03 + style.rng.random(2) * np.maximum(free, 0) - low[:2]
    return turn._replace(offset=np.array([x, y, room.height - high[2] if hanging else -low[2]]))


def on_top(room: Room, box: Corners, supports: Supports, number: int) -> Pose | None:
    """A random place on an object for a box; None where it would not stand.

    Its front looks to the middle of the room, about.
    """
    style, (low, high) = room.style, box
    middle = np.array(style.rng.uniform(*supports.boxes[number][:, :2]))
    x, y = np.array([room.width, room.depth]) / 2 - middle
    yaw = round(float(np.arctan2(-x, y)) / 1.5708) * 1.5708 + style.between(-0.4, 0.4)
    grid = (_GRID - 0.5) * (high - low)[:2]
    footprint = middle + rotated(np.column_stack([grid, np.zeros(len(grid))]), yaw)[:, :2]
    top = supports.height(number, footprint)
    if top is None:
        return None
    centered = np.array([*-(low + high)[:2] / 2, top - low[2]])
    return Pose(yaw, rotated(centered, yaw) + np.append(middle, 0.0))
