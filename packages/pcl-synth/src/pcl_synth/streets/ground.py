"""The ground of a street: a grid of cells of roads, kerbs, sidewalks, lawns."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pcl_synth.materials import Material
from pcl_synth.mesh import Part, Range, surface, terraces
from pcl_synth.streets.road import LENGTH, Road
from pcl_synth.streets.style import StreetStyle

REACH = 70.0  # metres of ground to both sides of the centre line
CELL = 1.0  # metres along the road


class Cover(NamedTuple):
    """What lies on a cell: a label, how it looks, and how far it rises above the road."""

    label: str
    material: Material
    lift: float


class Ground:
    """Cells of (s, d), painted one area after the other.

    Args:
        style: of the street.
        road: where the cells lie.
        borders: d of the borders between strips, which become borders of cells.
    """

    def __init__(self, style: StreetStyle, road: Road, borders: list[float]) -> None:
        self.road = road
        self.covers = {
            "road": Cover("road", style.asphalt(), 0.0),
            "cycle lane": Cover("road", style.asphalt(), 0.0),
            "bay": Cover("parking", style.pick((style.asphalt, style.paving))(), 0.02),
            "lot": Cover("parking", style.pick((style.asphalt, style.gravel))(), 0.05),
            "sidewalk": Cover("sidewalk", style.paving(), 0.13),
            "path": Cover("sidewalk", style.paving(), 0.08),
            "grass": Cover("terrain", style.grass(), 0.12),
            "soil": Cover("terrain", style.gravel(), 0.10),
            "square": Cover("other-ground", style.paving(), 0.11),
            "island": Cover("other-ground", style.concrete(), 0.14),
        }
        self.s = np.arange(0.0, LENGTH + CELL / 2, CELL)
        near, far = np.arange(0, 26, 1.0), np.arange(26, REACH + 1, 2.5)
        lines = np.concatenate([-far, -near, near, far, [-REACH, REACH]])
        kept = [x for x in lines if min(abs(x - border) for border in borders) > 0.3]
        self.d = np.unique(np.concatenate([kept, borders]))
        self.kind = np.full((len(self.s) - 1, len(self.d) - 1), self._number("grass"))
        self._bumps = 0.035 * style.rng.standard_normal((len(self.s), len(self.d)))

    def paint(self, s: Range, d: Range, name: str) -> None:
        """Cover all cells whose middle lies in an area."""
        middle_s, middle_d = (self.s[1:] + self.s[:-1]) / 2, (self.d[1:] + self.d[:-1]) / 2
        rows = np.flatnonzero((middle_s > s[0]) & (middle_s < s[1]))
        columns = np.flatnonzero((middle_d > min(d)) & (middle_d < max(d)))
        self.kind[np.ix_(rows, columns)] = self._number(name)

    def name(self, s: float, d: float) -> str:
        """What covers a place."""
        row = int(np.clip(np.searchsorted(self.s, s) - 1, 0, len(self.kind) - 1))
        column = int(np.clip(np.searchsorted(self.d, d) - 1, 0, self.kind.shape[1] - 1))
        return list(self.covers)[self.kind[row, column]]

    def lift(self, s: float, d: float) -> float:
        """How far the cover of a place rises above `road.height`, bumps apart."""
        return self.covers[self.name(s, d)].lift

    def parts(self) -> list[tuple[Part, str]]:
        """The surface, one part a cover, with labels."""
        vertices = self.road.points(self.s[:, None], self.d[None])
        vertices[..., 2] += self._bumps * self._is_soft()
        lifts = np.array([cover.lift for cover in self.covers.values()])
        lift = np.zeros((*self.kind.shape, 3))
        lift[..., 2] = lifts[self.kind]
        triangles, cell = terraces(vertices, lift)
        kind = self.kind.ravel()[cell]
        return [
            (Part(triangles[kind == number], cover.material), cover.label)
            for number, cover in enumerate(self.covers.values())
            if (kind == number).any()
        ]

    def _number(self, name: str) -> int:
        return list(self.covers).index(name)

    def _is_soft(self) -> Float[np.ndarray, "r s"]:
        """1 at vertices with soft cells on all sides: only there the ground is uneven."""
        soft = np.isin(self.kind, [self._number("grass"), self._number("soil")])
        padded = np.pad(soft, 1, mode="edge")
        corners = (padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:])
        return np.all(corners, axis=0).astype(float)


def stripe(road: Road, s: Range, d: Range, material: Material) -> Part:
    """Paint on the road: a thin sheet that follows it, a centimetre up."""
    along = np.linspace(s[0], s[1], max(2, int((s[1] - s[0]) / 2) + 1))
    vertices = road.points(along[:, None], np.array(d, dtype=float)[None], 0.01)
    return surface(vertices, material)
