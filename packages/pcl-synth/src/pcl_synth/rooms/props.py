"""Small things that lie about: they have no class and stay unlabeled."""

from pcl_synth.mesh import Shape, box, cushion, cylinder, lathe, rod, turned
from pcl_synth.rooms.style import Style


def small_prop(style: Style) -> Shape:
    """Something for a table top."""
    kinds = (_books, _cup, _bottle, _laptop, _carton, _plant, _lamp, _paper, _bowl)
    return _anyhow(style, style.pick(kinds)(style))


def floor_prop(style: Style) -> Shape:
    """Something for the floor: a bag, box, plant, shoes, a pillow or a pile."""
    kinds = (_bag, _carton, _big_carton, _plant, _shoes, _books, _pillow)
    return _anyhow(style, style.pick(kinds)(style))


def monitor(style: Style) -> Shape:
    """A screen on a foot, with a keyboard before it."""
    w, h, black = (
        style.between(0.22, 0.34),
        style.between(0.26, 0.4),
        style.paint()._replace(gloss=0.15),
    )
    lift = style.between(0.08, 0.16)
    return [
        box((-w, w), (0.05, 0.08), (lift, lift + h), black),
        box((-0.03, 0.03), (0.03, 0.05), (0, lift + 0.1), black),
        box((-0.12, 0.12), (0.0, 0.16), (0, 0.015), black),
        box((-0.21, 0.21), (0.25, 0.38), (0, 0.022), style.paint()),
    ]


def television(style: Style) -> Shape:
    """A wide flat screen."""
    w, h = style.between(0.35, 0.7), style.between(0.4, 0.7)
    black = style.paint()._replace(first=(0.05, 0.05, 0.06), second=(0.07, 0.07, 0.08), gloss=0.25)
    return [
        box((-w, w), (0.08, 0.13), (0.06, h), black),
        box((-0.2, 0.2), (0, 0.22), (0, 0.03), black),
    ]


def floor_lamp(style: Style) -> Shape:
    """A standing lamp."""
    metal, height = style.metal(), style.between(1.3, 1.7)
    shade = [(0.2, height - 0.25), (style.between(0.1, 0.2), height)]
    shape = [
        cylinder((0, 0.2), 0.14, (0, 0.025), metal),
        rod((0, 0.2, 0), (0, 0.2, height), 0.014, metal),
    ]
    return [*shape, lathe(shade, style.fabric(), center=(0, 0.2))]


def _anyhow(style: Style, shape: Shape) -> Shape:
    return turned(shape, style.between(-3.1, 3.1))


def _books(style: Style) -> Shape:
    shape, z = [], 0.0
    for _ in range(style.count(1, 5)):
        w, d, t = style.between(0.07, 0.12), style.between(0.1, 0.15), style.between(0.015, 0.05)
        cover = style.painting() if style.chance(0.3) else style.paint()
        shape += turned([box((-w, w), (-d, d), (z, z + t), cover)], style.between(-0.4, 0.4))
        z += t
    return shape


def _cup(style: Style) -> Shape:
    r, h = style.between(0.03, 0.05), style.between(0.07, 0.13)
    return [
        lathe(
            [(0.0, 0.0), (r, 0.0), (r, h), (0.9 * r, h), (0.9 * r, 0.01), (0.0, 0.01)],
            style.paint(),
            n_sides=10,
        )
    ]


def _bottle(style: Style) -> Shape:
    r, h = style.between(0.03, 0.06), style.between(0.18, 0.34)
    profile = [(0.0, 0.0), (r, 0.0), (r, 0.65 * h), (0.4 * r, 0.8 * h), (0.4 * r, h), (0.0, h)]
    return [lathe(profile, style.paint()._replace(gloss=0.2), n_sides=12)]


def _laptop(style: Style) -> Shape:
    w, d, case = style.between(0.15, 0.19), style.between(0.2, 0.25), style.metal()
    screen = turned([box((-w, w), (0, 0.01), (0, d), case)], style.between(0.1, 0.5), axis="x")
    return [box((-w, w), (0, d), (0, 0.02), case), *screen]


def _carton(style: Style) -> Shape:
    w, d, h = style.between(0.06, 0.18), style.between(0.06, 0.15), style.between(0.05, 0.25)
    return [box((-w, w), (-d, d), (0, h), style.board())]


def _big_carton(style: Style) -> Shape:
    w, d, h = style.between(0.15, 0.28), style.between(0.12, 0.25), style.between(0.2, 0.5)
    board = style.wood()
    return [
        box((-w, w), (-d, d), (0, h), board),
        *turned(
            [box((-w, w), (d, d + 0.01), (h - d, h), board)], 0.5, axis="x", pivot=(0, d, h - d)
        ),
    ]


def _plant(style: Style) -> Shape:
    r, h = style.between(0.06, 0.15), style.between(0.12, 0.3)
    pot = lathe([(0.0, 0.0), (0.7 * r, 0.0), (r, h), (0.0, h * 0.9)], style.paint())
    green = (style.between(0.1, 0.35), style.between(0.3, 0.6), style.between(0.08, 0.3))
    leaf = style.fabric()._replace(first=green)
    shape = [pot]
    for _ in range(style.count(5, 11)):
        blade = cushion(
            (-0.25 * r, 0.25 * r),
            (0, 0.02),
            (h * 0.9, h + style.between(1.2, 4) * r),
            leaf,
            squareness=1.0,
        )
        leaning = turned([blade], style.between(-0.9, 0.9), axis="x", pivot=(0, 0, h * 0.9))
        shape += turned(leaning, style.between(0, 6.2))
    return shape


def _lamp(style: Style) -> Shape:
    h, r = style.between(0.3, 0.5), style.between(0.08, 0.15)
    foot = [(0.0, 0.0), (0.06, 0.0), (0.05, 0.03), (0.02, 0.06), (0.02, 0.6 * h)]
    return [
        lathe(foot, style.metal(), n_sides=10),
        lathe([(r, 0.55 * h), (0.7 * r, h)], style.fabric()),
    ]


def _paper(style: Style) -> Shape:
    white = style.paint()._replace(
        pattern="stripes", first=(0.9, 0.9, 0.88), second=(0.8, 0.8, 0.8), scale=0.03
    )
    return [box((-0.105, 0.105), (-0.15, 0.15), (0, style.between(0.004, 0.03)), white)]


def _bowl(style: Style) -> Shape:
    r, h = style.between(0.08, 0.16), style.between(0.05, 0.1)
    fruit = style.fabric()
    shape = [
        lathe([(0.4 * r, 0.0), (r, h), (0.93 * r, h), (0.4 * r, 0.02), (0.0, 0.02)], style.paint())
    ]
    for k in range(style.count(0, 4)):
        ball = cushion((0.0, 0.07), (0.0, 0.07), (0.02, 0.09), fruit, squareness=1.0)
        shape += turned([ball], 1.57 * k)
    return shape


def _bag(style: Style) -> Shape:
    w, d, h = style.between(0.14, 0.22), style.between(0.14, 0.25), style.between(0.3, 0.5)
    return [cushion((-w, w), (-d / 2, d / 2), (0, h), style.fabric(), squareness=0.5)]


def _shoes(style: Style) -> Shape:
    cloth = style.fabric()
    return [
        cushion((x, x + 0.1), (-0.14, 0.14), (0, 0.1), cloth, squareness=0.6) for x in (-0.12, 0.02)
    ]


def _pillow(style: Style) -> Shape:
    w = style.between(0.2, 0.3)
    return [cushion((-w, w), (-w, w), (0, 0.16), style.fabric(), squareness=0.6)]
