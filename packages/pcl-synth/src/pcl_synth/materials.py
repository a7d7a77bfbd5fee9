"""Materials, their textures as functions of position, and random draws of both worlds."""

import colorsys
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int

Color = tuple[float | int, float | int, float | int]
T = TypeVar("T")


class Material(NamedTuple):
    """A pattern that mixes two colours; `gloss` is the share of its depth that a camera misses."""

    pattern: str
    first: Color
    second: Color
    scale: float | int  # metres
    phase: float | int
    gloss: float | int = 0.0


Coordinates = Float[np.ndarray, " n"]


def texture(
    materials: Sequence[Material],
    index: Int[np.ndarray, " n"],
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 3"]:
    """Albedo in [0, 1] of points on surfaces, each with the material of its index.

    Patterns live on the two coordinates across the axis nearest to the normal.
    """
    axis = np.abs(normals).argmax(axis=1)
    scale = np.array([m.scale for m in materials], dtype=np.float32)[index]
    phase = np.array([m.phase for m in materials], dtype=np.float32)[index]
    u = np.where(axis == 0, points[:, 1], points[:, 0]) / scale + phase
    v = np.where(axis == 2, points[:, 1], points[:, 2]) / scale + phase
    patterns = np.array([list(_PATTERNS).index(m.pattern) for m in materials])[index]
    mix = np.zeros((len(index), 3), dtype=np.float32)
    for number, pattern in enumerate(_PATTERNS.values()):
        rows = np.flatnonzero(patterns == number)
        mix[rows] = pattern(u[rows], v[rows], phase[rows])
    first = np.array([m.first for m in materials], dtype=np.float32)[index]
    second = np.array([m.second for m in materials], dtype=np.float32)[index]
    return np.clip(first + (second - first) * mix, 0, 1)


def _plain(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    return 0.5 + 0.25 * (np.sin(2.1 * u + np.sin(1.7 * v)) * np.sin(1.3 * v + phase))[:, None]


def _wood(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    rings = 25 * v + 1.5 * np.sin(1.3 * u + phase) + 0.7 * np.sin(3.7 * u + 2.1 * v)
    return (0.5 + 0.35 * np.sin(rings) + 0.15 * np.sin(3.1 * rings))[:, None]


def _planks(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    row = np.floor(4 * v)
    tone = np.modf(np.abs(np.sin(12.9 * row + 78.2 * np.floor(u + 0.37 * row)) * 43.7))[0]
    joint = np.mod(4 * v, 1) < 0.05
    return np.where(joint, 1.0, 0.7 * tone + 0.2 * np.sin(40 * v + 2 * np.sin(3 * u)))[:, None]


def _tiles(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    joint = (np.mod(u, 1) < 0.05) | (np.mod(v, 1) < 0.05)
    tone = 0.25 * np.sin(31.7 * np.floor(u) + 17.3 * np.floor(v) + phase)
    return np.where(joint, 1.0, 0.25 + tone)[:, None]


def _stripes(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    return (0.5 + 0.5 * np.tanh(4 * np.sin(6.3 * u)))[:, None]


def _checks(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    return (0.25 * (2 + np.sign(np.sin(6.3 * u)) + np.sign(np.sin(6.3 * v))))[:, None]


def _blotches(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    wave = np.sin(3 * u + 2 * np.sin(2.3 * v + phase)) + np.sin(4.1 * v + 2 * np.sin(1.9 * u))
    return (0.5 + 0.25 * wave)[:, None]


def _painting(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 3"]:
    shift = np.array([0.0, 1.9, 4.1], dtype=np.float32) + phase[:, None]
    wave = np.sin(5 * u[:, None] + shift + 2 * np.sin(4 * v[:, None] + shift))
    return 0.5 + 0.5 * wave * np.sin(3 * v[:, None] + 1.7 * shift)


def _bricks(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    row = np.floor(3 * v)
    along = u + 0.5 * np.mod(row, 2)
    joint = (np.mod(3 * v, 1) < 0.15) | (np.mod(along, 1) < 0.06)
    return np.where(joint, 1.0, 0.6 * _noise(np.floor(along), row))[:, None]


def _grain(u: Coordinates, v: Coordinates, phase: Coordinates) -> Float[np.ndarray, "n 1"]:
    fine, coarse = _noise(np.floor(u), np.floor(v)), np.sin(0.05 * u + 2 * np.sin(0.031 * v))
    return (0.6 * fine + 0.2 + 0.2 * coarse)[:, None]


def _noise(a: Coordinates, b: Coordinates) -> Coordinates:
    """A number in [0, 1) for each pair of whole numbers."""
    return np.modf(np.abs(np.sin(12.9 * a + 78.2 * b)) * 437.6)[0]


_PATTERNS = {
    "plain": _plain,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "stripes": _stripes,
    "checks": _checks,
    "blotches": _blotches,
    "painting": _painting,
    "bricks": _bricks,
    "grain": _grain,
}


class Draw:
    """Random numbers of one world, and colours and materials made of them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float | int, high: float | int) -> float:
        """A uniform number."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """An integer from low to high, both possible."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def color(self, saturation: float, darkest: float, brightest: float | int) -> Color:
        """A random hue, up to a saturation, between two values."""
        hue, value = self.between(0, 1), self.between(darkest, brightest)
        return colorsys.hsv_to_rgb(hue, self.between(0, saturation), value)

    def material(
        self, pattern: str, color: Color, contrast: float, gloss: float | int, scale: float
    ) -> Material:
        """A colour whose pattern is lighter by `contrast`, a share of it; phase at random."""
        red, green, blue = (float(np.clip(c * (1 + contrast), 0, 1)) for c in color)
        return Material(pattern, color, (red, green, blue), scale, self.between(0, 6), gloss)
