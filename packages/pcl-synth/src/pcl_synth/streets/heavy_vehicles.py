"""Lorries, buses, caravans and tractors.

Front is towards +x, centred over the ground at z = 0; lengths in metres.
"""

import numpy as np

from pcl_synth.mesh import (
    Shape,
    box,
    cushion,
    cylinder,
    frustum,
    moved,
    rod,
    turned,
)
from pcl_synth.streets.cars import pickup, wheels
from pcl_synth.streets.style import StreetStyle


def truck(style: StreetStyle) -> Shape:
    """A lorry with a case, a tarpaulin, a tank or a flat bed; or a pickup."""
    if style.chance(0.15):
        return pickup(style)
    length, half = style.between(5.8, 10.5), style.between(1.0, 1.25)
    cab_height, front = style.between(2.2, 3.4), length / 2
    bed, back = style.between(0.8, 1.1), -length / 2
    cab = front - style.between(1.6, 2.1)
    paint, glass, dark = style.car_paint(), style.glass(), style.rubber()
    shape = frustum(
        ((cab, front), (-half, half)),
        ((cab, front - 0.25), (0.05 - half, half - 0.05)),
        (0.45, cab_height),
        paint,
    )
    pane = (0.55 * cab_height, 0.85 * cab_height)
    shape.append(box((front - 0.2, front + 0.01), (0.15 - half, half - 0.15), pane, glass))
    shape.append(box((cab + 0.5, front - 0.4), (-half - 0.01, half + 0.01), pane, glass))
    shape.append(box((back, cab), (-0.4, 0.4), (0.5, bed), dark))
    shape += _load(style, (back, cab - 0.15), half, bed)
    r = style.between(0.42, 0.52)
    rear = (back + 0.2 * length, back + 0.2 * length + 1.15) if length > 8 else (back + 1.4,)
    shape += wheels(style, (*rear, front - 0.75), half, r)
    for side in (-1, 1):
        y = (side * (half + 0.05), side * (half + 0.25))
        shape.append(box((front - 0.1, front), y, (1.4, 1.9), dark))
    return shape


def bus(style: StreetStyle) -> Shape:
    """A city bus or a coach."""
    length, half = style.between(8.5, 12.5), style.between(1.2, 1.28)
    height, back, front = style.between(2.8, 3.6), -length / 2, length / 2
    paint, glass, pane = style.car_paint(), style.glass(), style.between(1.0, 1.5)
    if style.chance(0.6):
        paint = paint._replace(first=style.color(0.9, 0.4, 0.95), gloss=0.04)
    shape = frustum(
        ((back, front), (-half, half)),
        ((back + 0.1, front - 0.15), (0.12 - half, half - 0.12)),
        (pane + 1.1, height),
        paint,
    )
    shape.append(box((back, front), (-half, half), (0.3, pane), paint))
    w = half - 0.02
    shape.append(box((back + 0.02, front - 0.02), (-w, w), (pane, pane + 1.1), glass))
    for x in np.arange(back + 0.1, front, style.between(1.3, 1.7)):
        shape.append(box((x - 0.06, x + 0.06), (-half, half), (pane, pane + 1.1), paint))
    shape += wheels(style, (back + 0.27 * length, front - 0.22 * length), half + 0.01, 0.48)
    if style.chance(0.6):  # cooling on the roof
        lid = (height, height + 0.3)
        shape.append(box((-1.8, style.between(0.0, 1.6)), (-0.8, 0.8), lid, style.concrete()))
    return shape


def caravan(style: StreetStyle) -> Shape:
    """A caravan or a trailer behind no car."""
    length, half = style.between(3.0, 5.5), style.between(0.95, 1.15)
    paint, dark = style.car_paint(), style.rubber()
    hitch = rod((length / 2, 0, 0.45), (length / 2 + 1.1, 0, 0.4), 0.05, dark)
    shape = [hitch, *wheels(style, (-0.2,), half, 0.32)]
    if style.chance(0.6):
        body = cushion(
            (-length / 2, length / 2), (-half, half), (0.45, 2.55), paint, squareness=0.2
        )
        pane = box((-0.9, 0.6), (-half - 0.01, half + 0.01), (1.3, 1.9), style.glass())
        return [*shape, body, pane]
    tray = box((-length / 2, length / 2), (-half, half), (0.5, 1.0), dark)
    return [*shape, tray, cushion((-length / 2, length / 2), (-half, half), (0.8, 1.7), paint)]


def tractor(style: StreetStyle) -> Shape:
    """A farm tractor or digger."""
    paint, glass, dark = style.lacquer(), style.glass(), style.rubber()
    shape = [
        box((0.1, 1.9), (-0.4, 0.4), (0.7, 1.6), paint),
        box((-1.1, 0.3), (-0.75, 0.75), (0.9, 1.4), paint),
        *frustum(((-1.0, 0.2), (-0.7, 0.7)), ((-0.9, 0.1), (-0.6, 0.6)), (1.4, 2.5), glass),
        box((-1.0, 0.2), (-0.7, 0.7), (2.5, 2.65), paint),
        rod((1.2, 0.3, 1.6), (1.2, 0.3, 2.5), 0.05, dark),
    ]
    for x, r, half_width in ((-0.8, 0.85, 0.24), (1.4, 0.55, 0.17)):
        for side in (-1, 1):
            wheel = cylinder((0, 0), r, (-half_width, half_width), dark)
            shape += moved(turned([wheel], np.pi / 2, axis="x"), (x, 0.85 * side, r))
    if style.chance(0.5):  # a digger's arm
        shape.append(rod((1.9, 0, 1.2), (3.2, 0, 2.6), 0.12, paint))
        shape.append(rod((3.2, 0, 2.6), (4.0, 0, 0.9), 0.1, paint))
        shape.append(box((3.7, 4.3), (-0.4, 0.4), (0.3, 0.9), dark))
    return shape


def _load(style: StreetStyle, x: tuple[float, float], half: float, bed: float) -> Shape:
    """What a lorry carries."""
    kind = style.pick(("case", "case", "tarpaulin", "tank", "flat"))
    top = style.between(2.6, 3.9)
    if kind == "case":
        return [box(x, (-half - 0.05, half + 0.05), (bed, top), style.car_paint())]
    if kind == "tarpaulin":
        y = (-half, half)
        arch = ((x[0], x[1]), (0.3 - half, half - 0.3))
        cloth = style.lacquer()
        return [box(x, y, (bed, top), cloth), *frustum((x, y), arch, (top, top + 0.35), cloth)]
    if kind == "tank":
        tank = cylinder((0, 0), 0.95 * half, x, style.metal(), n_sides=18)
        lying = [part._replace(triangles=part.triangles[..., [2, 1, 0]]) for part in [tank]]
        return moved(lying, (0, 0, bed + 0.95 * half))
    floor = box(x, (-half, half), (bed, bed + 0.15), style.wood())
    boards = [
        box(x, (side * half, side * (half - 0.06)), (bed, bed + 0.6), style.wood())
        for side in (-1, 1)
    ]
    crates = [
        box((p, p + 1.0), (-0.7, 0.5), (bed, bed + style.between(0.4, 1.4)), style.lacquer())
        for p in np.arange(x[0] + 0.3, x[1] - 1.2, style.between(1.3, 2.5))
    ]
    return [floor, *boards, *crates]
