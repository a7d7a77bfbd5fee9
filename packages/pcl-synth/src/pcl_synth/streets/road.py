"""The centre line of a road over gentle hills, and the drive of a car along it.

A place on a street is (s, d): metres along the centre line and metres to the left of it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pcl_synth.materials import Draw

LENGTH = 380.0  # metres
START = 90.0  # metres along the road where the drive begins
DURATION = 20.0  # seconds
_STEP = 0.25  # metres between the entries of the table
_BEYOND = 220.0  # metres that the centre line goes on at both ends, for traffic
Number = Float[np.ndarray, "..."] | float | int


@dataclass(frozen=True, eq=False)
class Road:
    """A centre line as a table of position and direction, and hills as a sum of waves.

    Args:
        line: x, y and yaw of the centre line every quarter of a metre.
        waves: amplitude (metres), wave number (1/metres) and phase of each wave of the height.
        tilt: how much the ground rises beyond 8 m from the centre, by side (left, right).
    """

    line: Float[np.ndarray, "k 3"]
    waves: Float[np.ndarray, "w 3"]
    tilt: tuple[float, float]

    def yaw(self, s: Number) -> Number:
        """Direction of the road, radians."""
        return np.asarray(np.interp(s, self._stations, self.line[:, 2]), float)

    def height(self, s: Number, d: Number) -> Number:
        """Height of the ground before kerbs and bumps."""
        amplitude, number, phase = self.waves.T
        hills = (amplitude * np.sin(number * np.asarray(s)[..., None] + phase)).sum(axis=-1)
        side = np.where(np.asarray(d) > 0, *self.tilt)
        return hills + side * np.maximum(np.abs(d) - 8, 0) - 0.015 * np.minimum(np.abs(d), 6)

    def points(self, s: Number, d: Number, lift: Number = 0.0) -> Float[np.ndarray, "... 3"]:
        """World coordinates of places on the street, `lift` above the ground."""
        s, d = np.broadcast_arrays(s, d)
        x, y = (np.interp(s, self._stations, self.line[:, i]) for i in (0, 1))
        yaw, z = self.yaw(s), self.height(s, d)
        return np.stack([x - d * np.sin(yaw), y + d * np.cos(yaw), z + lift], axis=-1)

    @property
    def _stations(self) -> Float[np.ndarray, " k"]:
        return np.arange(len(self.line)) * _STEP - _BEYOND


@dataclass(frozen=True, eq=False)
class Drive:
    """A car that keeps to a lane.

    Args:
        road: the road it drives on.
        lane: metres to the left of the centre line.
        speed: metres a second.
        phase: of the slow changes of its speed and of its place in the lane.
    """

    road: Road
    lane: float
    speed: float
    phase: float

    def stations(self, seconds: Number) -> Number:
        """Number along the road at times."""
        change = np.sin(0.6 * seconds + self.phase) - np.sin(self.phase)
        return START + self.speed * seconds + 1.2 * change

    def poses(self, seconds: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k 4 4"]:
        """Poses of the car (x ahead, y left, z up; origin on the ground) at times.

        It follows the road and leans with the ground under it.
        """
        s, d = self.stations(seconds), self.lane + 0.12 * np.sin(0.4 * seconds + 2 * self.phase)
        ahead = self.road.points(s + 1.4, d) - self.road.points(s - 1.4, d)
        across = self.road.points(s, d + 0.8) - self.road.points(s, d - 0.8)
        up = np.cross(ahead, across)
        left = np.cross(up, ahead)
        pose = np.zeros((len(seconds), 4, 4))
        for column, axis in enumerate((ahead, left, up)):
            pose[:, :3, column] = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        pose[:, :3, 3] = self.road.points(s, d)
        pose[:, 3, 3] = 1
        return pose


def random_drive(draw: Draw) -> Drive:
    """A drive in the right lane, 2.8 to 3.4 m wide, of a random road."""
    road = _random_road(draw)
    return Drive(road, -draw.between(1.4, 1.7), draw.between(6.0, 10.0), draw.between(0, 6))


def _random_road(draw: Draw) -> Road:
    """A straight or winding road, level or hilly."""
    stations = np.arange(-_BEYOND, LENGTH + _BEYOND + _STEP, _STEP)
    bend = draw.pick((0.0, 0.002, 0.006, 0.009))  # 1/metres
    number = 2 * np.pi / draw.between(150, 320)
    curvature = bend * np.sin(number * stations + draw.between(0, 6))
    yaw = draw.between(-np.pi, np.pi) + np.cumsum(curvature) * _STEP
    x, y = np.cumsum(np.cos(yaw)) * _STEP, np.cumsum(np.sin(yaw)) * _STEP
    waves = [
        (draw.between(0.0, 1.2), 2 * np.pi / draw.between(140, 300), draw.between(0, 6)),
        (draw.between(0.0, 0.2), 2 * np.pi / draw.between(40, 80), draw.between(0, 6)),
    ]
    tilt = (draw.between(-0.02, 0.06), draw.between(-0.02, 0.06))
    return Road(np.stack([x, y, yaw], axis=1), np.array(waves), tilt)
