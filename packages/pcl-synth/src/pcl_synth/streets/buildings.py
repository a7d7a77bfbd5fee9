"""Houses, blocks, halls and garages.

A building stands with its front at y = 0 towards -y, the street, and reaches to +y; x is centred.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Part,
    Range,
    Shape,
    box,
    cylinder,
    frustum,
    moved,
    rod,
    surface,
    terraces,
    turned,
)
from pcl_synth.streets.style import StreetStyle

_CELLAR = -1.5  # metres below the ground, so that slopes leave no gap


def town_house(style: StreetStyle, width: float, depth: float) -> Shape:
    """A house of a closed row: shops or flats below, two to five floors."""
    floors, storey = style.count(2, 5), style.between(2.8, 3.5)
    shape = _block(style, width, depth, floors, storey, shop=style.chance(0.4))
    if style.chance(0.5):
        shape += _balconies(style, width, floors, storey)
    if style.chance(0.3):
        shape += _bay(style, width, floors, storey)
    roof = style.pick((_gable, _flat, _gable))
    return shape + roof(style, width, depth, floors * storey)


def cottage(style: StreetStyle, width: float, depth: float) -> Shape:
    """A detached house of one or two floors with a porch and a chimney."""
    floors, storey = style.count(1, 2), style.between(2.6, 3.0)
    shape = _block(style, width, depth, floors, storey, shop=False)
    roof = style.pick((_gable, _hip, _cross_gable))
    shape += roof(style, width, depth, floors * storey)
    if style.chance(0.6):
        shape += _porch(style)
    if style.chance(0.3):
        shape += _balconies(style, width, floors, storey)
    return shape


def hall(style: StreetStyle, width: float, depth: float) -> Shape:
    """A shop, factory or office block."""
    if style.chance(0.4):
        floors = style.count(3, 7)
        shape = _block(style, width, depth, floors, 3.4, shop=True)
        return shape + _flat(style, width, depth, floors * 3.4)
    shape = _block(style, width, depth, 1, style.between(4.0, 7.5), shop=True)
    height = max(part.triangles[..., 2].max() for part in shape)
    canopy = box((-width / 3, width / 3), (-2.0, 0), (3.0, 3.3), style.lacquer())
    return [*shape, canopy, *_flat(style, width, depth, float(height))]


def garage(style: StreetStyle, width: float) -> Shape:
    """A flat box with a gate."""
    wall, gate, half = style.facade(), style.lacquer(), width / 2
    height = style.between(2.3, 2.8)
    return [
        box((-half, half), (0, 5.5), (_CELLAR, height), wall),
        box((-half - 0.1, half + 0.1), (-0.15, 5.6), (height, height + 0.12), style.concrete()),
        box((0.3 - half, half - 0.3), (-0.03, 0), (0, 2.1), gate),
    ]


def _block(
    style: StreetStyle, width: float, depth: float, floors: int, storey: float, *, shop: bool
) -> Shape:
    """Four walls with windows."""
    wall, glass, height = style.facade(), style.glass(), floors * storey
    window = (style.between(0.8, 1.5), style.between(1.1, 1.7))
    bay = window[0] + style.between(0.7, 1.9)
    frame = style.material("plain", (0.85, 0.85, 0.83), 0.0, 0.02, 1.0)

    def side(length: float, *, is_front: bool = False) -> Shape:
        return _facade(
            style,
            length,
            height,
            (floors, storey, bay),
            window,
            (wall, glass, frame),
            shop=shop and is_front,
            door=is_front,
        )

    front = side(width, is_front=True)
    back = moved(turned(side(width), np.pi), (0, depth, 0))
    left = moved(turned(side(depth), -np.pi / 2), (-width / 2, depth / 2, 0))
    right = moved(turned(side(depth), np.pi / 2), (width / 2, depth / 2, 0))
    plinth = box(
        (-width / 2 - 0.04, width / 2 + 0.04),
        (-0.04, depth + 0.04),
        (_CELLAR, 0.4),
        style.concrete(),
    )
    return [*front, *back, *left, *right, plinth]


def _facade(
    style: StreetStyle,
    length: float,
    height: float,
    grid: tuple[int, float, float],
    window: tuple[float, float],
    materials: tuple[Material, Material, Material],
    *,
    shop: bool,
    door: bool,
) -> Shape:
    """A wall at y = 0 that looks to -y, with panes set back, a door and shop windows."""
    floors, storey, bay = grid
    wall, glass, frame = materials
    n = max(1, int((length - 0.8) / bay))
    centers = (np.arange(n) - (n - 1) / 2) * (length - 0.6) / n
    half = min(window[0], 0.75 * length / n) / 2
    x = np.concatenate(
        [[-length / 2], np.stack([centers - half, centers + half], 1).ravel(), [length / 2]]
    )
    sill = 0.9 if storey < 4 else storey - window[1] - 0.6
    bottoms = np.arange(floors) * storey + sill
    tops = np.minimum(bottoms + window[1], np.arange(1, floors + 1) * storey - 0.25)
    if shop:
        bottoms[0], tops[0] = 0.5, min(2.6, storey - 0.3)
    z = np.concatenate([[_CELLAR], np.stack([bottoms, tops], 1).ravel(), [height]])
    is_pane = np.zeros((len(x) - 1, len(z) - 1), dtype=bool)
    is_pane[1::2, 1::2] = style.rng.random((n, floors)) < 0.93
    entrance = 1 + 2 * style.count(0, n - 1)
    if door:
        is_pane[entrance, 1] = False
    depth = style.between(0.08, 0.25)
    vertices = np.zeros((len(x), len(z), 3))
    vertices[..., 0], vertices[..., 1], vertices[..., 2] = x[:, None], depth, z[None]
    lift = np.zeros((*is_pane.shape, 3))
    lift[~is_pane, 1] = -depth
    triangles, cell = terraces(vertices, lift)
    pane = is_pane.ravel()[cell]
    shape = [Part(triangles[~pane], wall)]
    if pane.any():
        shape += [Part(triangles[pane], glass), *_bars(x, z, is_pane, depth, frame)]
    if door:
        a, b = float(x[entrance]) - 0.05, float(x[entrance + 1]) + 0.05
        shape.append(box((a, b), (-0.04, 0.02), (0, 2.1), style.wood()))
        shape.append(box((a - 0.2, b + 0.2), (-0.5, 0), (-0.5, 0.15), style.concrete()))
    return shape


def _bars(
    x: Float[np.ndarray, " r"],
    z: Float[np.ndarray, " s"],
    is_pane: Bool[np.ndarray, "columns rows"],
    depth: float,
    frame: Material,
) -> list[Part]:
    """An upright bar and a sill in each window."""
    columns, rows = np.nonzero(is_pane)
    left, right, low, high = x[columns], x[columns + 1], z[rows], z[rows + 1]
    middle = (left + right) / 2
    return [
        _panels(middle - 0.03, middle + 0.03, low, high, depth - 0.03, frame),
        _panels(left - 0.05, right + 0.05, low - 0.06, low, -0.06, frame),
    ]


def _panels(
    left: Float[np.ndarray, " k"],
    right: Float[np.ndarray, " k"],
    low: Float[np.ndarray, " k"],
    high: Float[np.ndarray, " k"],
    y: float,
    material: Material,
) -> Part:
    """Upright rectangles at one y."""
    quad = np.full((len(left), 4, 3), y)
    quad[..., 0] = np.stack([left, right, right, left], axis=1)
    quad[..., 2] = np.stack([low, low, high, high], axis=1)
    return Part(quad[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3), material)


def _gable(style: StreetStyle, width: float, depth: float, z: float) -> Shape:
    """A ridge along the street, with eaves, perhaps dormers and a chimney."""
    rise, eaves, tiles = depth / 2 * style.between(0.5, 1.0), style.between(0.2, 0.5), style.roof()
    half = width / 2 + 0.15
    slope = rise / (depth / 2)
    line = [(-eaves, z - eaves * slope), (depth / 2, z + rise), (depth + eaves, z - eaves * slope)]
    shape = [_prism(line, (-half, half), tiles), *_gable_ends(style, width, depth, z, rise)]
    if style.chance(0.4):
        for x in np.arange(3 - width / 2, width / 2 - 2, style.between(3, 5)):
            low, high = z + 0.2 * rise, z + 0.2 * rise + 1.5
            y = 0.1 * depth
            shape.append(box((x - 0.7, x + 0.7), (y, depth / 2), (low - 0.5, high), style.facade()))
            shape.append(
                box((x - 0.5, x + 0.5), (y - 0.02, y), (low + 0.2, high - 0.2), style.glass())
            )
    return shape + _chimney(style, width, depth, z + rise)


def _cross_gable(style: StreetStyle, width: float, depth: float, z: float) -> Shape:
    """A ridge away from the street."""
    turned_roof = turned(_gable(style, depth, width, z), np.pi / 2)
    return moved(turned_roof, (width / 2, depth / 2, 0))


def _hip(style: StreetStyle, width: float, depth: float, z: float) -> Shape:
    """Slopes on all four sides."""
    eaves, rise, inset = 0.4, style.between(1.5, 3.0), min(width, depth) / 2 - 0.1
    low = ((-width / 2 - eaves, width / 2 + eaves), (-eaves, depth + eaves))
    high = ((inset - width / 2, width / 2 - inset), (inset, depth - inset))
    shape = frustum(low, high, (z, z + rise), style.roof())
    return shape + _chimney(style, width, depth, z + rise)


def _flat(style: StreetStyle, width: float, depth: float, z: float) -> Shape:
    """A parapet, and machines behind it."""
    half, stone = width / 2 + 0.1, style.concrete()
    shape: Shape = [
        box((-half, half), (-0.1, depth + 0.1), (z, z + style.between(0.2, 0.7)), stone)
    ]
    for _ in range(style.count(0, 3)):
        x, y = style.between(-half + 2, half - 2), style.between(0.3 * depth, 0.8 * depth)
        shape.append(box((x - 1, x + 1), (y - 1, y + 1), (z, z + style.between(1, 2.5)), stone))
    return shape


def _prism(line: list[Range], x: Range, material: Material) -> Part:
    """A sheet along x over a line of (y, z)."""
    vertices = np.empty((2, len(line), 3))
    vertices[..., 0] = np.array(x)[:, None]
    vertices[..., 1:] = np.array(line)
    return surface(vertices, material)


def _gable_ends(
    style: StreetStyle, width: float, depth: float, z: float, rise: float
) -> list[Part]:
    wall, ends = style.facade(), []
    for x in (-width / 2, width / 2):
        corner = [[x, 0, z], [x, depth, z], [x, depth / 2, z + rise]]
        ends.append(Part(np.array([corner], dtype=float), wall))
    return ends


def _chimney(style: StreetStyle, width: float, depth: float, top: float) -> Shape:
    if style.chance(0.4):
        return []
    x, y = style.between(-0.35, 0.35) * width, style.between(0.4, 0.6) * depth
    brick = style.facade()
    return [box((x - 0.3, x + 0.3), (y - 0.3, y + 0.3), (top - 1.2, top + 0.6), brick)]


def _balconies(style: StreetStyle, width: float, floors: int, storey: float) -> Shape:
    """Slabs with railings in a column of the front."""
    stone, metal, shape = style.concrete(), style.metal(), []
    x, half, reach = style.between(-0.25, 0.25) * width, style.between(1.0, 1.8), 1.1
    for floor in range(1, floors):
        z = floor * storey
        shape.append(box((x - half, x + half), (-reach, 0), (z - 0.15, z), stone))
        rail = [(x - half, 0), (x - half, -reach), (x + half, -reach), (x + half, 0)]
        for (x0, y0), (x1, y1) in pairwise(rail):
            for level in (0.5, 1.0):
                shape.append(rod((x0, y0, z + level), (x1, y1, z + level), 0.025, metal, n_sides=4))
        for p in np.linspace(x - half, x + half, 9):
            shape.append(rod((p, -reach, z), (p, -reach, z + 1), 0.015, metal, n_sides=4))
    return shape


def _bay(style: StreetStyle, width: float, floors: int, storey: float) -> Shape:
    """A bay that stands out over the upper floors."""
    wall, glass = style.facade(), style.glass()
    x, half, top = style.between(-0.3, 0.3) * width, 1.2, floors * storey
    shape = [box((x - half, x + half), (-0.8, 0), (storey, top - 0.4), wall)]
    for floor in range(1, floors):
        z = floor * storey
        shape.append(box((x - 0.9, x + 0.9), (-0.82, -0.8), (z + 0.9, z + 2.2), glass))
    return shape


def _porch(style: StreetStyle) -> Shape:
    """A small roof on two posts before the door."""
    x, wood = style.between(-2, 2), style.wood()
    shape: Shape = [cylinder((x + side, -1.3), 0.08, (-0.3, 2.4), wood) for side in (-0.9, 0.9)]
    return [
        *shape,
        *frustum(
            ((x - 1.2, x + 1.2), (-1.6, 0)), ((x - 1, x + 1), (-0.2, 0)), (2.4, 3.0), style.roof()
        ),
    ]
