"""Chairs, sofas and beds."""

from pcl_synth.materials import Material
from pcl_synth.mesh import (
    Part,
    Range,
    Shape,
    box,
    cushion,
    cylinder,
    moved,
    rod,
    turned,
)
from pcl_synth.rooms.style import Style


def chair(style: Style) -> Shape:
    """A dining chair, office chair, armchair, tub chair or stool."""
    kind = style.pick(
        (_dining_chair, _dining_chair, _office_chair, _office_chair, _armchair, _stool)
    )
    return kind(style)


def sofa(style: Style) -> Shape:
    """One to four seats, with or without arms, cushions and a chaise."""
    seats, arm = style.count(1, 3), style.pick((0.0, 0.12, 0.2, 0.28))
    seat_width, depth = style.between(0.55, 0.8), style.between(0.75, 1.0)
    seat, back, lift = (
        style.between(0.38, 0.5),
        style.between(0.68, 1.0),
        style.pick((0.0, 0.08, 0.14)),
    )
    cloth, half = style.fabric(), seats * seat_width / 2
    back_depth = style.between(0.15, 0.25)
    shape = [
        box((-half, half), (0.02, depth - 0.04), (lift, seat - 0.14), cloth),
        cushion((-half - arm, half + arm), (0, back_depth), (lift, back), cloth, squareness=0.2),
    ]
    for i in range(seats):
        x = (-half + i * seat_width, -half + (i + 1) * seat_width)
        shape.append(cushion(x, (back_depth - 0.02, depth), (seat - 0.17, seat), cloth))
        if style.chance(0.6):
            soft = cushion(
                x, (back_depth - 0.05, back_depth + 0.15), (seat - 0.03, back + 0.04), cloth
            )
            shape += turned([soft], 0.15, axis="x", pivot=(0, back_depth, seat))
    if arm:
        arm_height, roundness = seat + style.between(0.12, 0.28), style.pick((0.15, 0.3, 0.6))
        for x in ((-half - arm, -half), (half, half + arm)):
            shape.append(
                cushion(x, (0, depth - 0.02), (lift, arm_height), cloth, squareness=roundness)
            )
    if seats > 1 and style.chance(0.3):
        side = style.pick((-1, 1)) * (half - seat_width / 2)
        x, y = (
            (side - seat_width / 2, side + seat_width / 2),
            (depth - 0.05, depth + style.between(0.4, 0.7)),
        )
        shape.append(cushion(x, y, (lift, seat), cloth, squareness=0.2))
    if lift:
        shape += legs((-half, half), (0.05, depth - 0.08), lift, style, thickness=0.04)
    return shape


def bed(style: Style) -> Shape:
    """A single, double or bunk bed with blanket and pillows; the head is at the back."""
    width, length = style.pick((0.85, 0.95, 1.4, 1.6, 1.8)), style.between(1.9, 2.1)
    if width < 1 and style.chance(0.25):
        return _bunk_bed(style, width, length)
    return _single_deck(style, width, length, style.between(0.35, 0.65))


def legs(
    x: Range,
    y: Range,
    height: float,
    style: Style,
    *,
    thickness: float = 0.05,
    material: Material | None = None,
) -> Shape:
    """Four legs at the corners of a rectangle, square, round or splayed."""
    material = material or (style.wood() if style.chance(0.6) else style.metal())
    splay, square, t = style.pick((0.0, 0.0, 0.05)), style.chance(0.5), thickness / 2
    shape: Shape = []
    for sign_x, px in ((-1, x[0] + t), (1, x[1] - t)):
        for sign_y, py in ((-1, y[0] + t), (1, y[1] - t)):
            if square and not splay:
                shape.append(box((px - t, px + t), (py - t, py + t), (0, height), material))
            else:
                foot = (px + sign_x * splay, py + sign_y * splay, 0.0)
                shape.append(rod(foot, (px, py, height), t, material))
    return shape


def _dining_chair(style: Style) -> Shape:
    w, d = style.between(0.38, 0.5), style.between(0.38, 0.5)
    seat, top = style.between(0.42, 0.5), style.between(0.78, 1.08)
    frame, t = style.board(), style.between(0.025, 0.045)
    pad = style.fabric() if style.chance(0.5) else frame
    shape = legs((-w / 2, w / 2), (0, d), seat, style, thickness=t, material=frame)
    if style.chance(0.5):
        shape.append(box((-w / 2, w / 2), (0, d), (seat - t, seat), pad))
    else:
        shape.append(cushion((-w / 2, w / 2), (0, d), (seat - 0.06, seat + 0.02), pad))
    shape += turned(
        _back(style, w, seat, top, frame, pad),
        style.between(0.05, 0.22),
        axis="x",
        pivot=(0, 0.02, seat),
    )
    if style.chance(0.35):
        shape += _arms(style, w, d, seat, frame)
    return shape


def _back(style: Style, w: float, seat: float, top: float, frame: Material, pad: Material) -> Shape:
    kind, h = style.pick(("panel", "slats", "bars", "low")), w / 2
    posts = [
        box((x - 0.015, x + 0.015), (0, 0.03), (seat - 0.03, top), frame)
        for x in (-h + 0.015, h - 0.015)
    ]
    if kind == "panel":
        return [cushion((-h, h), (0, 0.05), (seat, top), pad, squareness=0.25)]
    if kind == "low":
        return [*posts, box((-h, h), (0, 0.025), (top - 0.2, top), pad)]
    rail = box((-h, h), (0, 0.03), (top - 0.06, top), frame)
    if kind == "slats":
        rows = [seat + (top - seat) * k / 4 for k in (1, 2, 3)]
        return [*posts, rail, *(box((-h, h), (0.005, 0.02), (z, z + 0.05), frame) for z in rows)]
    columns = [-h + w * k / 6 for k in range(1, 6)]
    bars = [rod((x, 0.015, seat), (x, 0.015, top), 0.01, frame) for x in columns]
    return [*posts, rail, *bars]


def _arms(style: Style, w: float, d: float, seat: float, frame: Material) -> Shape:
    height, shape = seat + style.between(0.17, 0.26), []
    for x in (-w / 2, w / 2):
        shape.append(box((x - 0.025, x + 0.025), (0, d * 0.85), (height - 0.03, height), frame))
        shape.append(rod((x, d * 0.75, seat - 0.02), (x, d * 0.75, height), 0.015, frame))
    return shape


def _office_chair(style: Style) -> Shape:
    w, d = style.between(0.44, 0.54), style.between(0.42, 0.52)
    seat, top = style.between(0.42, 0.56), style.between(0.85, 1.25)
    cloth, metal, c = style.fabric(), style.metal(), (0.0, d / 2)
    shape = [
        cushion((-w / 2, w / 2), (0, d), (seat - 0.09, seat), cloth),
        cylinder(c, 0.03, (0.08, seat - 0.05), metal, n_sides=8),
    ]
    star = [
        rod((0.0, 0.0, 0.1), (0.0, 0.3, 0.05), 0.022, metal),
        cylinder((0, 0.3), 0.03, (0, 0.06), metal),
    ]
    twist = style.between(0, 1)
    for k in range(5):
        shape += moved(turned(star, twist + k * 1.2566), (0, d / 2, 0))
    low = seat + style.pick((-0.02, 0.12))
    back = [cushion((-w / 2 + 0.02, w / 2 - 0.02), (-0.02, 0.07), (low, top), cloth)]
    back.append(box((-0.04, 0.04), (-0.03, 0.0), (seat - 0.06, low + 0.1), metal))
    shape += turned(back, style.between(0.0, 0.2), axis="x", pivot=(0, 0, seat))
    if style.chance(0.6):
        shape += _arms(style, w + 0.06, d, seat - 0.05, metal)
    return moved(turned(shape, style.between(-0.6, 0.6), pivot=(0, d / 2, 0)), (0, 0, 0))


def _armchair(style: Style) -> Shape:
    w, d, arm = style.between(0.42, 0.58), style.between(0.5, 0.75), style.between(0.07, 0.15)
    seat, back, cloth = style.between(0.38, 0.47), style.between(0.7, 1.0), style.fabric()
    lift, r = style.between(0.08, 0.2), style.pick((0.2, 0.35, 0.7))
    shape = [
        cushion((-w / 2, w / 2), (0.05, d), (lift, seat), cloth, squareness=0.2),
        cushion((-w / 2 - arm, w / 2 + arm), (0, 0.16), (lift, back), cloth, squareness=r),
    ]
    for x in ((-w / 2 - arm, -w / 2), (w / 2, w / 2 + arm)):
        shape.append(cushion(x, (0.05, d - 0.03), (lift, seat + 0.2), cloth, squareness=r))
    return shape + legs((-w / 2, w / 2), (0.06, d - 0.06), lift + 0.03, style, thickness=0.035)


def _stool(style: Style) -> Shape:
    r, height, board = style.between(0.16, 0.22), style.between(0.42, 0.75), style.board()
    seat: Part = cylinder((0, r), r, (height - 0.05, height), board)
    if style.chance(0.4):
        metal = style.metal()
        return [
            seat,
            cylinder((0, r), 0.03, (0, height), metal),
            cylinder((0, r), r, (0, 0.03), metal),
        ]
    return [
        seat,
        *legs((-r * 0.7, r * 0.7), (r * 0.3, r * 1.7), height - 0.04, style, thickness=0.035),
    ]


def _single_deck(style: Style, width: float, length: float, height: float) -> Shape:
    h, frame, sheet = width / 2, style.board(), style.fabric()
    low = style.pick((0.0, 0.0, 0.12))
    blanket, fold = style.fabric(), style.between(0.35, 1.2)
    shape = [
        box((-h, h), (0.0, length), (low, height - 0.18), frame),
        cushion(
            (-h + 0.02, h - 0.02),
            (0.03, length - 0.02),
            (height - 0.2, height),
            sheet,
            squareness=0.15,
        ),
        cushion(
            (-h - 0.02, h + 0.02),
            (fold, length + 0.01),
            (height - style.between(0.15, 0.3), height + 0.05),
            blanket,
            squareness=0.2,
        ),
    ]
    if low:
        shape += legs((-h, h), (0, length), low, style, thickness=0.06)
    if style.chance(0.7):
        shape.append(
            box((-h - 0.02, h + 0.02), (-0.05, 0.0), (0, style.between(height + 0.1, 1.2)), frame)
        )
    if style.chance(0.25):
        shape.append(
            box((-h, h), (length, length + 0.04), (0, height + style.between(0, 0.3)), frame)
        )
    n = 1 if width < 1.2 else 2
    for k in range(n):
        x, half = (2 * k + 1 - n) * width / (2 * n), style.between(0.22, 0.32)
        shape.append(
            cushion(
                (x - half, x + half),
                (0.06, style.between(0.4, 0.5)),
                (height - 0.02, height + 0.12),
                style.fabric(),
                squareness=0.6,
            )
        )
    return shape


def _bunk_bed(style: Style, width: float, length: float) -> Shape:
    h, frame, upper = width / 2, style.wood(), style.between(1.3, 1.5)
    shape = _single_deck(style, width, length, 0.45)
    shape.append(box((-h, h), (0, length), (upper - 0.1, upper), frame))
    shape.append(
        cushion(
            (-h, h),
            (0.02, length - 0.02),
            (upper - 0.02, upper + 0.15),
            style.fabric(),
            squareness=0.2,
        )
    )
    shape += legs(
        (-h - 0.03, h + 0.03),
        (-0.03, length + 0.03),
        upper + 0.25,
        style,
        thickness=0.06,
        material=frame,
    )
    return [*shape, box((h, h + 0.03), (0, length), (upper + 0.15, upper + 0.25), frame)]
