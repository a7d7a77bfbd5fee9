"""Boxes, lathed bodies, rods, sheets and terraces: the bricks of all shapes.

Lengths are metres, z is up. An object stands on z = 0, its back at y = 0, its front towards +y,
centred on x = 0. A shape is a list of parts.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from pcl_synth.materials import Material

Range = tuple[float | int, float | int]
Vector = tuple[float | int, float | int, float | int]
Ends = tuple[Range, Range]  # of x and y


class Part(NamedTuple):
    """Triangles of one material."""

    triangles: Float[np.ndarray, "t 3 3"]
    material: Material


Shape = list[Part]

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
_AROUND = ((0, 0), (1, 0), (1, 1), (0, 1))
_BOX_CORNERS = "013 032 467 475 045 051 237 276 026 064 157 173"
_BOX_FACES = np.array([list(map(int, face)) for face in _BOX_CORNERS.split()])


def box(x: Range, y: Range, z: Range, material: Material) -> Part:
    """An axis-aligned box between two ends on each axis."""
    low, high = np.array([x, y, z], dtype=float).T
    return Part((low + _CORNERS * (high - low))[_BOX_FACES], material)


def surface(vertices: Float[np.ndarray, "r s 3"], material: Material) -> Part:
    """Two triangles for each cell of a grid of vertices."""
    a, b = vertices[:-1, :-1], vertices[1:, :-1]
    c, d = vertices[1:, 1:], vertices[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)])
    return Part(triangles.reshape(-1, 3, 3), material)


def lathe(
    profile: list[Range],
    material: Material,
    *,
    center: Range = (0.0, 0.0),
    stretch: Range = (1.0, 1.0),
    squareness: float = 1.0,
    n_sides: int = 16,
) -> Part:
    """A profile of (radius, height) turned about a vertical axis.

    `stretch` scales x and y; a `squareness` below 1 bends the circle towards a square.
    """
    angle = np.linspace(0, 2 * np.pi, n_sides + 1)
    circle = np.stack([_power(np.cos(angle), squareness), _power(np.sin(angle), squareness)], 1)
    radius, height = np.array(profile, dtype=float).T
    vertices = np.empty((len(radius), n_sides + 1, 3))
    vertices[..., :2] = radius[:, None, None] * circle * stretch + center
    vertices[..., 2] = height[:, None]
    return surface(vertices, material)


def cylinder(
    center: Range, radius: float, z: Range, material: Material, *, n_sides: int = 16
) -> Part:
    """A closed vertical cylinder."""
    profile = [(0.0, z[0]), (radius, z[0]), (radius, z[1]), (0.0, z[1])]
    return lathe(profile, material, center=center, n_sides=n_sides)


def cushion(x: Range, y: Range, z: Range, material: Material, *, squareness: float = 0.35) -> Part:
    """A superellipsoid that fills the box: a ball at squareness 1, nearly a box at 0.2."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    radius = _power(np.cos(angle), squareness)
    height = (z[0] + z[1]) / 2 + (z[1] - z[0]) / 2 * _power(np.sin(angle), squareness)
    return lathe(
        list(zip(radius.tolist(), height.tolist(), strict=True)),
        material,
        center=((x[0] + x[1]) / 2, (y[0] + y[1]) / 2),
        stretch=((x[1] - x[0]) / 2, (y[1] - y[0]) / 2),
        squareness=squareness,
    )


def rod(start: Vector, end: Vector, radius: float, material: Material, *, n_sides: int = 8) -> Part:
    """An open round bar between two points."""
    a, b = np.array(start), np.array(end)
    axis = (b - a) / np.linalg.norm(b - a)
    side = _cross(axis, np.eye(3)[0 if abs(axis[0]) < 0.7 else 1])
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * np.pi, n_sides + 1)[:, None]
    ring = radius * (np.cos(angle) * side + np.sin(angle) * _cross(axis, side))
    return surface(np.stack([a + ring, b + ring]), material)


def sheet(
    x: Range, z: Range, material: Material, *, y: float, amplitude: float, n_folds: float
) -> Part:
    """A hanging cloth whose folds of `amplitude` widen towards the hem."""
    u, v = np.linspace(0, 1, int(8 * n_folds) + 2), np.linspace(0, 1, 5)[:, None]
    wave = amplitude * np.sin(2 * np.pi * n_folds * u + 1.5 * v) * (1.2 - 0.5 * v)
    vertices = np.empty((len(v), len(u), 3))
    vertices[..., 0] = x[0] + (x[1] - x[0]) * u + 0.3 * wave
    vertices[..., 1] = y + wave
    vertices[..., 2] = z[0] + (z[1] - z[0]) * v
    return surface(vertices, material)


def frustum(low: Ends, high: Ends, z: Range, material: Material) -> list[Part]:
    """A closed box whose (x, y) ends differ at the bottom and the top: four sides, then the top."""
    corners = np.empty((2, 4, 3))
    for level, ((x0, x1), (y0, y1)) in enumerate((low, high)):
        corners[level, :, :2] = (x0, y0), (x1, y0), (x1, y1), (x0, y1)
        corners[level, :, 2] = z[level]
    ring = np.concatenate([corners, corners[:, :1]], axis=1)
    top = surface(corners[1][[[0, 1], [3, 2]]], material)
    bottom = surface(corners[0][[[0, 1], [3, 2]]], material)
    return [*(surface(ring[:, i : i + 2], material) for i in range(4)), top, bottom]


def terraces(
    vertices: Float[np.ndarray, "r s 3"], lift: Float[np.ndarray, "rows columns 3"]
) -> tuple[Float[np.ndarray, "t 3 3"], Int64[np.ndarray, " t"]]:
    """Cells between the vertices of a grid, each shifted by its lift, with risers between them.

    Returns:
        The triangles, and the flat number of the cell that each belongs to; a riser belongs to the
        cell of the longer lift.
    """
    number = np.arange(lift.shape[0] * lift.shape[1]).reshape(lift.shape[:2])
    corners = [vertices[i : i + len(lift), j : j + lift.shape[1]] for i, j in _AROUND]
    quads = [np.stack([corner + lift for corner in corners], axis=2).reshape(-1, 4, 3)]
    owners = [number.ravel()]
    length = np.linalg.norm(lift, axis=2)
    for axis in (0, 1):
        one, two = (slice(None, -1), slice(1, None))
        first, second = ((one,), (two,)) if axis == 0 else ((slice(None), one), (slice(None), two))
        differs = (lift[first] != lift[second]).any(axis=2)
        edge = vertices[1:-1] if axis == 0 else vertices[:, 1:-1]
        a, b = (edge[:, :-1], edge[:, 1:]) if axis == 0 else (edge[:-1], edge[1:])
        quad = np.stack([a + lift[first], b + lift[first], b + lift[second], a + lift[second]], 2)
        quads.append(quad[differs])
        owner = np.where(length[first] > length[second], number[first], number[second])
        owners.append(owner[differs])
    quad, owner = np.concatenate(quads), np.concatenate(owners)
    triangles = quad[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    return triangles, np.repeat(owner, 2)


def moved(shape: Shape, offset: Vector) -> Shape:
    """The shape shifted by `offset`."""
    return [Part(part.triangles + np.array(offset), part.material) for part in shape]


def turned(
    shape: Shape,
    angle: float,
    *,
    axis: Literal["x", "z"] = "z",
    pivot: Vector = (0.0, 0.0, 0.0),
) -> Shape:
    """The shape rotated by `angle` radians about an axis through `pivot`."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    if axis == "x":
        rotation = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
    center = np.array(pivot)
    return [Part((part.triangles - center) @ rotation.T + center, part.material) for part in shape]


def bounds(shape: Shape) -> Float[np.ndarray, "2 3"]:
    """Lowest and highest corner of a shape."""
    vertices = np.concatenate([part.triangles.reshape(-1, 3) for part in shape])
    return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


def _cross(a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """`np.cross` of two vectors, in a tenth of the time."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _power(base: Float[np.ndarray, "..."], exponent: float) -> Float[np.ndarray, "..."]:
    return np.sign(base) * np.abs(base) ** exponent
