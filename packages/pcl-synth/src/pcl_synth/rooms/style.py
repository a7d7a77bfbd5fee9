"""The random style of a room: the materials that its objects share."""

import numpy as np

from pcl_synth.materials import Draw, Material

_WOODS = [(0.80, 0.66, 0.46), (0.62, 0.44, 0.27), (0.42, 0.26, 0.16), (0.27, 0.18, 0.13)]
_WOODS += [(0.55, 0.50, 0.45), (0.86, 0.82, 0.76), (0.56, 0.29, 0.18)]


class Style(Draw):
    """Random numbers of one room, and the materials that its objects share."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._shared_woods = [self._new_wood() for _ in range(2)]
        self._shared_paints = [self._new_paint() for _ in range(2)]
        self._shared_fabrics = [self._new_fabric() for _ in range(2)]

    def wood(self) -> Material:
        """Wood, mostly that of the room."""
        return self.pick(self._shared_woods) if self.chance(0.65) else self._new_wood()

    def paint(self) -> Material:
        """Lacquer or plastic, often white, grey or black."""
        return self.pick(self._shared_paints) if self.chance(0.5) else self._new_paint()

    def fabric(self) -> Material:
        """Cloth or leather, plain or patterned."""
        return self.pick(self._shared_fabrics) if self.chance(0.4) else self._new_fabric()

    def metal(self) -> Material:
        """Steel, chrome or black iron."""
        tone = self.pick((0.12, 0.3, 0.55, 0.7, 0.8))
        return self.material("plain", (tone, tone, tone * 1.02), 0.1, self.between(0.0, 0.25), 0.4)

    def ceramic(self) -> Material:
        """Glazed white or cream, sometimes coloured."""
        tone = self.between(0.75, 0.97)
        color = (tone, tone * self.between(0.93, 1), tone * self.between(0.85, 1))
        return self.material("plain", color, 0.05, 0.08, 0.5)

    def stone(self) -> Material:
        """A worktop: granite, laminate or wood."""
        color = self.color(0.25, 0.12, 0.9)
        return self.material("blotches", color, 0.4, 0.05, self.between(0.02, 0.12))

    def board(self) -> Material:
        """What furniture panels are made of."""
        return self.wood() if self.chance(0.6) else self.paint()

    def tiles(self) -> Material:
        """Ceramic tiles with joints."""
        color = self.color(0.25, 0.35, 0.92)
        return self.material("tiles", color, self.between(-0.4, 0.2), 0.03, self.between(0.1, 0.5))

    def planks(self) -> Material:
        """A wooden floor."""
        return self.material("planks", self.pick(_WOODS), -0.3, 0.03, self.between(0.4, 1.0))

    def painting(self) -> Material:
        """A picture, poster or book cover."""
        first, second = self.color(0.9, 0.2, 1), self.color(0.9, 0.1, 1)
        return Material("painting", first, second, self.between(0.15, 0.6), self.between(0, 6))

    def _new_wood(self) -> Material:
        tint = self.between(0.85, 1.1)
        red, green, blue = (min(1.0, c * tint) for c in self.pick(_WOODS))
        color = (red, green, blue)
        return self.material("wood", color, -0.22, 0.02, self.between(0.15, 0.5))

    def _new_paint(self) -> Material:
        color = self.color(0.08, 0.75, 0.97) if self.chance(0.5) else self.color(0.7, 0.08, 0.9)
        return self.material("plain", color, 0.08, self.between(0, 0.08), 0.5)

    def _new_fabric(self) -> Material:
        color = self.color(0.65, 0.1, 0.92)
        pattern = self.pick(("plain", "plain", "blotches", "stripes", "checks"))
        return self.material(pattern, color, self.between(-0.5, 0.3), 0, self.between(0.05, 0.3))
