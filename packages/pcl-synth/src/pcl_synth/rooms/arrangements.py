"""Groups of objects as people arrange them: a desk with its chair, a row of cabinets."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pcl_synth.mesh import Shape, bounds, box, moved, turned
from pcl_synth.rooms.bathroom import (
    basin,
    bathtub,
    shower_curtain,
    sink,
    toilet,
)
from pcl_synth.rooms.props import (
    floor_lamp,
    floor_prop,
    monitor,
    small_prop,
    television,
)
from pcl_synth.rooms.seating import bed, chair, sofa
from pcl_synth.rooms.storage import (
    bookshelf,
    cabinet,
    other_furniture,
    refrigerator,
)
from pcl_synth.rooms.style import Style
from pcl_synth.rooms.tables import bar_counter, counter_top, desk, table


class Item(NamedTuple):
    """One object: its shape and the name of its class, or None where it has none."""

    shape: Shape
    label: str | None


Group = list[Item]


def bed_group(style: Style) -> Group:
    """A bed, perhaps with night stands close by."""
    group = [Item(bed(style), "bed")]
    half = bounds(group[0].shape)[1, 0]
    for side in (-1, 1):
        if style.chance(0.45):
            label = style.pick(("cabinet", "table"))
            size = (style.between(0.38, 0.5), style.between(0.35, 0.45), style.between(0.45, 0.62))
            stand = cabinet(style, size=size) if label == "cabinet" else table(style, low=True)
            offset = bounds(stand)[1, 0] + half + style.between(0.0, 0.08)
            group += with_props(style, Item(moved(stand, (side * offset, 0, 0)), label), 0, 2)
    return group


def desk_group(style: Style) -> Group:
    """One to three desks side by side, with screens, things and chairs."""
    group: Group = []
    one = desk(style)
    width = 2 * bounds(one)[1, 0] + style.pick((0.0, 0.0, 0.02))
    n = style.pick((1, 1, 2, 3))
    for k in range(n):
        piece = Item(moved(one, (k * width, 0, 0)), "desk")
        group += with_props(style, piece, 1, 5)
        top = bounds(one)[1, 2]
        if style.chance(0.75):
            group.append(
                Item(moved(monitor(style), (k * width + style.between(-0.2, 0.2), 0.05, top)), None)
            )
        if style.chance(0.85):
            distance = bounds(one)[1, 1] + style.between(-0.2, 0.25)
            group.append(
                _facing(style, chair(style), k * width + style.between(-0.15, 0.15), distance)
            )
        if style.chance(0.2):
            prop = Item(moved(floor_prop(style), (k * width, 0.25, 0)), None)
            group.append(prop)
    return group


def dining_group(style: Style) -> Group:
    """A table with chairs pushed under it or drawn back."""
    top = table(style)
    low, high = bounds(top)
    group = with_props(style, Item(top, "table"), 0, 5)
    kind, middle = style.rng.integers(1 << 30), (low[1] + high[1]) / 2
    same = style.chance(0.7)
    seats = [(x, high[1], 0.0) for x in _seats(high[0])] + [
        (x, high[1], 3.1416) for x in _seats(high[0])
    ]
    seats += [(0.0, high[0] + middle, -1.5708), (0.0, high[0] + middle, 1.5708)]
    for k, (x, y, yaw) in enumerate(seats):
        if style.chance(0.75 if k < len(seats) - 2 else 0.3):
            shape = chair(_copy(style, int(kind)) if same else style)
            seat = _facing(style, shape, x, y + style.between(-0.22, 0.15) - middle)
            group.append(Item(moved(turned(seat.shape, yaw), (0, middle, 0)), "chair"))
    return group


def chair_row(style: Style) -> Group:
    """Chairs along a wall, often touching."""
    kind, gap, group, at = int(style.rng.integers(1 << 30)), style.pick((0.0, 0.0, 0.05)), [], 0.0
    for _ in range(style.count(2, 4)):
        shape = chair(_copy(style, kind))
        low, high = bounds(shape)
        group.append(Item(moved(shape, (at - low[0], -low[1], 0)), "chair"))
        at += high[0] - low[0] + gap
    return group


def storage_row(style: Style) -> Group:
    """Cabinets, shelves and the like with their sides touching."""
    group: Group = []
    at, gap, size = 0.0, style.pick((0.0, 0.0, 0.01, 0.04)), None
    if style.chance(0.3):
        size = (style.between(0.4, 0.6), style.between(0.4, 0.6), style.between(0.7, 2.0))
    for _ in range(style.count(1, 3)):
        label = style.pick(("cabinet", "cabinet", "bookshelf", "bookshelf", "otherfurniture"))
        shape = {
            "cabinet": lambda: cabinet(style, size=size),
            "bookshelf": lambda: bookshelf(style),
        }.get(label, lambda: other_furniture(style))()
        low, high = bounds(shape)
        item = Item(moved(shape, (at - low[0], -low[1], 0)), label)
        group += with_props(style, item, 0, 2) if high[2] < 1.4 and label == "cabinet" else [item]
        at += high[0] - low[0] + gap
    return group


def sofa_group(style: Style) -> Group:
    """A sofa, mostly with a coffee table, a side table or a lamp."""
    group = [Item(sofa(style), "sofa")]
    low, high = bounds(group[0].shape)
    if style.chance(0.75):
        near = table(style, low=True)
        near = moved(near, (style.between(-0.3, 0.3), high[1] + style.between(0.1, 0.4), 0))
        group += with_props(style, Item(near, "table"), 0, 4)
    if style.chance(0.5):
        lamp = floor_lamp(style) if style.chance(0.5) else table(style, low=True)
        label = None if bounds(lamp)[1, 2] > 1 else "table"
        x = style.pick((low[0], high[0])) * 1.02
        reach = bounds(lamp)[1, 0]
        group.append(Item(moved(lamp, (x + (reach if x > 0 else -reach), 0, 0)), label))
    return group


def television_group(style: Style) -> Group:
    """A sideboard or low table that carries a screen."""
    size = (style.between(0.9, 1.7), style.between(0.35, 0.5), style.between(0.35, 0.7))
    label = style.pick(("cabinet", "table", "otherfurniture"))
    stand = table(style, low=True) if label == "table" else cabinet(style, size=size)
    top = bounds(stand)[1, 2]
    return [Item(stand, label), Item(moved(television(style), (0, 0.08, top)), None)]


def kitchen_line(style: Style) -> Group:
    """Base cabinets under a worktop with a sink; stove, refrigerator and wall cabinets beside."""
    height, depth, group, at = style.between(0.84, 0.95), style.between(0.55, 0.65), [], 0.0
    n = style.count(2, 4)
    unit = style.between(0.45, 0.7)
    for _ in range(n):
        base = cabinet(_copy(style, 7 + n), size=(unit, depth - 0.03, height - 0.05))
        group.append(Item(moved(base, (at + unit / 2, 0, 0)), "cabinet"))
        at += unit
    group += with_props(
        style, Item(moved(counter_top(style, at, depth, height), (at / 2, 0, 0)), "counter"), 1, 4
    )
    group.append(
        Item(
            moved(basin(style, top=height + 0.015), (style.between(0.35, at - 0.35), 0, 0)), "sink"
        )
    )
    upper = style.between(0.55, 0.8)
    for k in range(n):
        if style.chance(0.7):
            wall = cabinet(_copy(style, 9 + n), size=(unit, 0.33, upper))
            group.append(Item(moved(wall, ((k + 0.5) * unit, 0, height + 0.5)), "cabinet"))
    side = style.pick((-1, 1))
    for make, label in ((other_furniture, "otherfurniture"), (refrigerator, "refrigerator")):
        if style.chance(0.75):
            shape = make(style)
            low, high = bounds(shape)
            x = -high[0] - 0.01 if side > 0 else at - low[0] + 0.01
            group.append(Item(moved(shape, (x, 0, 0)), label))
            side = -side
    return group


def counter_group(style: Style) -> Group:
    """A breakfast bar or reception, with things on it and stools before it."""
    group = with_props(style, Item(bar_counter(style), "counter"), 1, 5)
    edge = bounds(group[0].shape)[1]
    for x in _seats(edge[0]):
        if style.chance(0.4):
            group.append(_facing(style, chair(style), x, edge[1] + style.between(0.05, 0.3)))
    return group


def bath_group(style: Style) -> Group:
    """A tub with a shower curtain along its open side."""
    tub = bathtub(style)
    low, high = bounds(tub)
    group = [Item(tub, "bathtub")]
    if style.chance(0.75):
        curtain = shower_curtain(style, width=float(high[0] - low[0]))
        group.append(Item(moved(curtain, (0, high[1] - 0.06, 0)), "shower curtain"))
    return group


def shower_group(style: Style) -> Group:
    """A tray behind a shower curtain."""
    width, china = style.between(0.8, 1.1), style.ceramic()
    tray = [box((-width / 2, width / 2), (0, 0.85), (0, style.between(0.05, 0.15)), china)]
    curtain = moved(shower_curtain(style, width=width), (0, 0.8, 0))
    return [Item(tray, "floor"), Item(curtain, "shower curtain")]


def vanity_group(style: Style) -> Group:
    """A basin in a worktop on a cabinet, or a plain wash basin."""
    if style.chance(0.5):
        return [Item(sink(style), "sink")]
    width, depth, height = (
        style.between(0.6, 1.3),
        style.between(0.48, 0.56),
        style.between(0.78, 0.88),
    )
    group = [Item(cabinet(style, size=(width - 0.02, depth - 0.02, height - 0.04)), "cabinet")]
    group += with_props(style, Item(counter_top(style, width, depth, height), "counter"), 0, 3)
    return [*group, Item(basin(style, top=height + 0.015), "sink")]


def single(make: Callable[[Style], Shape], label: str | None) -> Callable[[Style], Group]:
    """A group of one object."""
    return lambda style: [Item(make(style), label)]


toilet_group = single(toilet, "toilet")


def with_props(style: Style, item: Item, fewest: int, most: int) -> Group:
    """The item and some small things on its top."""
    low, high = bounds(item.shape)
    group = [item]
    for _ in range(style.count(fewest, most)):
        x, y = (
            style.between(0.8 * a + 0.2 * b, 0.2 * a + 0.8 * b)
            for a, b in zip(low[:2], high[:2], strict=True)
        )
        group.append(Item(moved(small_prop(style), (x, y, float(high[2]))), None))
    return group


def _facing(style: Style, shape: Shape, x: float, y: float) -> Item:
    """A chair whose front edge stands at y and looks towards -y."""
    high = bounds(shape)[1]
    shape = turned(moved(shape, (0, -high[1], 0)), 3.1416 + style.between(-0.35, 0.35))
    return Item(moved(shape, (x, y, 0)), "chair")


def _seats(half: float) -> list[float]:
    n = max(1, int(2 * half / 0.58))
    return [-half + (k + 0.5) * 2 * half / n for k in range(n)]


def _copy(style: Style, seed: int) -> Style:
    """The same room style, with numbers that start again at `seed`."""
    twin = copy.copy(style)
    twin.rng = np.random.default_rng(seed)
    return twin
