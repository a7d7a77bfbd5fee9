"""A spinning LiDAR on the roof of a driving car.

64 beams are laid out as in the Velodyne HDL-64E (user's manual: 32 beams a third of a degree apart
from +2 degrees down, 32 half a degree apart below), 32 as in the HDL-32E (4/3 degrees apart from
+10.67 degrees down). It spins clockwise, ten times a second, and looks ahead at the time of the
sweep. The car drives on during the turn: each pulse leaves from where the scanner is at its time,
and its point is given in the frame of the scanner at the time of the sweep. What moves stands still
for that tenth of a second.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from pcl_synth.materials import texture
from pcl_synth.ray_casting import Hits, Soup, cast, tracer
from pcl_synth.streets.road import Drive
from pcl_synth.streets.street import Street

PERIOD = 0.1  # seconds of a turn
RANGE = (1.2, 90.0)  # metres
NOISE = 0.02  # metres, standard deviation of a range
POWER = (
    240_000.0  # square metres: a pulse returns with the chance 1 - exp(-power * share / range^2)
)
ELEVATIONS = {  # degrees, from the highest beam down
    64: np.concatenate([2 - np.arange(32) / 3, -8.83 - np.arange(32) / 2]),
    32: 10.67 - np.arange(32) * 4 / 3,
}
AZIMUTHS = {64: 2000, 32: 1090}  # pulses of a beam in a turn
MOUNT = np.array([[1, 0, 0, 0.3], [0, 1, 0, 0.0], [0, 0, 1, 1.73], [0, 0, 0, 1]])  # sensor to car


class Sweep(NamedTuple):
    """The returns of one turn, by beam and then by time; what they hit, by triangle."""

    points: Float32[np.ndarray, "n 3"]
    intensity: Float32[np.ndarray, " n"]
    times: Float32[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    instances: Int64[np.ndarray, " n"]


class Stage:
    """A street at one time, ready for rays: what stands still and what moves.

    Args:
        street: the street.
        still: tracer of its soup.
        seconds: the time.
    """

    def __init__(self, street: Street, still: Any, seconds: float) -> None:
        station = float(street.drive.stations(seconds))
        moving = street.moving_soup(seconds, station, RANGE[1] + 20)
        self.soups: list[tuple[Soup, Any]] = [(street.soup, still)]
        if len(moving.triangles):
            self.soups.append((moving, tracer(moving.triangles)))

    def cast(
        self, origins: Float32[np.ndarray, "p 3"], directions: Float32[np.ndarray, "p 3"]
    ) -> "Surface":
        """The nearest surface on each ray."""
        hits, columns = self._one(0, origins, directions)
        for number in range(1, len(self.soups)):
            others, other_columns = self._one(number, origins, directions)
            nearer = (others.face >= 0) & ((hits.face < 0) | (others.depth < hits.depth))
            for mine, theirs in zip((*hits, *columns), (*others, *other_columns), strict=True):
                mine[nearer] = theirs[nearer]
        return Surface(*hits, *columns)

    def _one(
        self,
        number: int,
        origins: Float32[np.ndarray, "p 3"],
        directions: Float32[np.ndarray, "p 3"],
    ) -> tuple[Hits, tuple[Int64[np.ndarray, " p"], ...]]:
        soup, tracer = self.soups[number]
        hits = cast(tracer, origins, directions)
        return hits, tuple(c[hits.face] for c in (soup.material, soup.label, soup.instance))


class Surface(NamedTuple):
    """`Hits` and what was hit; the last three mean nothing where `face` is -1."""

    face: Int64[np.ndarray, " p"]
    depth: Float32[np.ndarray, " p"]
    points: Float32[np.ndarray, "p 3"]
    normals: Float32[np.ndarray, "p 3"]
    cosine: Float32[np.ndarray, " p"]
    material: Int64[np.ndarray, " p"]
    label: Int64[np.ndarray, " p"]
    instance: Int64[np.ndarray, " p"]


def sensor_poses(drive: Drive, seconds: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k 4 4"]:
    """Poses of the scanner (x ahead, y left, z up) in the world at times."""
    return drive.poses(seconds) @ MOUNT


def pulses(beams: int) -> tuple[Float[np.ndarray, "b a 3"], Float[np.ndarray, " a"]]:
    """Directions of the pulses of a turn in the frame of the scanner, and seconds of its columns.

    The first column looks back, at minus half a period; the middle one ahead, at 0.
    """
    seconds = (np.arange(AZIMUTHS[beams]) / AZIMUTHS[beams] - 0.5) * PERIOD
    yaw, pitch = -2 * np.pi * seconds / PERIOD, np.radians(ELEVATIONS[beams])[:, None]
    x, y = np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw)
    return np.stack([x, y, np.broadcast_to(np.sin(pitch), x.shape)], axis=-1), seconds


def scan(
    street: Street, stage: Stage, seconds: float, beams: int, rng: np.random.Generator
) -> Sweep:
    """The sweep of a time."""
    local, columns = pulses(beams)
    poses = sensor_poses(street.drive, seconds + columns)
    directions = np.einsum("aij,baj->bai", poses[:, :3, :3], local).reshape(-1, 3)
    origins = np.broadcast_to(poses[:, :3, 3], (*local.shape[:2], 3)).reshape(-1, 3)
    surface = stage.cast(origins.astype(np.float32), directions.astype(np.float32))
    share = _reflected(street, surface)
    gloss = np.array([m.gloss for m in street.soup.materials], np.float32)[surface.material]
    kept = _returns(surface, share, gloss, rng)
    ranges = surface.depth[kept] + NOISE * rng.standard_normal(len(kept))
    world = origins[kept] + ranges[:, None] * directions[kept]
    (reference,) = sensor_poses(street.drive, np.array([seconds]))
    return Sweep(
        ((world - reference[:3, 3]) @ reference[:3, :3]).astype(np.float32),
        np.clip(share[kept] + 0.03 * rng.standard_normal(len(kept)), 0, 1).astype(np.float32),
        columns[kept % len(columns)].astype(np.float32),
        surface.label[kept],
        surface.instance[kept],
    )


def beams_of(
    points: Float32[np.ndarray, "n 3"],
    times: Float32[np.ndarray, " n"],
    drive: Drive,
    seconds: float,
    beams: int,
) -> Int64[np.ndarray, " n"]:
    """Number of the beam that measured each point of a sweep, 0 the highest."""
    (reference,) = sensor_poses(drive, np.array([seconds]))
    moments, moment = np.unique(times.astype(np.float64), return_inverse=True)
    poses = sensor_poses(drive, seconds + moments)[moment]
    world = points.astype(np.float64) @ reference[:3, :3].T + reference[:3, 3]
    local = np.einsum("nji,nj->ni", poses[:, :3, :3], world - poses[:, :3, 3])
    elevation = np.degrees(np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1])))
    between = (ELEVATIONS[beams][1:] + ELEVATIONS[beams][:-1]) / 2
    return np.searchsorted(-between, -elevation)


def _reflected(street: Street, surface: Surface) -> Float32[np.ndarray, " p"]:
    """Share of a pulse that a surface sends back: its brightness and how it is turned."""
    hit = np.flatnonzero(surface.face >= 0)
    share = np.zeros(len(surface.face), np.float32)
    albedo = texture(
        street.soup.materials, surface.material[hit], surface.points[hit], surface.normals[hit]
    )
    share[hit] = albedo.mean(axis=1) * surface.cosine[hit] ** 0.5
    return share


def _returns(
    surface: Surface,
    share: Float32[np.ndarray, " p"],
    gloss: Float32[np.ndarray, " p"],
    rng: np.random.Generator,
) -> Int64[np.ndarray, " n"]:
    """Rows of the pulses that come back.

    Some are mirrored away; of the rest one is heard with a chance that falls with the square of the
    range and with the angle of incidence.
    """
    depth = np.maximum(surface.depth, RANGE[0])
    heard = 1 - np.exp(-POWER * (share + 0.02) * surface.cosine / depth**2)
    chance = 0.995 * (1 - gloss) * heard
    in_range = (surface.face >= 0) & (surface.depth > RANGE[0]) & (surface.depth < RANGE[1])
    came: Bool[np.ndarray, " p"] = rng.random(len(chance), dtype=np.float32) < chance
    return np.flatnonzero(in_range & came)
