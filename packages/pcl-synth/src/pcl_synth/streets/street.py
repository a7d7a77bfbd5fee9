"""A street: triangles that stand still, things that move, and the drive through it."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64

from pcl_data.label_set import SEMANTICKITTI25
from pcl_synth.materials import Material
from pcl_synth.mesh import Shape, bounds
from pcl_synth.ray_casting import Soup
from pcl_synth.streets.ground import Ground
from pcl_synth.streets.road import Drive, Road

LABELS = SEMANTICKITTI25  # its classes tell what moves from what stands


class Item(NamedTuple):
    """A shape and the name of its class; None has none."""

    shape: Shape
    label: str | None


Group = list[Item]


class Thing(NamedTuple):
    """A countable object that stands still; `extent` bounds it in its own frame, `pose`."""

    instance: int
    label: int
    extent: Float[np.ndarray, "2 3"]
    pose: Float[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class Mover:
    """A thing that keeps its speed and its distance from the centre line.

    Args:
        moments: its shape through one cycle of its gait, each for `stride` metres.
        material: material of each triangle of each moment.
        start: metres along the road at time 0.
        speed: metres a second along the road; negative against its direction.
    """

    instance: int
    label: int
    moments: list[Float[np.ndarray, "t 3 3"]]
    material: list[Int64[np.ndarray, " t"]]
    extent: Float[np.ndarray, "2 3"]
    start: float
    d: float
    speed: float
    stride: float

    def station(self, seconds: float) -> float:
        """Metres along the road at a time."""
        return self.start + self.speed * seconds

    def moment(self, seconds: float) -> int:
        """Which of its shapes it has at a time."""
        return int(abs(self.speed) * seconds / self.stride) % len(self.moments)


@dataclass(frozen=True, eq=False)
class Street:
    """Everything that a sweep can meet.

    Args:
        road: where places on the street are in the world.
        ground: what lies on them.
        drive: of the car that carries the sensors.
        soup: the triangles that stand still, in the world.
        things: the countable objects among them.
        movers: what moves.
    """

    road: Road
    ground: Ground
    drive: Drive
    soup: Soup
    things: list[Thing]
    movers: list[Mover]

    def things_at(self, seconds: float) -> list[Thing]:
        """All countable objects where they are at a time, ascending by instance."""
        moving = [
            Thing(mover.instance, mover.label, mover.extent, self.pose_of(mover, seconds))
            for mover in self.movers
        ]
        return [*self.things, *moving]

    def pose_of(self, mover: Mover, seconds: float) -> Float[np.ndarray, "4 4"]:
        """Where a mover is at a time."""
        turn = 0.0 if mover.speed > 0 else np.pi
        s = mover.station(seconds)
        return pose(self.road, s, mover.d, turn, self.ground.lift(s, mover.d))

    def moving_soup(self, seconds: float, station: float, reach: float) -> Soup:
        """Triangles of the movers within `reach` metres along the road of a station."""
        near = [m for m in self.movers if abs(m.station(seconds) - station) < reach]
        triangles, material, label, instance = [], [], [], []
        for mover in near:
            moment, place = mover.moment(seconds), self.pose_of(mover, seconds)
            triangles.append(mover.moments[moment] @ place[:3, :3].T + place[:3, 3])
            material.append(mover.material[moment])
            label.append(np.full(len(material[-1]), mover.label))
            instance.append(np.full(len(material[-1]), mover.instance))
        nothing = np.zeros(0, np.int64)
        columns = [np.concatenate([nothing, *c]) for c in (material, label, instance)]
        stacked = np.concatenate([np.zeros((0, 3, 3)), *triangles]).astype(np.float32)
        return Soup(stacked, self.soup.materials, *columns)


class Builder:
    """Collects what stands and moves on a street."""

    def __init__(self, road: Road, ground: Ground) -> None:
        self.road, self.ground = road, ground
        self.things: list[Thing] = []
        self.movers: list[Mover] = []
        self._materials: dict[Material, int] = {}
        self._triangles: list[Float32[np.ndarray, "t 3 3"]] = []
        self._columns: list[Int64[np.ndarray, "t 3"]] = []  # material, label, instance

    def lay(self, shape: Shape, label: str) -> None:
        """Add triangles that are in the world already."""
        self._add(shape, np.eye(4), LABELS.names.index(label), -1)

    def place(self, group: Group, s: float, d: float, turn: float = 0.0) -> None:
        """Stand a group at a place, turned from the direction of the road."""
        where = pose(self.road, s, d, turn, self.ground.lift(s, d))
        for item in group:
            label = -1 if item.label is None else LABELS.names.index(item.label)
            instance = -1
            if label in LABELS.things:
                instance = len(self.things)
                self.things.append(Thing(instance, label, bounds(item.shape), where))
            self._add(item.shape, where, label, instance)

    def move(
        self,
        moments: list[Shape],
        label: str,
        s: float,
        d: float,
        speed: float,
        stride: float = 1.0,
    ) -> None:
        """Let a thing move along the road; its instance follows those that stand."""
        joined = [np.concatenate([part.triangles for part in shape]) for shape in moments]
        self.movers.append(
            Mover(
                -1,
                LABELS.names.index(f"moving-{label}"),
                joined,
                [self._material(shape) for shape in moments],
                bounds([part for shape in moments for part in shape]),
                s,
                d,
                speed,
                stride,
            )
        )

    def street(self, drive: Drive) -> Street:
        """What has been collected."""
        for part, label in self.ground.parts():
            self.lay([part], label)
        columns = np.concatenate(self._columns)
        soup = Soup(np.concatenate(self._triangles), list(self._materials), *columns.T.copy())
        first = len(self.things)
        movers = [replace(mover, instance=first + k) for k, mover in enumerate(self.movers)]
        return Street(self.road, self.ground, drive, soup, self.things, movers)

    def _add(
        self, shape: Shape, where: Float[np.ndarray, "4 4"], label: int, instance: int
    ) -> None:
        triangles = np.concatenate([part.triangles for part in shape])
        world = triangles @ where[:3, :3].T + where[:3, 3]
        self._triangles.append(world.astype(np.float32))
        material = self._material(shape)
        columns = (material, np.full_like(material, label), np.full_like(material, instance))
        self._columns.append(np.stack(columns, axis=1))

    def _material(self, shape: Shape) -> Int64[np.ndarray, " t"]:
        numbers = [self._materials.setdefault(p.material, len(self._materials)) for p in shape]
        return np.repeat(np.array(numbers, np.int64), [len(part.triangles) for part in shape])


def pose(road: Road, s: float, d: float, turn: float, lift: float) -> Float[np.ndarray, "4 4"]:
    """An upright pose at a place, its x axis turned from the direction of the road."""
    yaw = float(road.yaw(s)) + turn
    where = np.eye(4)
    where[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    where[:3, 3] = road.points(s, d, lift)
    return where
