"""Toilets, sinks, bathtubs and shower curtains."""

from pcl_synth.mesh import Shape, box, lathe, rod, sheet
from pcl_synth.rooms.style import Style


def toilet(style: Style) -> Shape:
    """A bowl with seat, and a tank or a wall box; the lid is open or closed."""
    china, s = style.ceramic(), style.between(0.92, 1.1)
    length, width, y = 0.26 * s, 0.185 * s, style.pick((0.0, 0.19))
    middle, seat = y + length, style.between(0.38, 0.44)
    bowl = [(0.62, 0.0), (0.55, 0.12), (0.72, 0.24), (1.0, seat - 0.06), (1.0, seat - 0.02)]
    bowl += [(0.72, seat - 0.02), (0.45, seat - 0.2), (0.0, seat - 0.24)]
    shape = [lathe(bowl, china, center=(0, middle), stretch=(width, length), n_sides=20)]
    shape.append(box((-0.1, 0.1), (0, middle), (0, seat - 0.12), china))
    if y:
        top = seat + style.between(0.3, 0.4)
        shape.append(box((-0.2 * s, 0.2 * s), (0, 0.18), (seat - 0.05, top), china))
        shape.append(box((-0.21 * s, 0.21 * s), (0, 0.19), (top, top + 0.03), china))
    ring = [(1.02, seat - 0.02), (1.02, seat + 0.01), (0.66, seat + 0.01), (0.66, seat - 0.02)]
    lid = style.ceramic() if style.chance(0.5) else china
    if style.chance(0.5):
        shape.append(
            lathe(
                [(1.02, seat - 0.02), (1.02, seat + 0.03), (0.0, seat + 0.03)],
                lid,
                center=(0, middle),
                stretch=(width, length),
                n_sides=20,
            )
        )
        return shape
    shape.append(lathe(ring, lid, center=(0, middle), stretch=(width, length), n_sides=20))
    shape.append(box((-width, width), (y + 0.01, y + 0.035), (seat, seat + 2 * length - 0.05), lid))
    return shape


def basin(style: Style, *, top: float) -> Shape:
    """A hollow bowl or box, rim at `top`, with a tap behind it."""
    china = style.ceramic() if style.chance(0.65) else style.metal()
    half, depth, deep = style.between(0.2, 0.3), style.between(0.36, 0.48), style.between(0.1, 0.18)
    squareness, rim = style.pick((1.0, 0.4, 0.2)), 0.93
    profile = [
        (0.5, top - deep - 0.02),
        (1.0, top),
        (rim, top + 0.005),
        (0.6, top - deep),
        (0.0, top - deep),
    ]
    middle = depth / 2 + 0.08
    shape = [
        lathe(
            profile,
            china,
            center=(0, middle),
            stretch=(half, depth / 2),
            squareness=squareness,
            n_sides=20,
        )
    ]
    metal, spout = style.metal(), style.between(0.12, 0.3)
    shape.append(rod((0, 0.06, top), (0, 0.06, top + spout), 0.014, metal))
    return [*shape, rod((0, 0.06, top + spout), (0, 0.2, top + spout - 0.03), 0.012, metal)]


def sink(style: Style) -> Shape:
    """A wash basin on a pedestal or hung on the wall."""
    top = style.between(0.78, 0.92)
    shape = basin(style, top=top)
    china = shape[0].material
    shape.append(box((-0.2, 0.2), (0, 0.14), (top - 0.12, top), china))
    if style.chance(0.6):
        foot = [(0.11, 0.0), (0.07, 0.15), (0.07, top - 0.25), (0.14, top - 0.12)]
        shape.append(lathe(foot, china, center=(0, 0.22)))
    return shape


def bathtub(style: Style) -> Shape:
    """A hollow tub, built in or free-standing, long side to the wall."""
    half, depth, height = (
        style.between(0.7, 0.88),
        style.between(0.68, 0.85),
        style.between(0.45, 0.62),
    )
    china, built_in = style.ceramic(), style.chance(0.65)
    middle = (0.0, depth / 2)
    inner, floor = 0.88, style.between(0.1, 0.18)
    square = style.between(0.25, 0.5)
    profile = [
        (0.8, 0.0),
        (1.0, height),
        (inner, height),
        (0.75, floor + 0.03),
        (0.6, floor),
        (0.0, floor),
    ]
    if not built_in:
        return [
            lathe(
                profile,
                china,
                center=middle,
                stretch=(half, depth / 2),
                squareness=square,
                n_sides=28,
            )
        ]
    panel = china if style.chance(0.5) else style.tiles()
    rim = [(1.02, height), *profile[2:]]
    shape = [
        lathe(
            rim,
            china,
            center=middle,
            stretch=(half * 0.95, depth * 0.47),
            squareness=square,
            n_sides=28,
        )
    ]
    e = 0.07
    shape += [
        box(x, (0, depth), (0, height), panel) for x in ((-half, -half + e), (half - e, half))
    ]
    return shape + [box((-half, half), y, (0, height), panel) for y in ((0, e), (depth - e, depth))]


def shower_curtain(style: Style, *, width: float) -> Shape:
    """A pleated curtain under a rod, drawn over a part of `width`."""
    part, top = width * style.between(0.3, 0.85), style.between(1.85, 2.05)
    side = style.pick((-1, 1)) * (width - part) / 2
    cloth = style.fabric()
    folds = sheet(
        (side - part / 2, side + part / 2),
        (style.between(0.12, 0.4), top),
        cloth,
        y=0.05,
        amplitude=style.between(0.015, 0.04),
        n_folds=part / style.between(0.09, 0.16),
    )
    return [
        folds,
        rod((-width / 2, 0.05, top + 0.02), (width / 2, 0.05, top + 0.02), 0.012, style.metal()),
    ]
