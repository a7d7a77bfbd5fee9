"""Shapes of the objects of long-tail rooms, built from the rows of their table."""

import re
from collections.abc import Callable
from typing import NamedTuple

from pcl_synth.materials import Material
from pcl_synth.mesh import Part, Range, Shape, box, cushion, frustum, lathe, rod, turned
from pcl_synth.rooms.object_table import ROWS
from pcl_synth.rooms.style import Style

ROD_RADIUS, LEG = 0.014, 0.035  # metres
SCALE = (0.9, 1.12)  # of each side of an object
COLORS = {
    "white": (0.92, 0.92, 0.9),
    "cream": (0.9, 0.84, 0.68),
    "beige": (0.76, 0.64, 0.48),
    "brown": (0.42, 0.27, 0.16),
    "black": (0.07, 0.07, 0.08),
    "grey": (0.42, 0.43, 0.45),
    "silver": (0.7, 0.72, 0.75),
    "gold": (0.78, 0.62, 0.2),
    "red": (0.75, 0.1, 0.1),
    "pink": (0.9, 0.5, 0.62),
    "orange": (0.9, 0.45, 0.08),
    "yellow": (0.92, 0.8, 0.15),
    "green": (0.16, 0.5, 0.18),
    "darkgreen": (0.06, 0.26, 0.16),
    "blue": (0.12, 0.26, 0.68),
    "purple": (0.45, 0.15, 0.55),
}
Corners = tuple[Range, Range, Range]  # of x, y and z


class ObjectPart(NamedTuple):
    """A form between two fractions of each side of an object."""

    form: str
    corners: Corners
    material: str


class ObjectRow(NamedTuple):
    """A class of objects; `object_table` explains the columns."""

    name: str
    count: int
    size: tuple[float, float, float]  # metres
    kinds: str
    places: tuple[str, ...]
    parts: tuple[ObjectPart, ...]

    def shape(self, style: Style) -> Shape:
        """One object of this class, its sides and materials drawn at random."""
        width, depth, height = (side * style.between(*SCALE) for side in self.size)
        materials: dict[str, Material] = {}
        shape: Shape = []
        for form, (x, y, z), word in self.parts:
            if word not in materials:
                materials[word] = _material(style, style.pick(word.split("/")))
            corners = (
                (width * (x[0] - 0.5), width * (x[1] - 0.5)),
                (depth * y[0], depth * y[1]),
                (height * z[0], height * z[1]),
            )
            shape += FORMS[form](corners, materials[word], style)
        return shape


def _material(style: Style, word: str) -> Material:
    """A colour with a little variation, glass, or a material that the room shares."""
    if word == "glass":
        tone = style.between(0.7, 0.9)
        return style.material("plain", (tone, tone, tone), 0.05, 0.3, 0.5)
    if word not in COLORS:
        return getattr(style, word)()
    red, green, blue = (c * style.between(0.88, 1.08) for c in COLORS[word])
    return style.material("plain", (min(red, 1), min(green, 1), min(blue, 1)), 0.08, 0.02, 0.3)


def _lathed(profile: list[Range]) -> Callable[[Corners, Material, Style], Shape]:
    """A form whose radius and height are fractions, turned about the middle of the corners."""

    def form(corners: Corners, material: Material, style: Style) -> Shape:
        x, y, z = corners
        body = lathe(
            [(radius, z[0] + height * (z[1] - z[0])) for radius, height in profile],
            material,
            center=((x[0] + x[1]) / 2, (y[0] + y[1]) / 2),
            stretch=((x[1] - x[0]) / 2, (y[1] - y[0]) / 2),
        )
        return [body]

    return form


def _box(corners: Corners, material: Material, style: Style) -> Shape:
    return [box(*corners, material)]


def _cushion(corners: Corners, material: Material, style: Style) -> Shape:
    return [cushion(*corners, material)]


def _ball(corners: Corners, material: Material, style: Style) -> Shape:
    return [cushion(*corners, material, squareness=1.0)]


def _frustum(corners: Corners, material: Material, style: Style) -> Shape:
    """A box whose top is four fifths as wide and deep."""
    x, y, z = corners
    high = [(0.9 * a + 0.1 * b, 0.1 * a + 0.9 * b) for a, b in (x, y)]
    return frustum((x, y), (high[0], high[1]), z, material)


def _rod(corners: Corners, material: Material, style: Style) -> Shape:
    """A bar from the first to the second end of all three axes."""
    (x0, x1), (y0, y1), (z0, z1) = corners
    return [rod((x0, y0, z0), (x1, y1, z1), ROD_RADIUS, material)]


def _legs(corners: Corners, material: Material, style: Style) -> Shape:
    x, y, z = corners
    feet = [((a, a + LEG), (b, b + LEG)) for a in (x[0], x[1] - LEG) for b in (y[0], y[1] - LEG)]
    return [box(*foot, z, material) for foot in feet]


def _leaves(corners: Corners, material: Material, style: Style) -> Shape:
    """Blades that lean out from the middle of the foot."""
    x, y, z = corners
    middle, reach = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2), (x[1] - x[0]) / 2
    blades: Shape = []
    for _ in range(style.count(9, 14)):
        tall = (z[1] - z[0]) * style.between(0.6, 1)
        blade: list[Part] = [
            cushion(
                (middle[0] - 0.3 * reach, middle[0] + 0.3 * reach),
                (middle[1] - 0.02, middle[1] + 0.02),
                (z[0] - 0.05, z[0] + tall),
                material,
                squareness=1.0,
            )
        ]
        lean = style.pick((-1, 1)) * style.between(0.3, 1) * min(0.5, reach / tall)
        blade = turned(blade, lean, axis="x", pivot=(*middle, z[0]))
        blades += turned(blade, style.between(0, 6.2), pivot=(*middle, 0.0))
    return blades


FORMS: dict[str, Callable[[Corners, Material, Style], Shape]] = {
    "box": _box,
    "cushion": _cushion,
    "ball": _ball,
    "can": _lathed([(0, 0), (1, 0), (1, 1), (0, 1)]),
    "cone": _lathed([(0, 0), (1, 0), (0.45, 1), (0, 1)]),
    "cup": _lathed([(0, 0), (0.7, 0), (1, 1), (0.92, 1), (0.62, 0.08), (0, 0.08)]),
    "frustum": _frustum,
    "rod": _rod,
    "legs": _legs,
    "leaves": _leaves,
}


def _parse(rows: str) -> tuple[ObjectRow, ...]:
    """The rows of the table; the lines of a row but its first are indented."""
    parsed = []
    for block in re.split(r"\n(?=\S)", rows.strip()):
        head, *below = block.splitlines()
        name, count, size, kinds, places = head.split(" | ")
        width, depth, height = (int(side) / 100 for side in size.split())
        parts = tuple(_part(text) for line in below for text in line.split(";"))
        parsed.append(
            ObjectRow(name, int(count), (width, depth, height), kinds, tuple(places.split()), parts)
        )
    return tuple(parsed)


def _part(text: str) -> ObjectPart:
    form, *ends, material = text.split()
    x, y, z = (_ends(end) for end in ends)
    return ObjectPart(form, (x, y, z), material)


def _ends(text: str) -> Range:
    found = re.fullmatch(r"(-?\d+)-(-?\d+)", "0-100" if text == "*" else text)
    assert found, text  # the table is ours
    return int(found[1]) / 100, int(found[2]) / 100


OBJECTS = _parse(ROWS)
