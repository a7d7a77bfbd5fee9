"""The random style of a street: materials of roads, houses, plants and things that drive.

`gloss` of a material is the share of laser pulses that it sends elsewhere.
"""

from pcl_synth.materials import Color, Draw, Material

_CAR_PAINTS: list[Color] = [
    (0.85, 0.85, 0.86),
    (0.62, 0.64, 0.66),
    (0.33, 0.34, 0.36),
    (0.06, 0.06, 0.07),
    (0.08, 0.14, 0.36),
    (0.55, 0.06, 0.07),
]
_LEAVES: list[Color] = [
    (0.16, 0.32, 0.10),
    (0.24, 0.40, 0.14),
    (0.33, 0.45, 0.16),
    (0.13, 0.27, 0.16),
    (0.48, 0.40, 0.14),
    (0.30, 0.34, 0.20),
]
_PLASTERS: list[Color] = [
    (0.86, 0.83, 0.76),
    (0.80, 0.74, 0.60),
    (0.76, 0.66, 0.56),
    (0.72, 0.74, 0.75),
    (0.83, 0.72, 0.44),
    (0.66, 0.47, 0.40),
]
_BRICKS: list[Color] = [(0.55, 0.25, 0.18), (0.62, 0.38, 0.26), (0.45, 0.28, 0.22)]
_ROOFS: list[Color] = [(0.50, 0.22, 0.15), (0.30, 0.16, 0.13), (0.22, 0.22, 0.24)]


class StreetStyle(Draw):
    """Random numbers of one street and the materials of what stands in it."""

    def asphalt(self) -> Material:
        """Grey and grainy."""
        tone = self.between(0.16, 0.34)
        return self.material("grain", (tone, tone, tone * 1.03), 0.35, 0.02, 0.06)

    def marking(self) -> Material:
        """White road paint, worn."""
        tone = self.between(0.65, 0.85)
        return self.material("grain", (tone, tone, tone), 0.2, 0.0, 0.1)

    def paving(self) -> Material:
        """Slabs or stones with joints."""
        tone = self.between(0.38, 0.58)
        color = (tone, tone * self.between(0.93, 1.0), tone * self.between(0.85, 1.0))
        size = self.between(0.2, 0.8)
        return self.material(self.pick(("tiles", "bricks")), color, -0.2, 0.02, size)

    def gravel(self) -> Material:
        """Loose stones or sand."""
        tone = self.between(0.4, 0.6)
        return self.material("grain", (tone, tone * 0.92, tone * 0.8), 0.3, 0.03, 0.08)

    def grass(self) -> Material:
        """A lawn, or dry grass."""
        color = self.pick(((0.22, 0.36, 0.12), (0.30, 0.40, 0.16), (0.45, 0.42, 0.22)))
        return self.material("grain", color, 0.45, 0.02, 0.12)

    def leaves(self) -> Material:
        """Green, or yellow in autumn; they reflect well in the infrared."""
        return self.material("grain", self.pick(_LEAVES), 0.9, 0.03, 0.18)

    def bark(self) -> Material:
        """Brown or grey."""
        color = self.pick(((0.30, 0.23, 0.17), (0.40, 0.36, 0.32), (0.22, 0.18, 0.15)))
        return self.material("grain", color, 0.4, 0.02, 0.05)

    def facade(self) -> Material:
        """Plaster, brick, concrete or boards."""
        kind = self.pick(("plaster", "plaster", "plaster", "brick", "concrete", "boards"))
        if kind == "brick":
            return self.material("bricks", self.pick(_BRICKS), 0.35, 0.02, 0.25)
        if kind == "concrete":
            tone = self.between(0.45, 0.65)
            return self.material("tiles", (tone, tone, tone), -0.2, 0.02, self.between(1.5, 3.0))
        if kind == "boards":
            return self.material("planks", self.color(0.25, 0.4, 0.9), -0.25, 0.02, 0.6)
        return self.material("plain", self._tinted(self.pick(_PLASTERS)), -0.1, 0.02, 1.5)

    def roof(self) -> Material:
        """Tiles in rows, or slate."""
        return self.material("bricks", self.pick(_ROOFS), 0.3, 0.04, 0.4)

    def glass(self) -> Material:
        """Dark panes; most pulses pass through them or are mirrored."""
        return self.material("plain", (0.10, 0.13, 0.16), 0.6, self.between(0.55, 0.8), 2.0)

    def lacquer(self) -> Material:
        """Smooth paint of anything, coloured."""
        return self.material("plain", self.color(0.8, 0.15, 0.9), 0.05, 0.04, 0.5)

    def car_paint(self) -> Material:
        """Mostly white, grey or black; dark ones lose more pulses."""
        color = self.pick(_CAR_PAINTS) if self.chance(0.8) else self.color(0.9, 0.2, 0.9)
        return self.material("plain", color, 0.06, 0.22 - 0.2 * max(color), 1.0)

    def rubber(self) -> Material:
        """Tyres and dark plastic."""
        return self.material("plain", (0.07, 0.07, 0.07), 0.2, 0.15, 0.2)

    def metal(self) -> Material:
        """Galvanised or painted steel."""
        tone = self.pick((0.15, 0.35, 0.55, 0.65))
        return self.material("plain", (tone, tone, tone), 0.1, 0.05, 0.3)

    def wood(self) -> Material:
        """Weathered boards."""
        color = self.pick(((0.45, 0.33, 0.22), (0.55, 0.5, 0.45), (0.32, 0.22, 0.15)))
        return self.material("wood", color, -0.25, 0.02, 0.3)

    def concrete(self) -> Material:
        """Grey and plain."""
        tone = self.between(0.45, 0.65)
        return self.material("grain", (tone, tone, tone * 0.98), 0.15, 0.02, 0.15)

    def sign(self) -> Material:
        """A retro-reflecting plate."""
        first = self.pick(((0.9, 0.9, 0.92), (0.85, 0.1, 0.1), (0.1, 0.25, 0.75), (0.95, 0.8, 0.1)))
        return Material("checks", first, (1.0, 1.0, 1.0), 0.6, self.between(0, 6), 0.0)

    def cloth(self) -> Material:
        """What people wear."""
        pattern = self.pick(("plain", "plain", "stripes", "blotches"))
        return self.material(pattern, self.color(0.7, 0.08, 0.9), 0.3, 0.02, 0.15)

    def skin(self) -> Material:
        """Faces and hands."""
        tone = self.between(0.35, 1.0)
        return self.material("plain", (0.86 * tone, 0.66 * tone, 0.53 * tone), 0.0, 0.02, 0.3)

    def glow(self, color: Color) -> Material:
        """Lamps and reflectors."""
        return self.material("plain", color, 0.0, 0.02, 0.3)

    def _tinted(self, color: Color) -> Color:
        red, green, blue = (min(1.0, c * self.between(0.88, 1.1)) for c in color)
        return (red, green, blue)
