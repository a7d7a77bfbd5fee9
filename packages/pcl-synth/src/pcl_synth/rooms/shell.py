"""The room itself: floor, ceiling, walls with holes, doors, windows, curtains and pictures."""

from itertools import pairwise

import numpy as np

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Part,
    Range,
    Shape,
    box,
    moved,
    rod,
    sheet,
    turned,
)
from pcl_synth.rooms.arrangements import Group, Item
from pcl_synth.rooms.style import Style

Hole = tuple[Range, Range]


def floor_and_ceiling(
    style: Style, width: float, depth: float, height: float, *, wet: bool
) -> Group:
    """Floor, perhaps with a rug, and the ceiling, which has no class."""
    covering = (
        style.tiles() if wet or style.chance(0.25) else style.pick((style.planks, style.fabric))()
    )
    group = [Item([_plane((0, width), (0, depth), 0.0, covering)], "floor")]
    if not wet and style.chance(0.4):
        w, d = width * style.between(0.25, 0.4), depth * style.between(0.25, 0.4)
        rug = turned(
            [box((-w / 1, w / 1), (-d / 1, d / 1), (0, 0.012), style.fabric())],
            style.between(-0.3, 0.3),
        )
        group.append(Item(moved(rug, (width / 2, depth / 2, 0)), "floor"))
    paint = style.paint()._replace(first=(0.85, 0.84, 0.82), second=(0.92, 0.91, 0.9))
    return [*group, Item([_plane((0, width), (0, depth), height, paint)], None)]


def wall(length: float, height: float, holes: list[Hole], style: Style, paint: Material) -> Shape:
    """A wall in the plane y = 0 with rectangular holes, reveals and a baseboard."""
    xs = sorted({0.0, length, *(v for hole in holes for v in hole[0])})
    zs = sorted({0.0, height, *(v for hole in holes for v in hole[1])})
    shape: Shape = []
    for x in pairwise(xs):
        for z in pairwise(zs):
            inside = [h for h in holes if h[0][0] <= x[0] < h[0][1] and h[1][0] <= z[0] < h[1][1]]
            if not inside:
                shape.append(box(x, (-0.02, 0.0), z, paint))
                if z[0] == 0:
                    shape.append(box(x, (0.0, 0.012), (0, 0.08), style.paint()))
    for (x0, x1), (z0, z1) in holes:
        sides = (
            ((x0 - 0.01, x0), (z0, z1)),
            ((x1, x1 + 0.01), (z0, z1)),
            ((x0, x1), (z1, z1 + 0.01)),
        )
        shape += [box(x, (-0.2, 0.0), z, paint) for x, z in sides]
    return shape


def door(style: Style, hole: Hole) -> Group:
    """A leaf, closed, ajar or open to a corridor, in a frame."""
    (x0, x1), (_, top) = hole
    paint = style.board()
    frame = paint if style.chance(0.6) else style.board()
    leaf = [box((0, x1 - x0), (-0.04, 0.0), (0.01, top), paint)]
    if style.chance(0.4):
        for low, high in ((0.15, 0.9), (1.05, 1.85)):
            leaf.append(box((0.12, x1 - x0 - 0.12), (-0.045, 0.008), (low, high), paint))
    grip = x1 - x0 - 0.08
    leaf.append(box((grip - 0.1, grip), (-0.09, 0.05), (1.0, 1.03), style.metal()))
    angle = style.pick((0.0, 0.0, 0.0, style.between(0.3, 0.9), 1.6))
    leaf = moved(turned(leaf, angle), (x0, style.between(-0.1, 0.0) if angle == 0 else 0.0, 0))
    t = style.between(0.05, 0.09)
    casing = [box(x, (0, 0.025), (0, top + t), frame) for x in ((x0 - t, x0), (x1, x1 + t))]
    casing.append(box((x0, x1), (0, 0.025), (top, top + t), frame))
    corridor = [box((x0 - 0.5, x1 + 0.5), (-1.3, -1.25), (0, 2.4), style.paint())]
    ground = [_plane((x0 - 0.5, x1 + 0.5), (-1.25, 0.0), 0.0, style.planks())]
    return [Item([*leaf, *casing], "door"), Item(corridor, "wall"), Item(ground, "floor")]


def window(style: Style, hole: Hole) -> Group:
    """Frame, bars, glass and sill."""
    (x0, x1), (z0, z1) = hole
    frame, y, t = style.board(), (-0.12, -0.06), style.between(0.04, 0.08)
    shape = [box(x, y, (z0, z1), frame) for x in ((x0, x0 + t), (x1 - t, x1))]
    shape += [box((x0, x1), y, z, frame) for z in ((z0, z0 + t), (z1 - t, z1))]
    bars = style.count(0, 2)
    for k in range(bars):
        x = x0 + (x1 - x0) * (k + 1) / (bars + 1)
        shape.append(box((x - t / 3, x + t / 3), y, (z0, z1), frame))
    bright = style.between(0.55, 0.95)
    glass = style.paint()._replace(
        first=(bright, bright, bright), second=(bright, bright, 1.0), gloss=0.75
    )
    shape.append(box((x0, x1), (-0.1, -0.09), (z0, z1), glass))
    shape.append(
        box((x0 - 0.04, x1 + 0.04), (-0.2, style.between(0.01, 0.1)), (z0 - 0.03, z0), frame)
    )
    return [Item(shape, "window")]


def curtains(style: Style, hole: Hole) -> Group:
    """One or two curtains beside a window, on a rod."""
    (x0, x1), (z0, z1) = hole
    cloth, y, top = style.fabric(), style.between(0.07, 0.12), z1 + style.between(0.08, 0.2)
    hem = style.pick((0.03, 0.05, z0 - 0.15))
    drawn = style.between(0.2, 0.5) * (x1 - x0)
    group = []
    for k, x in enumerate(((x0 - 0.2, x0 - 0.2 + drawn), (x1 + 0.2 - drawn, x1 + 0.2))):
        if k == 0 or style.chance(0.8):
            folds = sheet(
                x,
                (hem, top),
                cloth,
                y=y,
                amplitude=style.between(0.02, 0.045),
                n_folds=(x[1] - x[0]) / style.between(0.08, 0.15),
            )
            group.append(Item([folds], "curtain"))
    return [
        *group,
        Item(
            [rod((x0 - 0.3, y, top + 0.01), (x1 + 0.3, y, top + 0.01), 0.012, style.metal())], None
        ),
    ]


def picture(style: Style) -> Group:
    """A framed picture or a poster, its middle on z = 0."""
    w, h = style.between(0.15, 0.55), style.between(0.15, 0.45)
    canvas = style.painting()
    if style.chance(0.3):
        return [Item([box((-w, w), (0, 0.006), (-h, h), canvas)], "picture")]
    t, frame = style.between(0.015, 0.05), style.board()
    return [
        Item(
            [
                box((-w - t, w + t), (0, 0.02), (-h - t, h + t), frame),
                box((-w, w), (0.0, 0.024), (-h, h), canvas),
            ],
            "picture",
        )
    ]


def board_or_mirror(style: Style) -> Group:
    """A whiteboard or mirror: flat on the wall like a picture, but without a class."""
    w, h, tone = style.between(0.25, 0.8), style.between(0.3, 0.5), style.between(0.6, 0.95)
    face = style.paint()._replace(first=(tone, tone, tone), second=(tone, tone, 1.0), gloss=0.3)
    return [Item([box((-w, w), (0, 0.025), (-h, h), face)], None)]


def _plane(x: Range, y: Range, z: float, material: Material) -> Part:
    a, b, c, d = ([x[i], y[j], z] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)))
    return Part(np.array([[a, b, c], [a, c, d]]), material)
