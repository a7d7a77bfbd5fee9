"""Tables, desks, worktops."""

from pcl_synth.mesh import (
    Range,
    Shape,
    box,
    cylinder,
    lathe,
    rod,
)
from pcl_synth.rooms.seating import legs
from pcl_synth.rooms.style import Style


def table(style: Style, *, low: bool = False) -> Shape:
    """Round, oval, square or long, on legs, a pedestal or panels; a coffee table if `low`."""
    height = style.between(0.32, 0.52) if low else style.between(0.68, 0.8)
    width, depth = (
        (style.between(0.5, 1.2), style.between(0.4, 0.7))
        if low
        else (style.between(0.65, 1.9), style.between(0.6, 0.95))
    )
    top, t = style.board(), style.between(0.02, 0.06)
    if style.chance(0.35):
        return _round_table(style, min(width, 1.3) / 2, height, t)
    w, kind = width / 2, style.pick(("legs", "legs", "trestle", "pedestal", "panels"))
    shape = [box((-w, w), (0, depth), (height - t, height), top)]
    inset = style.between(0, 0.08)
    if kind == "legs":
        return shape + legs(
            (-w + inset, w - inset),
            (inset, depth - inset),
            height - t,
            style,
            thickness=style.between(0.03, 0.09),
        )
    if kind == "panels":
        return shape + [
            box((x, x + t), (0.02, depth - 0.02), (0, height - t), top)
            for x in (-w + inset, w - inset - t)
        ]
    frame = style.metal() if style.chance(0.5) else top
    if kind == "pedestal":
        shape.append(
            box((-0.06, 0.06), (depth / 2 - 0.06, depth / 2 + 0.06), (0, height - t), frame)
        )
        return [*shape, box((-w / 2, w / 2), (depth * 0.2, depth * 0.8), (0, 0.04), frame)]
    for x in (-w + 0.12, w - 0.12):
        shape.append(rod((x, 0.05, 0.0), (x, depth - 0.05, height - t), 0.02, frame))
        shape.append(rod((x, depth - 0.05, 0.0), (x, 0.05, height - t), 0.02, frame))
    return shape


def desk(style: Style) -> Shape:
    """A writing desk: legs or panels, often with drawers or a back panel; its seat side is +y."""
    w, depth, height = style.between(0.5, 0.9), style.between(0.55, 0.8), style.between(0.7, 0.78)
    board, t = style.board(), style.between(0.02, 0.05)
    shape = [box((-w, w), (0, depth), (height - t, height), board)]
    drawers = style.pick((0, 0, 1, 1, 2))
    for side in (-1, 1)[:drawers]:
        inner, outer = sorted((side * (w - 0.42), side * (w - 0.02)))
        shape += drawer_stack((inner, outer), (0.05, depth - 0.03), (0.05, height - t), style, 3)
    if drawers < 2 and style.chance(0.5):
        shape += [
            box((x, x + t), (0.01, depth - 0.05), (0, height - t), board) for x in (-w, w - t)
        ]
    elif drawers < 2:
        shape += legs((-w, w), (0, depth), height - t, style, thickness=style.between(0.03, 0.07))
    if style.chance(0.4):
        shape.append(
            box(
                (-w + t, w - t),
                (0.02, 0.04),
                (height - style.between(0.25, 0.6), height - t),
                board,
            )
        )
    if style.chance(0.15):
        x = (-w, -w + 0.6) if style.chance(0.5) else (w - 0.6, w)
        shape.append(box(x, (depth, depth + 0.7), (height - t, height), board))
        shape.append(box((x[0], x[1]), (depth + 0.66, depth + 0.68), (0, height - t), board))
    return shape


def drawer_stack(x: Range, y: Range, z: Range, style: Style, n: int) -> Shape:
    """A box whose front at the high end of y shows n drawers with handles."""
    board, knob, step = style.board(), style.metal(), (z[1] - z[0]) / n
    shape, middle = [box(x, y, z, board)], (x[0] + x[1]) / 2
    for k in range(n):
        low, high = z[0] + k * step + 0.01, z[0] + (k + 1) * step - 0.01
        shape.append(box((x[0] + 0.01, x[1] - 0.01), (y[1], y[1] + 0.018), (low, high), board))
        shape.append(
            box(
                (middle - 0.05, middle + 0.05),
                (y[1], y[1] + 0.04),
                (high - 0.06, high - 0.045),
                knob,
            )
        )
    return shape


def counter_top(style: Style, width: float, depth: float, height: float) -> Shape:
    """A worktop slab, sometimes with a splash board."""
    stone, t = style.stone() if style.chance(0.7) else style.wood(), style.between(0.03, 0.06)
    shape = [box((-width / 2, width / 2), (0, depth), (height - t, height), stone)]
    if style.chance(0.4):
        shape.append(
            box(
                (-width / 2, width / 2),
                (0, 0.02),
                (height, height + style.between(0.05, 0.12)),
                stone,
            )
        )
    return shape


def bar_counter(style: Style) -> Shape:
    """A closed reception or breakfast counter."""
    w, depth, height = style.between(0.6, 1.1), style.between(0.4, 0.65), style.between(0.88, 1.1)
    body = style.board()
    return [
        box((-w + 0.03, w - 0.03), (0.05, depth - 0.08), (0, height - 0.04), body),
        *[part for part in counter_top(style, 2 * w, depth, height)],
    ]


def _round_table(style: Style, r: float, height: float, t: float) -> Shape:
    top, stretch = style.board(), (1.0, style.pick((1.0, 1.0, 0.7)))
    profile = [(0.0, height - t), (r, height - t), (r, height), (0.0, height)]
    shape = [lathe(profile, top, center=(0, r), stretch=stretch, n_sides=28)]
    if style.chance(0.5):
        frame = style.metal() if style.chance(0.5) else top
        foot = [(0.0, 0.03), (r * 0.6, 0.03), (r * 0.6, 0.0)]
        shape.append(lathe(foot, frame, center=(0, r)))
        return [*shape, cylinder((0, r), style.between(0.03, 0.07), (0, height - t), frame)]
    a = r * 0.6
    return shape + legs((-a, a), (r - a * stretch[1], r + a * stretch[1]), height - t, style)
