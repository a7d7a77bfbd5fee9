"""People on foot and on two wheels, and the two wheels alone.

Front is towards +x, the ground at z = 0. What moves its legs comes as a list of shapes, one for
each moment of its cycle.
"""

from itertools import pairwise

import numpy as np

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Part,
    Shape,
    Vector,
    box,
    cushion,
    cylinder,
    moved,
    rod,
    turned,
)
from pcl_synth.streets.style import StreetStyle

N_MOMENTS = 6  # of a cycle


def walker(style: StreetStyle) -> list[Shape]:
    """A person through one cycle of two steps; swing 0.45 radians, about 1.4 m a cycle."""
    return _person(style, swing=style.between(0.35, 0.5))


def stander(style: StreetStyle) -> Shape:
    """A person who stands still."""
    return _person(style, swing=style.between(0.0, 0.08))[1]


def bicycle(style: StreetStyle) -> Shape:
    """A bicycle on its own, 1.3 to 1.8 m long."""
    scale = style.between(0.8, 1.05)
    shape = _bicycle(style, style.car_paint())
    return [Part(scale * part.triangles, part.material) for part in shape]


def motorcycle(style: StreetStyle) -> Shape:
    """A motorcycle or scooter on its own, about 2 m long."""
    paint, rubber, metal = style.car_paint(), style.rubber(), style.metal()
    reach, width = style.between(0.62, 0.75), style.between(0.11, 0.17)
    shape = [
        *_wheel(-reach, 0.31, style.between(0.06, 0.09), rubber),
        *_wheel(reach, 0.31, 0.06, rubber),
        cushion((-0.25, 0.35), (-width, width), (0.3, 0.72), metal),
        cushion((-0.05, 0.42), (-width, width), (0.62, 0.95), paint),
        cushion((-0.85, 0.05), (-width, width), (0.7, 0.86), rubber),
        rod((reach, 0, 0.31), (0.45, 0, 1.0), 0.04, metal),
        rod((0.42, -0.36, 1.02), (0.42, 0.36, 1.02), 0.02, metal),
        cushion((0.4, 0.6), (-0.09, 0.09), (0.8, 0.98), metal),
    ]
    if style.chance(0.5):  # a scooter's shield, or a case behind
        shape.append(box((0.42, 0.47), (-0.22, 0.22), (0.35, 1.25), paint))
    if style.chance(0.4):
        shape.append(box((-0.98, -0.62), (-0.2, 0.2), (0.85, 1.15), style.lacquer()))
    return shape


def bicyclist(style: StreetStyle) -> list[Shape]:
    """A person who rides a bicycle, through one turn of the pedals."""
    bike, body = _bicycle(style, style.car_paint()), _Body(style)
    basket = [box((-0.75, -0.45), (-0.17, 0.17), (0.75, 1.0), style.lacquer())]
    bike += basket if style.chance(0.3) else []
    lean, moments = style.between(0.25, 0.75), []
    for phase in np.arange(N_MOMENTS) * 2 * np.pi / N_MOMENTS:
        legs = []
        for side in (-1, 1):
            pedal = (0.17 * side * np.cos(phase), 0.12 * side, 0.3 - 0.17 * side * np.sin(phase))
            legs += body.leg((-0.2, 0.1 * side, 0.98), (0.2, 0.12 * side, 0.72), pedal)
        moments.append([*bike, *legs, *body.torso((-0.25, 0.0, 0.95), lean, hands=(0.5, 1.05))])
    return moments


def motorcyclist(style: StreetStyle) -> list[Shape]:
    """A person who rides a motorcycle."""
    body, legs = _Body(style, helmet=True), []
    for side in (-1, 1):
        knee, foot = (0.18, 0.24 * side, 0.68), (-0.05, 0.24 * side, 0.3)
        legs += body.leg((-0.3, 0.14 * side, 0.88), knee, foot)
    torso = body.torso((-0.35, 0.0, 0.85), style.between(0.1, 0.5), hands=(0.4, 1.03))
    return [[*motorcycle(style), *legs, *torso]]


class _Body:
    """Sizes and clothes of a person."""

    def __init__(self, style: StreetStyle, *, helmet: bool = False) -> None:
        self.scale = style.between(0.62, 0.75) if style.chance(0.1) else style.between(0.9, 1.08)
        self.scale = max(self.scale, 0.92) if helmet else self.scale
        self.shirt, self.trousers = style.cloth(), style.cloth()
        self.skin, self.shoes = style.skin(), style.rubber()
        self.head = style.car_paint() if helmet or style.chance(0.3) else style.bark()
        self.girth = style.between(0.85, 1.3)
        self.pack = style.cloth() if style.chance(0.3) else None

    def leg(self, hip: Vector, knee: Vector, foot: Vector) -> Shape:
        """Thigh, shin and shoe."""
        x, y, z = foot
        return [
            rod(hip, knee, 0.085 * self.girth, self.trousers, n_sides=7),
            rod(knee, foot, 0.06 * self.girth, self.trousers, n_sides=7),
            box((x - 0.09, x + 0.17), (y - 0.05, y + 0.05), (z - 0.06, z + 0.05), self.shoes),
        ]

    def torso(
        self,
        hip: Vector,
        lean: float,
        *,
        hands: tuple[float, float] | None = None,
        swing: float = 0.0,
    ) -> Shape:
        """Trunk, head and arms; `hands` are (x, z) of a handle bar, else the arms swing."""
        length, r = 0.58 * self.scale, 0.15 * self.girth
        trunk: Shape = [cushion((-0.7 * r, 0.7 * r), (-r, r), (-0.08, length), self.shirt)]
        trunk.append(cushion((-0.08, 0.12), (-0.08, 0.08), (length, length + 0.27), self.head))
        trunk.append(cushion((0.0, 0.13), (-0.06, 0.06), (length + 0.04, length + 0.2), self.skin))
        if self.pack is not None:
            trunk.append(cushion((-0.32, -0.08), (-0.15, 0.15), (0.1, 0.55), self.pack))
        shape = moved(_leaning(trunk, lean), hip)
        for side in (-1, 1):
            x, y, z = hip
            shoulder = (
                x + (length - 0.06) * np.sin(lean),
                y + side * (r + 0.03),
                z + (length - 0.06) * np.cos(lean),
            )
            angle = side * swing
            hand = (shoulder[0] + 0.55 * np.sin(angle), shoulder[1], shoulder[2] - 0.55)
            if hands is not None:
                hand = (hands[0], 0.27 * side, hands[1])
            shape.append(rod(shoulder, hand, 0.05, self.shirt, n_sides=6))
        return shape


def _person(style: StreetStyle, *, swing: float) -> list[Shape]:
    body, moments = _Body(style), []
    leg = 0.88 * body.scale
    for phase in np.arange(N_MOMENTS) * 2 * np.pi / N_MOMENTS:
        shape: Shape = []
        for side in (-1, 1):
            angle = side * swing * np.sin(phase)
            lifted = max(0.0, side * np.cos(phase)) * swing  # the leg that comes forward bends
            knee = (leg / 2 * np.sin(angle + 0.5 * lifted), 0.09 * side, leg / 2)
            foot_x = knee[0] + leg / 2 * np.sin(angle - lifted)
            shape += body.leg((0, 0.09 * side, leg), knee, (foot_x, 0.09 * side, 0.06))
        torso = body.torso((0, 0, leg), 0.05, swing=-swing * np.sin(phase))
        moments.append(shape + torso)
    return moments


def _bicycle(style: StreetStyle, paint: Material) -> Shape:
    reach, rubber, metal = style.between(0.5, 0.56), style.rubber(), style.metal()
    r = 0.33
    shape = [*_rim(-reach, r, rubber), *_rim(reach, r, rubber)]
    seat, crank, head = (-0.2, 0, 0.9), (0.0, 0, 0.3), (0.38, 0, 0.88)
    for a, b in ((seat, crank), (crank, head), (seat, head), (crank, (-reach, 0, r))):
        shape.append(rod(a, b, 0.022, paint, n_sides=5))
    shape.append(rod((reach, 0, r), (0.36, 0, 1.02), 0.022, paint, n_sides=5))
    shape.append(rod((-reach, 0, r), seat, 0.015, paint, n_sides=5))
    shape.append(rod((0.4, -0.28, 1.04), (0.4, 0.28, 1.04), 0.016, metal, n_sides=5))
    shape.append(cushion((-0.35, -0.08), (-0.08, 0.08), (0.9, 0.98), rubber))
    return shape


def _rim(x: float, r: float, material: Material) -> Shape:
    """A bicycle's wheel: tyre and a few spokes."""
    angle = np.linspace(0, 2 * np.pi, 11)
    ring = [(x + r * np.cos(a), 0.0, r + r * np.sin(a)) for a in angle]
    spokes = [rod((x, 0.0, r), ring[i], 0.006, material, n_sides=3) for i in range(0, 10, 2)]
    tyre = [rod(a, b, 0.022, material, n_sides=5) for a, b in pairwise(ring)]
    return tyre + spokes


def _wheel(x: float, r: float, half_width: float, material: Material) -> list[Part]:
    disc = cylinder((0, 0), r, (-half_width, half_width), material, n_sides=14)
    return moved(turned([disc], np.pi / 2, axis="x"), (x, 0, r))


def _leaning(shape: Shape, angle: float) -> Shape:
    """The shape tilted forwards, towards +x."""
    c, s = np.cos(angle), np.sin(angle)
    tilt = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return [Part(part.triangles @ tilt.T, part.material) for part in shape]
