"""Plots of land beside a street: houses with gardens, rows, halls, car parks, greens, squares.

Inside a plot x runs along the street from its middle and y away from it; the front is at y = 0.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from pcl_synth.mesh import Range
from pcl_synth.streets import buildings, furniture, heavy_vehicles, people
from pcl_synth.streets.fences import Fence
from pcl_synth.streets.plants import bush, hedge, tree, tuft
from pcl_synth.streets.street import Builder, Group, Item
from pcl_synth.streets.style import StreetStyle
from pcl_synth.streets.traffic import park_across, parked

DEPTH = 32.0  # metres that a plot reaches back


class Plot:
    """A piece of land on one side of a street.

    Args:
        side: 1 left of the road, -1 right of it.
        s: ends along the road, metres.
        front: distance of its front from the centre line, metres.
    """

    def __init__(
        self, builder: Builder, style: StreetStyle, side: int, s: Range, front: float
    ) -> None:
        self.builder, self.style, self.side, self.front = builder, style, side, front
        self.s, self.half = s, (s[1] - s[0]) / 2

    def place(self, group: Group, x: float | int, y: float | int, turn: float | int = 0.0) -> None:
        """Stand a group in the plot; at turn 0 its -y looks to the street."""
        s, d = self._street(x, y)
        self.builder.place(group, s, d, turn + (0.0 if self.side > 0 else np.pi))

    def paint(self, x: Range, y: Range, name: str) -> None:
        """Cover an area of the plot."""
        (s0, d0), (s1, d1) = self._street(x[0], y[0]), self._street(x[1], y[1])
        self.builder.ground.paint((min(s0, s1), max(s0, s1)), (d0, d1), name)

    def enclose(self, kind: str, x: Range, y: float, *, across: bool = False) -> None:
        """A hedge or a fence along x at a y; or along y over the range at x."""
        style, fence = self.style, Fence(self.style) if kind == "fence" else None
        height, leaves = style.between(0.7, 2.0), style.leaves()
        ends = np.linspace(x[0], x[1], max(2, int((x[1] - x[0]) / 2.4) + 1))
        for a, b in pairwise(ends.tolist()):
            length, middle = b - a, (a + b) / 2
            if fence is not None:
                piece: Group = [Item(fence.piece(length), "fence")]
            else:
                piece = hedge(style, length, height, leaves)
            where = (y, middle, np.pi / 2) if across else (middle, y, 0.0)
            self.place(piece, *where)

    def scatter(self, make: Callable[..., Group], n: int, x: Range, y: Range, **more: Any) -> None:
        """Stand things anywhere in an area, turned at random."""
        for _ in range(n):
            style = self.style
            self.place(
                make(style, **more), style.between(*x), style.between(*y), style.between(-3, 3)
            )

    def _street(self, x: float | int, y: float | int) -> tuple[float, float]:
        return (self.s[0] + self.s[1]) / 2 + self.side * x, self.side * (self.front + y)


def row_house(plot: Plot) -> None:
    """A town house at the sidewalk and its yard."""
    style, depth = plot.style, plot.style.between(9, 13)
    house = buildings.town_house(style, 2 * plot.half - 0.05, depth)
    plot.paint((-plot.half, plot.half), (0, depth), style.pick(("sidewalk", "square", "sidewalk")))
    yard = style.pick((0.1, 0.1, 0.8, 2.6))
    plot.place([Item(house, "building")], 0.0, yard)
    if yard > 2:
        plot.paint((-plot.half, plot.half), (0, yard), "grass")
        gate = style.between(0.0, plot.half - 2)
        for x in ((-plot.half, gate), (gate + 1.5, plot.half)):
            plot.enclose(style.pick(("hedge", "hedge", "fence")), x, 0.3)
        plot.scatter(bush, style.count(1, 4), (-plot.half, plot.half), (1.0, 1.8))
    plot.scatter(tree, style.count(0, 1), (-plot.half, plot.half), (depth + 3, depth + 9))


def cottage(plot: Plot) -> None:
    """A detached house behind its garden, with a drive, a garage, hedges and trees."""
    style, half = plot.style, plot.half
    yard, drive = style.between(2.5, 7), style.between(2.8, 3.6)
    width = min(2 * half - drive - 2.5, style.between(7.5, 13))
    x = -half + 0.8 + width / 2
    plot.place([Item(buildings.cottage(style, width, style.between(7, 10)), "building")], x, yard)
    gate = half - drive - 0.2
    plot.paint((gate, half - 0.2), (0, yard + 6), style.pick(("lot", "path", "bay")))
    if style.chance(0.5):
        plot.place([Item(buildings.garage(style, drive), "building")], half - drive / 2, yard + 6.2)
    if style.chance(0.65):
        shape, label = parked(style, longest=7.0)
        turn = style.pick((-1, 1)) * np.pi / 2
        plot.place([Item(shape, label)], half - drive / 2, yard + 2.2, turn)
    border = style.pick(("hedge", "hedge", "fence", "open"))
    if border != "open":
        plot.enclose(border, (-half, gate - 0.2), 0.35)
    if style.chance(0.7):
        plot.enclose(style.pick(("hedge", "fence")), (0.4, 22), -half, across=True)
    plot.scatter(bush, style.count(2, 8), (-half + 0.8, gate - 0.8), (1.2, yard - 0.8))
    if yard > 4 and style.chance(0.6):
        plot.scatter(tree, 1, (-half + 1.5, gate - 1.5), (1.8, 2.5))
    plot.scatter(tree, style.count(1, 3), (-half, half), (yard + 13, yard + 24))
    plot.scatter(bush, style.count(0, 3), (gate - 1.5, gate), (1, 12))
    if style.chance(0.5):
        plot.place(furniture.bins(style), gate - 1.0, 1.0)


def car_park(plot: Plot) -> None:
    """Rows of parked cars behind a low hedge."""
    style, half = plot.style, plot.half
    plot.paint((-half + 1, half - 1), (1.5, 30), "lot")
    plot.paint((-3, 3), (0, 2), "lot")
    if style.chance(0.6):
        for x in ((-half + 1, -3.5), (3.5, half - 1)):
            plot.enclose(style.pick(("hedge", "fence")), x, 0.9)
    middle = (plot.s[0] + plot.s[1]) / 2
    for y in (5.0, 16.0, 21.5):
        ends = (middle - half + 2, middle + half - 2)
        park_across(
            plot.builder, style, ends, plot.side * (plot.front + y), style.between(0.3, 0.8)
        )
    for x in np.arange(-half + 3, half - 2, 14):
        plot.place(furniture.lamp_post(style), float(x), 18.7)
        plot.scatter(tree, 1, (float(x) + 4, float(x) + 5), (18.5, 19))
    make, label = style.pick(
        (
            (heavy_vehicles.truck, "truck"),
            (heavy_vehicles.bus, "other-vehicle"),
            (heavy_vehicles.caravan, "other-vehicle"),
        )
    )
    plot.place([Item(make(style), label)], style.between(-1, 1), 27.0 + style.between(-0.5, 0.5))


def hall(plot: Plot) -> None:
    """A hall or an office block behind a paved yard."""
    style, half = plot.style, plot.half
    yard = style.between(4, 12)
    plot.paint((-half, half), (0, DEPTH), style.pick(("lot", "square", "lot", "sidewalk")))
    building = buildings.hall(style, 2 * half - style.between(3, 6), style.between(12, 20))
    plot.place([Item(building, "building")], 0.0, yard)
    if yard > 8:
        middle = (plot.s[0] + plot.s[1]) / 2
        ends = (middle - half + 2, middle + half - 2)
        park_across(plot.builder, style, ends, plot.side * (plot.front + yard - 4), 0.45)
    if style.chance(0.5):
        plot.enclose("fence", (-half, half - 6), 0.5)
    if style.chance(0.6):
        shape, label = heavy_vehicles.truck(style), "truck"
        if style.chance(0.3):
            shape, label = heavy_vehicles.tractor(style), "other-vehicle"
        plot.place([Item(shape, label)], half - 1.8, yard + 6, np.pi / 2)
    plot.place(furniture.cabinet(style), style.between(1 - half, half - 1), 0.9)


def green(plot: Plot) -> None:
    """A lawn or a wood with a path."""
    style, half = plot.style, plot.half
    wood = style.chance(0.5)
    if style.chance(0.5):
        y = style.between(6, 14)
        plot.paint((-half, half), (y, y + 2), "path")
    border = style.pick(("fence", "hedge", "open", "open", "open"))
    if border != "open":
        plot.enclose(border, (-half, half), 0.5)
    area = 2 * half / 10
    plot.scatter(tree, int(area * (4 if wood else 1.5)) + 1, (-half, half), (1.8, DEPTH - 2))
    plot.scatter(bush, int(area * (7 if wood else 3)), (-half, half), (1.2, DEPTH - 8))
    leaves = style.grass()
    plot.scatter(tuft, int(area * 8), (-half, half), (0.4, 14), leaves=leaves)
    if style.chance(0.5):
        plot.place(furniture.bench(style), 0.0, 1.6, np.pi)


def square(plot: Plot) -> None:
    """A paved square with trees, benches, bicycles and something to look at."""
    style, half = plot.style, plot.half
    plot.paint((-half, half), (0, 24), "square")
    for x in np.arange(-half + 2, half - 1, 7):
        plot.scatter(tree, 1, (float(x) - 0.3, float(x) + 0.3), (2.5, 3.0))
        plot.place(furniture.bench(style), float(x) + 2.5, 3.5, style.pick((0, np.pi)))
    plot.place(furniture.statue(style), 0.0, 12.0)
    bicycles(plot, style.between(3 - half, half - 4), 6.0, style.count(3, 8))
    for _ in range(style.count(2, 6)):
        person: Group = [Item(people.stander(style), "person")]
        plot.place(person, style.between(-half, half), style.between(2, 16), style.between(-3, 3))
    building = buildings.hall(style, 2 * half - 2, 9.0)
    plot.place([Item(building, "building")], 0.0, 24.5)


def site(plot: Plot) -> None:
    """Bare soil behind a fence, with diggers, lorries and stacks."""
    style, half = plot.style, plot.half
    plot.paint((-half, half), (0.5, DEPTH), "soil")
    plot.enclose("fence", (-half, half), 0.6)
    for y in (9.0, 20.0):
        shape, label = heavy_vehicles.tractor(style), "other-vehicle"
        if style.chance(0.4):
            shape, label = heavy_vehicles.truck(style), "truck"
        plot.place([Item(shape, label)], style.between(4 - half, half - 4), y, style.between(-3, 3))
    plot.scatter(furniture.cabinet, style.count(2, 5), (1 - half, half - 1), (3, 14))
    plot.scatter(bush, style.count(0, 3), (-half, half), (2, 18))


def bicycles(plot: Plot, x: float, y: float, n: int) -> None:
    """Bicycles, and motorcycles among them, side by side."""
    style = plot.style
    plot.place(furniture.bicycle_stand(style), x, y)
    for k in range(n):
        make, label = (people.bicycle, "bicycle")
        if style.chance(0.2):
            make, label = people.motorcycle, "motorcycle"
        turn = np.pi / 2 + style.between(-0.2, 0.2)
        plot.place([Item(make(style), label)], x + 0.3 + 0.75 * k, y, turn)
