"""Cabinets, bookshelves, refrigerators, and the furniture that has no class of its own."""

from itertools import pairwise

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Range,
    Shape,
    Vector,
    box,
    cushion,
    cylinder,
    lathe,
    rod,
)
from pcl_synth.rooms.seating import legs
from pcl_synth.rooms.style import Style
from pcl_synth.rooms.tables import drawer_stack


def cabinet(style: Style, *, size: Vector | None = None) -> Shape:
    """A wardrobe, sideboard, dresser or filing cabinet of `size` (width, depth, height)."""
    if size is None:
        low = (style.between(0.4, 1.6), style.between(0.35, 0.55), style.between(0.5, 1.1))
        tall = (style.between(0.5, 1.6), style.between(0.4, 0.65), style.between(1.5, 2.15))
        size = style.pick((low, low, tall))
    width, depth, height = size
    w, front, body = width / 2, depth - 0.02, style.board()
    if style.chance(0.3) and height < 1.3:
        return drawer_stack((-w, w), (0, front), (0, height), style, max(2, int(height / 0.22)))
    lift = style.pick((0.0, 0.06, 0.1))
    shape = [box((-w, w), (0, front), (lift, height), body)]
    if lift:
        shape += legs((-w, w), (0.02, front - 0.02), lift, style, thickness=0.05)
    n = max(1, round(width / style.between(0.4, 0.6)))
    edges = [-w + width * k / n for k in range(n + 1)]
    door = body if style.chance(0.7) else style.board()
    for x in pairwise(edges):
        shape += _front(style, x, front, (lift, height), door)
    if style.chance(0.3):
        shape.append(box((-w - 0.02, w + 0.02), (0, depth + 0.02), (height, height + 0.025), body))
    return shape


def bookshelf(style: Style) -> Shape:
    """Open shelves with books and boxes; sometimes without a back or with doors below."""
    w, depth, height = style.between(0.3, 0.75), style.between(0.22, 0.4), style.between(0.75, 2.15)
    board, t = style.board(), style.between(0.015, 0.035)
    shape = [box((x, x + t), (0, depth), (0, height), board) for x in (-w, w - t)]
    if style.chance(0.65):
        shape.append(box((-w, w), (0, 0.01), (0, height), board))
    n = max(2, round(height / style.between(0.28, 0.45)))
    levels = [0.05 + (height - t - 0.05) * k / n for k in range(n + 1)]
    shape += [box((-w + t, w - t), (0, depth - 0.01), (z, z + t), board) for z in levels]
    first = 1 if style.chance(0.25) else 0
    if first:
        shape += _front(style, (-w, w), depth - 0.02, (0.0, levels[1]), board)
    covers = [style.painting() if style.chance(0.2) else style.fabric() for _ in range(8)]
    fullness = style.pick((0.1, 0.5, 0.8, 0.95))
    for low, high in zip(levels[first:-1], levels[first + 1 :], strict=True):
        if style.chance(fullness):
            shape += _books(style, (-w + t, w - t), depth, (low + t, high), covers)
    return shape


def refrigerator(style: Style) -> Shape:
    """One or two doors with handles, from a mini bar to a tall double."""
    width, depth, height = (
        style.between(0.55, 0.9),
        style.between(0.55, 0.75),
        style.between(1.4, 1.95),
    )
    if style.chance(0.2):
        width, depth, height = (
            style.between(0.45, 0.55),
            style.between(0.45, 0.55),
            style.between(0.6, 0.9),
        )
    body, w, gap = style.paint() if style.chance(0.6) else style.metal(), width / 2, 0.012
    shape = [box((-w, w), (0, depth - 0.07), (0.02, height), body)]
    split = height * style.pick((0.35, 0.62, 0.7, 0.97))
    doors: list[tuple[Range, Range]] = [((-w, w), (0.04, split - gap))]
    if split < 0.9 * height:
        doors.append(((-w, w), (split + gap, height)))
    if width > 0.8:
        doors = [((a, b), z) for _, z in doors for a, b in ((-w, -gap / 2), (gap / 2, w))]
    handle, side = style.metal(), style.pick((-1, 1))
    for x, z in doors:
        shape.append(box(x, (depth - 0.06, depth), z, body))
        hx = x[0] + 0.05 if side < 0 else x[1] - 0.05
        low, high = z[0] + 0.2 * (z[1] - z[0]), z[0] + 0.75 * (z[1] - z[0])
        shape.append(box((hx - 0.012, hx + 0.012), (depth, depth + 0.05), (low, high), handle))
    return shape


def other_furniture(style: Style) -> Shape:
    """A bin, radiator, ottoman, printer stand, water cooler, chest, stove or coat stand."""
    kinds = (_bin, _bin, _radiator, _ottoman, _printer_stand, _cooler, _stove, _coat_stand, _chest)
    return style.pick(kinds)(style)


def _front(style: Style, x: Range, front: float, z: Range, door: Material) -> Shape:
    """A door leaf with a handle, flush or framed."""
    a, b, low, high = x[0] + 0.004, x[1] - 0.004, z[0] + 0.006, z[1] - 0.006
    shape = [box((a, b), (front, front + 0.018), (low, high), door)]
    if style.chance(0.3) and b - a > 0.2 and high - low > 0.3:
        shape += [
            box((p, q), (front, front + 0.03), (low, high), door)
            for p, q in ((a, a + 0.06), (b - 0.06, b))
        ]
        shape += [
            box((a, b), (front, front + 0.03), (p, q), door)
            for p, q in ((low, low + 0.06), (high - 0.06, high))
        ]
    grip, middle = b - 0.06, (low + high) / 2
    if style.chance(0.8):
        shape.append(
            box(
                (grip, grip + 0.02),
                (front, front + 0.05),
                (middle - 0.06, middle + 0.06),
                style.metal(),
            )
        )
    return shape


def _books(style: Style, x: Range, depth: float, z: Range, covers: list[Material]) -> Shape:
    shape, at, room = [], x[0] + 0.005, z[1] - z[0]
    while at < x[1] - 0.06:
        if style.chance(0.08):
            at += style.between(0.05, 0.2)
            continue
        thick = min(style.between(0.018, 0.055), x[1] - at)
        if style.chance(0.05):
            thick = min(style.between(0.12, 0.3), x[1] - at)
        tall, deep = room * style.between(0.55, 0.9), depth * style.between(0.6, 0.95)
        shape.append(
            box((at, at + thick - 0.002), (0.01, deep), (z[0], z[0] + tall), style.pick(covers))
        )
        at += thick
    return shape


def _bin(style: Style) -> Shape:
    r, height, paint = style.between(0.12, 0.2), style.between(0.25, 0.65), style.paint()
    inner, foot = r * 0.93, r * style.between(0.7, 1)
    profile = [
        (0.0, 0.0),
        (foot, 0.0),
        (r, height),
        (inner, height),
        (foot * 0.9, 0.03),
        (0.0, 0.03),
    ]
    square = style.pick((1.0, 1.0, 0.2))
    return [lathe(profile, paint, center=(0, r), squareness=square)]


def _radiator(style: Style) -> Shape:
    w, height, paint, low = style.between(0.3, 0.7), style.between(0.45, 0.75), style.paint(), 0.1
    n = int(2 * w / 0.06)
    fins = [
        box((-w + 0.06 * k, -w + 0.06 * k + 0.04), (0.03, 0.12), (low, low + height), paint)
        for k in range(n)
    ]
    return [box((-w, w), (0.05, 0.08), (low + 0.02, low + height - 0.02), paint), *fins]


def _ottoman(style: Style) -> Shape:
    w, d, height = style.between(0.2, 0.45), style.between(0.4, 0.6), style.between(0.35, 0.46)
    return [
        cushion(
            (-w, w), (0, d), (0.02, height), style.fabric(), squareness=style.pick((0.15, 0.3, 0.7))
        )
    ]


def _printer_stand(style: Style) -> Shape:
    w, d, height, plastic = (
        style.between(0.25, 0.35),
        style.between(0.45, 0.6),
        style.between(0.55, 1.0),
        style.paint(),
    )
    return [
        box((-w, w), (0, d), (0.04, height), plastic),
        box((-w + 0.03, w - 0.03), (0.05, d - 0.1), (height, height + 0.12), style.paint()),
        box((-w + 0.05, w - 0.05), (d, d + 0.12), (height * 0.7, height * 0.7 + 0.02), plastic),
    ]


def _cooler(style: Style) -> Shape:
    bottle = [(0.0, 0.98), (0.06, 0.98), (0.14, 1.06), (0.14, 1.32), (0.0, 1.36)]
    return [
        box((-0.16, 0.16), (0, 0.32), (0, 0.98), style.paint()),
        lathe(bottle, style.paint()._replace(gloss=0.5), center=(0, 0.16)),
    ]


def _stove(style: Style) -> Shape:
    body, black = style.paint(), style.paint()._replace(gloss=0.15)
    shape = [
        box((-0.3, 0.3), (0, 0.6), (0, 0.88), body),
        box((-0.25, 0.25), (0.6, 0.62), (0.2, 0.7), black),
    ]
    rings = [
        cylinder((x, y), 0.08, (0.88, 0.895), black) for x in (-0.14, 0.14) for y in (0.17, 0.43)
    ]
    return [*shape, *rings, rod((-0.22, 0.64, 0.75), (0.22, 0.64, 0.75), 0.012, style.metal())]


def _coat_stand(style: Style) -> Shape:
    wood, height = style.wood(), style.between(1.5, 1.8)
    shape = [cylinder((0, 0.2), 0.025, (0, height), wood), cylinder((0, 0.2), 0.2, (0, 0.03), wood)]
    coat = [(0.03, height - 0.05), (0.17, height - 0.2), (0.22, height - 0.9), (0.0, height - 0.9)]
    return [*shape, lathe(coat, style.fabric(), center=(0, 0.2), stretch=(1, 0.6))]


def _chest(style: Style) -> Shape:
    w, d, height, wood = (
        style.between(0.3, 0.6),
        style.between(0.35, 0.5),
        style.between(0.35, 0.55),
        style.board(),
    )
    return [
        box((-w, w), (0, d), (0, height * 0.75), wood),
        box((-w - 0.01, w + 0.01), (0, d + 0.01), (height * 0.77, height), wood),
    ]
