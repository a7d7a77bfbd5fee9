"""What is parked and what drives, rides and walks."""

from collections.abc import Callable

import numpy as np

from pcl_synth.mesh import Shape
from pcl_synth.streets import heavy_vehicles, people
from pcl_synth.streets.cars import car
from pcl_synth.streets.road import LENGTH, START, Drive
from pcl_synth.streets.street import Builder, Item
from pcl_synth.streets.style import StreetStyle

Make = Callable[[StreetStyle], Shape]


def vehicle(style: StreetStyle, *, heavy: float) -> tuple[Shape, str]:
    """Mostly a car; with the probability `heavy` a lorry or a bus."""
    if not style.chance(heavy):
        return car(style), "car"
    if style.chance(0.55):
        return heavy_vehicles.truck(style), "truck"
    return heavy_vehicles.bus(style), "other-vehicle"


def parked(style: StreetStyle, *, longest: float) -> tuple[Shape, str]:
    """A car, seldom a motorcycle, a caravan, a lorry, a bus or a tractor."""
    rare: list[tuple[Make, str]] = [
        (people.motorcycle, "motorcycle"),
        (heavy_vehicles.caravan, "other-vehicle"),
        (heavy_vehicles.truck, "truck"),
        (heavy_vehicles.tractor, "other-vehicle"),
        (heavy_vehicles.bus, "other-vehicle"),
    ]
    if longest > 6 and style.chance(0.12):
        make, label = style.pick(rare)
        shape = make(style)
        corners = np.concatenate([part.triangles.reshape(-1, 3) for part in shape])
        if np.ptp(corners[:, 0]) < longest - 0.6:
            return shape, label
    return car(style), "car"


def park_along(
    builder: Builder, style: StreetStyle, s: tuple[float, float], d: float, fill: float
) -> None:
    """A row of vehicles parked in the direction of the road."""
    at = s[0] + style.between(0.3, 3)
    while at < s[1] - 6.2:
        shape, label = parked(style, longest=s[1] - at)
        x = np.concatenate([part.triangles[..., 0].ravel() for part in shape])
        if style.chance(fill):
            turn = 0.0 if (d < 0) != style.chance(0.12) else np.pi
            front = x.max() if turn else -x.min()
            builder.place(
                [Item(shape, label)],
                at + float(front),
                d + style.between(-0.12, 0.12),
                turn + style.between(-0.03, 0.03),
            )
        at += float(np.ptp(x)) + style.between(0.5, 1.6)


def park_across(
    builder: Builder, style: StreetStyle, s: tuple[float, float], d: float, fill: float
) -> None:
    """A row of vehicles parked side by side, nose in or out."""
    for at in np.arange(s[0] + 1.4, s[1] - 1.2, 2.65):
        if style.chance(fill):
            shape, label = (car(style), "car")
            if style.chance(0.05):
                shape, label = people.motorcycle(style), "motorcycle"
            turn = style.pick((-1, 1)) * np.pi / 2 + style.between(-0.05, 0.05)
            builder.place([Item(shape, label)], float(at), d + style.between(-0.3, 0.3), turn)


def drive_lane(
    builder: Builder, style: StreetStyle, d: float, speed: float, *, gap: float, heavy: float
) -> None:
    """Vehicles that follow each other at one speed, so that none meets another."""
    ends = sorted((START - 20 * speed, LENGTH - START - 20 * speed))
    at = min(ends[0], 0.0) + style.between(0, gap)
    while at < max(ends[1], LENGTH):
        shape, label = vehicle(style, heavy=heavy)
        if style.chance(0.06):
            moments, label = people.motorcyclist(style), "motorcyclist"
        else:
            moments = [shape]
        builder.move(moments, label, at, d + style.between(-0.15, 0.15), speed)
        at += style.between(15, 15 + gap)


def follow(builder: Builder, style: StreetStyle, drive: Drive, *, gap: float, heavy: float) -> None:
    """Vehicles ahead of and behind the car with the sensors, as fast as it is."""
    for direction in (-1, 1):
        at = START + direction * style.between(16, 16 + gap)
        while 0 < at < START + 95:
            shape, label = vehicle(style, heavy=heavy)
            moments = [shape]
            if style.chance(0.12):
                moments, label = people.motorcyclist(style), "motorcyclist"
            builder.move(moments, label, at, drive.lane + style.between(-0.2, 0.2), drive.speed)
            at += direction * style.between(14, 14 + gap)


def ride(builder: Builder, style: StreetStyle, d: float, n: int) -> None:
    """Cyclists on one side of the road, all in the direction of its traffic and equally fast."""
    direction, speed = -np.sign(d), style.between(3.0, 5.5)
    places = np.sort(style.rng.uniform(START - 60, LENGTH - START + 20, n))
    for k, at in enumerate(places):
        moments = people.bicyclist(style)
        s, across = float(at) + 3.0 * k, d + style.between(-0.15, 0.15)
        builder.move(moments, "bicyclist", s, across, float(direction * speed), stride=0.8)


def stroll(builder: Builder, style: StreetStyle, d: tuple[float, float], n: int) -> None:
    """People on one sidewalk, walking either way or standing."""
    for _ in range(n):
        at, across = style.between(START - 40, LENGTH - START + 40), style.between(*d)
        if style.chance(0.25):
            shape = people.stander(style)
            builder.place([Item(shape, "person")], at, across, style.between(-3.1, 3.1))
            continue
        speed = style.pick((-1, 1)) * style.between(0.9, 1.7)
        moments = people.walker(style)
        builder.move(moments, "person", at, across, speed, stride=1.4 / people.N_MOMENTS)
