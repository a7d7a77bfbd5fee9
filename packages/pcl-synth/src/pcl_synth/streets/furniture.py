"""What stands at the kerb: lamps, signs, traffic lights, bollards, bins, benches, shelters.

Front is towards +x, the way traffic comes from; the ground at z = 0. Items without a label are
objects that SemanticKITTI leaves out ("other-object").
"""

import numpy as np

from pcl_synth.mesh import (
    Shape,
    box,
    cushion,
    cylinder,
    lathe,
    moved,
    rod,
    surface,
    turned,
)
from pcl_synth.streets.street import Group, Item
from pcl_synth.streets.style import StreetStyle


def lamp_post(style: StreetStyle, *, arm: float = 1.5) -> Group:
    """A post with a lamp on an arm towards +y, or on top."""
    metal, height = style.metal(), style.between(4.0, 9.0)
    r = style.between(0.05, 0.09)
    shape: Shape = [
        cylinder((0, 0), 1.8 * r, (-0.2, 0.5), metal, n_sides=8),
        rod((0, 0, 0.4), (0, 0, height), r, metal),
    ]
    if height > 5.5:
        reach = style.between(0.8, arm)
        shape.append(rod((0, 0, height), (0, reach, height + 0.3), 0.6 * r, metal))
        shape.append(
            box((-0.14, 0.14), (reach - 0.1, reach + 0.6), (height + 0.2, height + 0.35), metal)
        )
    else:
        globe = [(0.0, height), (0.2, height + 0.1), (0.28, height + 0.4), (0.0, height + 0.55)]
        shape.append(lathe(globe, style.glow((0.9, 0.9, 0.8)), n_sides=10))
    return [Item(shape, "pole")]


def traffic_sign(style: StreetStyle) -> Group:
    """A post with one or two plates."""
    metal, height = style.metal(), style.between(2.3, 3.2)
    pole: Shape = [rod((0, 0, -0.2), (0, 0, height), style.between(0.03, 0.045), metal)]
    plates: Shape = []
    top = height
    for _ in range(style.count(1, 2)):
        half = style.between(0.28, 0.45)
        kind = style.pick(("disc", "disc", "triangle", "square", "board"))
        if kind == "board":
            half = 0.2
            plates.append(box((0.04, 0.06), (-0.35, 0.35), (top - 2 * half, top), style.sign()))
        else:
            sides = {"disc": 16, "triangle": 3, "square": 4}[kind]
            plates += _plate(style, sides, half, top - half)
        top -= 2 * half + 0.05
    return [Item(pole, "pole"), Item(turned(plates, style.between(-0.25, 0.25)), "traffic-sign")]


def gantry_sign(style: StreetStyle) -> Group:
    """A large direction board on two posts."""
    metal, width, low = style.metal(), style.between(1.4, 2.6), style.between(1.6, 2.2)
    high = low + style.between(0.9, 1.5)
    posts: Shape = [
        rod((0, side * 0.8 * width / 2, -0.2), (0, side * 0.8 * width / 2, high), 0.06, metal)
        for side in (-1, 1)
    ]
    board: Shape = [box((0.06, 0.1), (-width / 2, width / 2), (low, high), style.sign())]
    return [Item(posts, "pole"), Item(board, "traffic-sign")]


def traffic_light(style: StreetStyle) -> Group:
    """A post with a box of lights, on some also one over the road (+y)."""
    metal, dark = style.metal(), style.rubber()
    lit = style.count(0, 2)
    colors = ((0.1, 0.85, 0.3), (0.95, 0.65, 0.1), (0.9, 0.1, 0.1))

    def lights(y: float, z: float) -> Shape:
        shape: Shape = [box((-0.12, 0.06), (y - 0.16, y + 0.16), (z, z + 0.95), dark)]
        for k, (red, green, blue) in enumerate(colors):
            tone = 1.0 if k == lit else 0.25
            lens = style.glow((red * tone, green * tone, blue * tone))
            shape.append(
                box(
                    (0.06, 0.09),
                    (y - 0.09, y + 0.09),
                    (z + 0.06 + 0.3 * k, z + 0.24 + 0.3 * k),
                    lens,
                )
            )
        return shape

    pole: Shape = [rod((-0.1, 0, -0.2), (-0.1, 0, 3.4), 0.07, metal)]
    heads = lights(0.0, 2.3)
    if style.chance(0.4):
        reach = style.between(2.5, 4.0)
        pole.append(rod((-0.1, 0, 3.4), (-0.1, 0, 5.6), 0.07, metal))
        pole.append(rod((-0.1, 0, 5.6), (-0.1, reach, 5.8), 0.05, metal))
        heads += lights(reach, 5.1)
    return [Item(pole, "pole"), Item(heads, None)]


def power_pole(style: StreetStyle) -> Group:
    """A wooden pole with a cross bar."""
    wood, height = style.wood(), style.between(6.5, 9.0)
    bar = box((-0.06, 0.06), (-0.9, 0.9), (height - 0.7, height - 0.55), wood)
    return [Item([rod((0, 0, -0.3), (0, 0, height), 0.13, wood), bar], "pole")]


def bollard(style: StreetStyle) -> Group:
    """A short post."""
    height, r = style.between(0.6, 1.0), style.between(0.05, 0.1)
    profile = [(r, -0.1), (r, height - 0.08), (1.15 * r, height - 0.05), (0.0, height)]
    return [Item([lathe(profile, style.pick((style.metal, style.concrete))(), n_sides=9)], "pole")]


def bins(style: StreetStyle) -> Group:
    """One to three dustbins."""
    shape: Shape = []
    for k in range(style.count(1, 3)):
        half, height, color = style.between(0.24, 0.32), style.between(0.9, 1.15), style.lacquer()
        body = box((-half, half), (-half, half), (0.05, height), color)
        lid = box(
            (-half - 0.04, half + 0.04), (-half - 0.04, half + 0.04), (height, height + 0.08), color
        )
        shape += moved(turned([body, lid], style.between(-0.3, 0.3)), (0.75 * k, 0, 0))
    return [Item(shape, None)]


def bench(style: StreetStyle) -> Group:
    """A seat along x."""
    wood, metal = style.wood(), style.metal()
    shape: Shape = [
        box((-0.8, 0.8), (-0.2, 0.2), (0.42, 0.47), wood),
        box((-0.8, 0.8), (0.2, 0.25), (0.5, 0.85), wood),
    ]
    shape += [box((x - 0.04, x + 0.04), (-0.18, 0.22), (0, 0.42), metal) for x in (-0.6, 0.6)]
    return [Item(shape, None)]


def cabinet(style: StreetStyle) -> Group:
    """A switch box, a column for posters or a letter box."""
    if style.chance(0.3):
        r, height = style.between(0.4, 0.6), style.between(2.5, 3.2)
        return [Item([lathe([(r, 0), (r, height), (0.0, height + 0.3)], style.lacquer())], None)]
    x, y, z = style.between(0.3, 0.7), style.between(0.15, 0.25), style.between(1.0, 1.5)
    return [Item([box((-x, x), (-y, y), (0, z), style.concrete())], None)]


def road_works(style: StreetStyle) -> Group:
    """Cones and a barrier."""
    orange, white = style.glow((0.95, 0.4, 0.1)), style.sign()
    shape: Shape = []
    for k in range(style.count(3, 6)):
        profile = [(0.2, 0.0), (0.2, 0.04), (0.13, 0.05), (0.03, 0.7), (0.0, 0.72)]
        shape += moved([lathe(profile, orange, n_sides=9)], (1.4 * k, style.between(-0.2, 0.2), 0))
    shape.append(box((-0.9, -0.8), (-0.9, 0.9), (0.7, 1.0), white))
    shape += [box((-0.95, -0.75), (y - 0.05, y + 0.05), (0, 1.0), orange) for y in (-0.8, 0.8)]
    return [Item(shape, None)]


def bus_shelter(style: StreetStyle) -> Group:
    """A roof on posts with panes, open towards -y."""
    metal, glass, half = style.metal(), style.glass(), style.between(1.4, 2.2)
    shape: Shape = [
        box((-half, half), (-0.8, 0.6), (2.35, 2.45), metal),
        box((-half, half), (0.55, 0.58), (0.3, 2.2), glass),
        box((-half, half - 1), (0.15, 0.5), (0.42, 0.48), style.wood()),
    ]
    shape += [rod((x, 0.55, 0), (x, 0.55, 2.4), 0.04, metal) for x in np.linspace(-half, half, 4)]
    return [Item(shape, "building")]


def bicycle_stand(style: StreetStyle) -> Group:
    """Hoops to lock bicycles to, along x."""
    metal, shape = style.metal(), []
    for x in np.arange(0, 2.5, 0.8):
        shape.append(rod((x, -0.4, 0), (x, -0.4, 0.8), 0.025, metal, n_sides=5))
        shape.append(rod((x, 0.4, 0), (x, 0.4, 0.8), 0.025, metal, n_sides=5))
        shape.append(rod((x, -0.4, 0.8), (x, 0.4, 0.8), 0.025, metal, n_sides=5))
    return [Item(shape, None)]


def statue(style: StreetStyle) -> Group:
    """Something on a plinth."""
    stone, half = style.concrete(), style.between(0.4, 0.8)
    figure = cushion((-0.4, 0.4), (-0.3, 0.3), (0.9, 2.6), stone, squareness=0.7)
    return [Item([box((-half, half), (-half, half), (0, 1.0), stone), figure], None)]


def _plate(style: StreetStyle, n_sides: int, half: float, z: float) -> Shape:
    """A thin upright polygon that faces +x."""
    angle = np.linspace(0, 2 * np.pi, n_sides + 1) + (np.pi / 4 if n_sides == 4 else np.pi / 2)
    rim = np.stack([np.full_like(angle, 0.05), half * np.cos(angle), z + half * np.sin(angle)], 1)
    middle = np.broadcast_to([0.05, 0.0, z], rim.shape)
    front = surface(np.stack([rim, middle]), style.sign())
    back = surface(np.stack([rim, middle]) - (0.015, 0.0, 0.0), style.metal())
    return [front, back]
