"""Lays out a street: its strips from the centre line outwards, junctions, plots, traffic."""

from typing import NamedTuple

import numpy as np

from pcl_synth.mesh import Range
from pcl_synth.streets import buildings, furniture, plots, traffic
from pcl_synth.streets.fences import Fence
from pcl_synth.streets.ground import REACH, Ground, stripe
from pcl_synth.streets.plants import bush, tree, tuft
from pcl_synth.streets.plots import Plot
from pcl_synth.streets.road import LENGTH, Drive, random_drive
from pcl_synth.streets.street import Builder, Item, Street
from pcl_synth.streets.style import StreetStyle

KINDS = ("town", "suburb", "business", "park")
_PLOTS = {  # what lies beside a street, each as often as it is named, and how wide it is
    "town": [(plots.row_house, 9, 16)] * 8 + [(plots.square, 20, 32), (plots.green, 12, 22)],
    "suburb": [(plots.cottage, 15, 22)] * 7 + [(plots.green, 12, 25), (plots.site, 16, 24)],
    "business": [(plots.hall, 24, 42)] * 3
    + [(plots.car_park, 24, 44)] * 2
    + [(plots.green, 14, 25), (plots.site, 18, 30), (plots.square, 20, 32)],
    "park": [(plots.green, 18, 45)] * 6
    + [(plots.cottage, 18, 26)] * 2
    + [(plots.car_park, 24, 34)],
}
_PEOPLE = {"town": 12.0, "suburb": 4.0, "business": 5.0, "park": 3.0}  # mean of a side


class Strips(NamedTuple):
    """Distance from the centre line to the outer edge of each strip of one side, metres.

    A strip of no width ends where the one before it ends.
    """

    lanes: float
    cycle: float
    bay: float
    verge: float
    walk: float


def random_street(kind: str, rng: np.random.Generator) -> Street:
    """A street of a kind with everything on it; its drive is `random_drive` of the same numbers."""
    style = StreetStyle(rng)
    drive = random_drive(style)
    road, lane = drive.road, -2 * drive.lane
    n_lanes = 2 if kind == "business" and style.chance(0.6) else 1
    sides = {side: _strips(style, kind, n_lanes * lane) for side in (1, -1)}
    borders = [side * edge for side, strips in sides.items() for edge in strips]
    builder = Builder(road, Ground(style, road, [*borders, 0.0]))
    crossings = _crossings(style)
    for side, strips in sides.items():
        _paint_strips(builder, style, side, strips, kind)
    for s, half in crossings:
        _cross(builder, style, s, half, sides)
    for side, strips in sides.items():
        for s in _between(crossings):
            _park(builder, style, side, strips, s)
            _furnish(builder, style, side, strips, s, kind)
            _settle(builder, style, side, strips, s, kind)
    _mark(builder, style, sides, lane, n_lanes, crossings)
    _drive(builder, style, kind, sides, lane, n_lanes, drive)
    return builder.street(drive)


def _strips(style: StreetStyle, kind: str, lanes: float) -> Strips:
    cycle = lanes + (style.between(1.3, 1.6) if style.chance(0.6) else 0.4)
    likely = {"town": 0.75, "suburb": 0.4, "business": 0.3, "park": 0.25}[kind]
    bay = cycle + (style.between(2.1, 2.4) if style.chance(likely) else 0.0)
    verge = bay + style.pick((0.0, 1.0, 1.5, 2.2) if kind != "park" else (1.5, 3.0, 5.0))
    walk = verge + {"town": style.between(2.2, 4.0)}.get(kind, style.between(1.5, 2.4))
    return Strips(lanes, cycle, bay, verge, walk if kind != "park" or style.chance(0.6) else verge)


def _paint_strips(
    builder: Builder, style: StreetStyle, side: int, strips: Strips, kind: str
) -> None:
    whole = (0.0, LENGTH)
    names = ("road", "cycle lane", "bay", style.pick(("grass", "grass", "sidewalk")), "sidewalk")
    inner = 0.0
    for edge, name in zip(strips, names, strict=True):
        if edge > inner:
            builder.ground.paint(whole, (side * inner, side * edge), name)
        inner = edge
    back = "soil" if kind == "business" else "grass"
    builder.ground.paint(whole, (side * (inner + 20), side * REACH), back)


def _crossings(style: StreetStyle) -> list[tuple[float, float]]:
    """Middle and half width of the side streets."""
    places = [style.between(60, 120), style.between(170, 230), style.between(280, 330)]
    return [(float(round(s)), float(style.count(3, 5))) for s in places if style.chance(0.75)]


def _between(crossings: list[tuple[float, float]]) -> list[Range]:
    """Stretches of the street without side streets."""
    ends = [0.0]
    for s, half in crossings:
        ends += [s - half - 3.0, s + half + 3.0]
    ends.append(LENGTH)
    return list(zip(ends[::2], ends[1::2], strict=True))


def _cross(
    builder: Builder, style: StreetStyle, s: float, half: float, sides: dict[int, Strips]
) -> None:
    """A side street, on one side or both, with its sidewalks, lights, signs and a waiting car."""
    open_sides = style.pick(((1, -1), (1,), (-1,)))
    has_lights = style.chance(0.5)
    for side in open_sides:
        strips = sides[side]
        far = (side * strips.lanes, side * REACH)
        builder.ground.paint(
            (s - half - 2, s + half + 2), (side * strips.bay, side * REACH), "sidewalk"
        )
        builder.ground.paint((s - half, s + half), far, "road")
        if style.chance(0.4):
            middle = (side * (strips.walk + 2), side * (strips.walk + 9))
            builder.ground.paint((s - 1, s + 1), middle, "island")
        for end in (-1, 1):
            where = (s + end * (half + 1.2), side * (strips.verge + 0.4))
            light = furniture.traffic_light(style) if has_lights else furniture.traffic_sign(style)
            builder.place(light, *where, 0.0 if end * side > 0 else np.pi)
        if style.chance(0.8):
            shape, label = traffic.vehicle(style, heavy=0.15)
            d = side * (strips.walk + style.between(12, 16))
            builder.place([Item(shape, label)], s + side * half / 2, d, -side * np.pi / 2)
        cars = np.arange(strips.walk + 20, REACH - 4, 6.5)
        for d in cars[style.rng.random(len(cars)) < 0.5]:
            shape, label = traffic.parked(style, longest=5.5)
            builder.place([Item(shape, label)], s - half + 0.9, side * float(d), np.pi / 2)


def _park(builder: Builder, style: StreetStyle, side: int, strips: Strips, s: Range) -> None:
    """Bays full of parked cars, between them spots of green with a tree."""
    if strips.bay - strips.cycle < 1.5:
        return
    middle, at = side * (strips.cycle + strips.bay) / 2, s[0]
    while at < s[1] - 8:
        end = min(at + style.between(14, 40), s[1])
        traffic.park_along(builder, style, (at, end), middle, style.between(0.45, 0.95))
        spot = (end, min(end + 2.2, s[1]))
        builder.ground.paint(spot, (side * strips.cycle, side * strips.bay), "grass")
        if style.chance(0.6) and spot[1] - spot[0] > 2:
            builder.place(style.pick((tree, bush))(style), end + 1.1, middle)
        at = end + 2.2


def _furnish(
    builder: Builder, style: StreetStyle, side: int, strips: Strips, s: Range, kind: str
) -> None:
    """Lamps, trees, signs and clutter along the kerb."""
    kerb = side * (strips.bay + 0.45)
    facing = 0.0 if side > 0 else np.pi
    has_trees = strips.verge - strips.bay > 0.9 and style.chance(0.8)
    arm = -np.pi if side > 0 else 0.0
    lamp = style.pick((furniture.lamp_post, furniture.lamp_post, furniture.power_pole))
    gap, first = style.between(24, 36), style.between(0, 20)
    for at in np.arange(s[0] + first, s[1] - 1, gap):
        builder.place(lamp(style), float(at), kerb, arm)
    if has_trees:
        _plant(builder, style, side * (strips.bay + strips.verge) / 2, s)
    for at in np.arange(s[0] + style.between(3, 25), s[1] - 2, style.between(20, 40)):
        builder.place(furniture.traffic_sign(style), float(at), kerb, facing)
    _clutter(builder, style, side, strips, s, 14 if kind == "town" else 30)
    if style.chance(0.4):
        at = style.between(s[0] + 3, s[1] - 9)
        builder.place(furniture.road_works(style), at, side * (strips.cycle - 0.5), facing)
    if style.chance(0.35):
        at = (s[0] + s[1]) / 2 + style.between(-5, 5)
        builder.place(furniture.gantry_sign(style), at, kerb, facing)
    if kind == "park" and style.chance(0.7):
        _crash_barrier(builder, style, side * (strips.bay + 0.3), (s[0] + 6, s[1] - 6))
    if kind in ("town", "business") and style.chance(0.6):
        where = (s[0] + s[1]) / 2 + style.between(-15, 15), side * (strips.walk - 0.9)
        builder.place(furniture.bus_shelter(style), *where, facing)


def _plant(builder: Builder, style: StreetStyle, d: float, s: Range) -> None:
    """Trees in a row, bushes and tufts between them."""
    gap = style.between(7, 13)
    for at in np.arange(s[0] + 4.5, s[1] - 3, gap):
        if style.chance(0.85):
            builder.place(tree(style), float(at) + style.between(-1, 1), d)
    leaves = style.grass()
    for at in np.arange(s[0] + 2, s[1] - 2, 6.0):
        if style.chance(0.4):
            builder.place(bush(style), float(at), d)
    for at in np.arange(s[0], s[1], 4.0):
        builder.place(tuft(style, leaves), float(at), d + style.between(-0.4, 0.4))


def _clutter(
    builder: Builder, style: StreetStyle, side: int, strips: Strips, s: Range, spacing: int
) -> None:
    """Bins, cabinets, bollards and benches on the sidewalk, one for so many metres."""
    shapes = (furniture.bins, furniture.cabinet, furniture.bollard, furniture.bench)
    for _ in range(int((s[1] - s[0]) / spacing)):
        at, make = style.between(s[0] + 2, s[1] - 2), style.pick(shapes)
        builder.place(make(style), at, side * (strips.walk - 0.5), -np.pi if side > 0 else 0.0)
    if strips.walk - strips.verge > 1 and style.chance(0.5):
        at = style.between(s[0] + 4, s[1] - 8)
        for k in range(style.count(3, 6)):
            builder.place(furniture.bollard(style), at + 1.6 * k, side * (strips.bay + 0.45))


def _crash_barrier(builder: Builder, style: StreetStyle, d: float, s: Range) -> None:
    fence, start = Fence(style, "crash barrier"), s[0]
    for at in np.arange(start, s[1] - 2, 2.0):
        builder.place([Item(fence.piece(2.05), "fence")], float(at) + 1, d, 0.0 if d > 0 else np.pi)


def _settle(
    builder: Builder, style: StreetStyle, side: int, strips: Strips, s: Range, kind: str
) -> None:
    """Plots one after the other, and trees and houses far behind them."""
    at = s[0]
    while at < s[1] - 8:
        fill, narrowest, widest = style.pick(_PLOTS[kind])
        end = at + style.between(narrowest, widest)
        if end > s[1] - 9:
            end = s[1]
        if end - at < narrowest:
            fill = plots.green
        plot = Plot(builder, style, side, (at, end), strips.walk)
        fill(plot)
        if kind in ("town", "suburb") and style.chance(0.35):
            plots.bicycles(plot, style.between(-3, 1), -0.7, style.count(1, 3))
        _backdrop(plot)
        at = end


def _backdrop(plot: Plot) -> None:
    """What closes the view behind a plot."""
    style, depth = plot.style, REACH - plot.front - 4
    n = int(plot.half / 3) + 1
    plot.scatter(tree, n, (-plot.half, plot.half), (plots.DEPTH + 3, depth), n_leaves=300)
    if style.chance(0.4):
        house = buildings.cottage(style, 2 * plot.half - 3, 9.0)
        plot.place([Item(house, "building")], 0.0, plots.DEPTH + 6)


def _mark(
    builder: Builder,
    style: StreetStyle,
    sides: dict[int, Strips],
    lane: float,
    n_lanes: int,
    crossings: list[tuple[float, float]],
) -> None:
    """White lines: dashes between lanes, edges, zebra crossings."""
    paint, road = style.marking(), builder.road
    dash, gap = style.pick(((3.0, 6.0), (2.0, 3.0), (LENGTH, 1.0)))
    lines = [k * lane for k in range(1 - n_lanes, n_lanes)]
    shape = [
        stripe(road, (at, min(at + dash, end - 1)), (d - 0.07, d + 0.07), paint)
        for start, end in _between(crossings)
        for at in np.arange(start + 1, end - 2, dash + gap)
        for d in lines
    ]
    for side, strips in sides.items():
        edges = sorted((side * strips.lanes, side * (strips.lanes + 0.12)))
        if strips.cycle - strips.lanes > 1.1:
            shape += [stripe(road, s, (edges[0], edges[1]), paint) for s in _between(crossings)]
    for s, half in crossings:
        if style.chance(0.7):
            ends = (s - half - 2.8, s - half - 0.3)
            across = np.arange(-sides[-1].cycle + 0.4, sides[1].cycle - 0.6, 1.0)
            shape += [stripe(road, ends, (float(d), float(d) + 0.5), paint) for d in across]
    builder.lay(shape, "road")


def _drive(
    builder: Builder,
    style: StreetStyle,
    kind: str,
    sides: dict[int, Strips],
    lane: float,
    n_lanes: int,
    drive: Drive,
) -> None:
    """All that moves, each stream in its own strip."""
    heavy = {"town": 0.08, "suburb": 0.04, "business": 0.2, "park": 0.06}[kind]
    traffic.follow(builder, style, drive, gap=style.between(6, 40), heavy=heavy)
    gap = style.between(12, 50)
    traffic.drive_lane(builder, style, lane / 2, -style.between(6, 12), gap=gap, heavy=heavy)
    if n_lanes == 2:
        for d, direction in ((1.5 * lane, -1), (-1.5 * lane, 1)):
            speed = direction * style.between(5, 8)
            traffic.drive_lane(builder, style, d, speed, gap=1.5 * gap, heavy=heavy)
    for side, strips in sides.items():
        if strips.cycle - strips.lanes > 1.1:
            middle = side * (strips.lanes + strips.cycle) / 2
            traffic.ride(builder, style, middle, style.count(2, 7))
        if strips.walk > strips.verge:
            n = int(style.rng.poisson(_PEOPLE[kind]))
            ends = sorted((side * (strips.verge + 0.4), side * (strips.walk - 1.0)))
            traffic.stroll(builder, style, (ends[0], ends[1]), n)
