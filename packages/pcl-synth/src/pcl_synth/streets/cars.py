"""Cars: hatchbacks, saloons, estates, off-roaders, sports cars, vans and pickups.

Front is towards +x, centred over the ground at z = 0; lengths in metres.
"""

from typing import NamedTuple

import numpy as np

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Part,
    Shape,
    box,
    cylinder,
    frustum,
    moved,
    rod,
    surface,
    turned,
)
from pcl_synth.streets.style import StreetStyle


class _Body(NamedTuple):
    """Ranges of length, width, height, and where bonnet and rear window begin and end.

    The four stations are shares of the length from the back: foot and top of the rear window, top
    and foot of the windscreen.
    """

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    stations: tuple[float, float, float, float]
    belt: float  # height of the lower edge of the windows as a share of the whole
    deck: float  # height of the boot as a share of that of the belt


_BODIES = {
    "hatchback": _Body((3.6, 4.3), (1.65, 1.8), (1.42, 1.55), (0.02, 0.1, 0.52, 0.72), 0.62, 0.95),
    "saloon": _Body((4.4, 5.0), (1.74, 1.9), (1.38, 1.5), (0.16, 0.3, 0.56, 0.72), 0.63, 0.98),
    "estate": _Body((4.4, 4.9), (1.74, 1.88), (1.42, 1.55), (0.02, 0.08, 0.57, 0.73), 0.62, 0.95),
    "off-roader": _Body((4.2, 4.9), (1.8, 1.98), (1.6, 1.85), (0.02, 0.06, 0.58, 0.7), 0.6, 0.95),
    "sports": _Body((4.0, 4.6), (1.75, 1.9), (1.18, 1.34), (0.12, 0.34, 0.5, 0.66), 0.66, 1.0),
    "van": _Body((4.6, 5.9), (1.85, 2.05), (1.85, 2.6), (0.01, 0.03, 0.78, 0.88), 0.55, 0.95),
    "pickup": _Body((4.9, 5.5), (1.8, 2.0), (1.65, 1.85), (0.4, 0.43, 0.62, 0.74), 0.58, 0.85),
}


def car(style: StreetStyle) -> Shape:
    """A passenger car or a van with one body."""
    kinds = ("hatchback", "hatchback", "saloon", "estate", "estate", "off-roader", "sports", "van")
    return _vehicle(style, style.pick(kinds))


def pickup(style: StreetStyle) -> Shape:
    """A car with an open bed."""
    return _vehicle(style, "pickup")


def wheels(style: StreetStyle, stations: tuple[float, ...], half_width: float, r: float) -> Shape:
    """A pair of wheels at each x."""
    rubber, rim, shape = style.rubber(), style.metal(), []
    for x in stations:
        for side in (-1, 1):
            tyre = cylinder((0, 0), r, (-0.1, 0.1), rubber, n_sides=14)
            hub = cylinder((0, 0), 0.6 * r, (-0.105, 0.105), rim, n_sides=10)
            y = side * (half_width - 0.1)
            shape += moved(turned([tyre, hub], np.pi / 2, axis="x"), (x, y, r))
    return shape


def _vehicle(style: StreetStyle, kind: str) -> Shape:
    body = _BODIES[kind]
    length, width = style.between(*body.length), style.between(*body.width)
    height, clearance = style.between(*body.height), style.between(0.16, 0.24)
    belt = height * (body.belt + style.between(-0.02, 0.03))
    deck, x0 = belt * body.deck, -length / 2
    a, b, c, d = (x0 + length * (share + style.between(-0.012, 0.012)) for share in body.stations)
    paint, dark = style.car_paint(), style.rubber()
    bonnet = belt * (0.92 if kind in ("van", "off-roader") else style.between(0.84, 0.9))
    low = _hull(
        [
            (x0, clearance + 0.1, 0.8 * deck, 0.88),
            (x0 + 0.06, clearance, 0.96 * deck, 0.96),
            (a, clearance, deck, 1.0),
            (a + 0.05, clearance, belt, 1.0),
            (d - 0.03, clearance, belt, 1.0),
            (length / 2 - 0.45, clearance, bonnet, 0.97),
            (length / 2 - 0.1, clearance, 0.8 * bonnet, 0.86),
            (length / 2, clearance + 0.12, 0.62 * bonnet, 0.72),
        ],
        width / 2,
        paint,
    )
    cabin = _cabin(style, kind, (a, b, c, d), (belt, height), width / 2, paint)
    r = style.between(0.29, 0.35) * (1.1 if kind in ("off-roader", "van", "pickup") else 1.0)
    axles = (x0 + style.between(0.15, 0.2) * length, length / 2 - 0.17 * length)
    parts = [*low, *cabin, *wheels(style, axles, width / 2, r), *_lamps(style, length, width, belt)]
    parts.append(box((x0 - 0.02, x0 + 0.1), (-0.8, 0.8), (clearance, clearance + 0.2), dark))
    for side in (-1, 1):  # mirrors
        y = side * (width / 2 + 0.07)
        parts.append(box((d - 0.35, d - 0.25), (y - 0.09, y + 0.09), (belt, belt + 0.14), paint))
    return parts + _extras(style, kind, (x0, a, b, c), (deck, height), width / 2)


def _hull(
    rings: list[tuple[float, float, float, float]], half_width: float, paint: Material
) -> Shape:
    """A closed body through rings of (x, bottom, top, share of the width)."""
    profile = np.array([(-0.9, 0), (-1, 0.25), (-1, 0.7), (-0.9, 1), (0.9, 1), (1, 0.7), (1, 0.25)])
    profile = np.concatenate([profile, [(0.9, 0)], profile[:1]])
    vertices = np.empty((len(rings), len(profile), 3))
    for row, (x, bottom, top, share) in enumerate(rings):
        vertices[row, :, 0] = x
        vertices[row, :, 1] = profile[:, 0] * half_width * share
        vertices[row, :, 2] = bottom + profile[:, 1] * (top - bottom)
    ends = [np.stack([v, np.broadcast_to(v.mean(axis=0), v.shape)]) for v in vertices[[0, -1]]]
    return [surface(vertices, paint), *(surface(end, paint) for end in ends)]


def _cabin(
    style: StreetStyle,
    kind: str,
    stations: tuple[float, float, float, float],
    z: tuple[float, float],
    half_width: float,
    paint: Material,
) -> Shape:
    """Panes on four sides, a painted roof and pillars between the panes."""
    a, b, c, d = stations
    glass, tumble = style.glass(), style.between(0.74, 0.86) if kind != "van" else 0.93
    w, v = 0.97 * half_width, tumble * half_width
    roof = z[1] - 0.05
    front, right, back, left, _, _ = range(6)
    sides = frustum(((a, d), (-w, w)), ((b, c), (-v, v)), (z[0], roof), glass)
    shape = [sides[i] for i in (front, right, back, left)]
    if kind == "van" and style.chance(0.6):  # no windows behind the driver
        middle = c - 0.9
        shape += frustum(
            ((a - 0.01, middle), (-w - 0.01, w + 0.01)),
            ((b - 0.01, middle), (-v - 0.01, v + 0.01)),
            (z[0], roof),
            paint,
        )
    crown = (b + 0.06, c - 0.08)
    shape += frustum(((b, c), (-v, v)), (crown, (-v + 0.1, v - 0.1)), (roof, z[1]), paint)
    shares = (0.0, style.between(0.35, 0.45), style.between(0.62, 0.72), 1.0)
    for side in (-1, 1):
        for share in shares:
            foot = (a + share * (d - a), side * w, z[0])
            top = (b + share * (c - b), side * v, roof)
            shape.append(rod(foot, top, 0.045, paint, n_sides=5))
    return shape


def _lamps(style: StreetStyle, length: float, width: float, belt: float) -> list[Part]:
    red, white = style.glow((0.7, 0.05, 0.05)), style.glow((0.95, 0.95, 0.9))
    shape = []
    for side in (-1, 1):
        y = (side * 0.27 * width, side * 0.4 * width)
        back, front = -length / 2, length / 2
        shape.append(box((back - 0.01, back + 0.1), y, (0.62 * belt, 0.78 * belt), red))
        shape.append(box((front - 0.16, front - 0.02), y, (0.5 * belt, 0.64 * belt), white))
    plate = box((-length / 2 - 0.03, -length / 2), (-0.26, 0.26), (0.4, 0.52), white)
    return [*shape, plate]


def _extras(
    style: StreetStyle,
    kind: str,
    stations: tuple[float, float, float, float],
    z: tuple[float, float],
    half_width: float,
) -> Shape:
    """A pickup's bed walls; on other cars sometimes a roof box or a ladder."""
    x0, a, b, c = stations
    if kind == "pickup":
        dark, w = style.rubber(), half_width - 0.05
        sides = [
            box((x0, a), y, (z[0], z[0] + 0.25), dark) for y in ((-w, 0.08 - w), (w - 0.08, w))
        ]
        load = box((x0 + 0.3, a - 0.3), (-0.5, 0.5), (z[0], z[0] + style.between(0.05, 0.6)), dark)
        return [*sides, load]
    if kind in ("estate", "hatchback", "van") and style.chance(0.12):
        middle, h = (b + c) / 2, z[1]
        return frustum(
            ((middle - 0.8, middle + 0.7), (-0.4, 0.4)),
            ((middle - 0.7, middle + 0.5), (-0.35, 0.35)),
            (h + 0.05, h + 0.4),
            style.rubber(),
        )
    return []
