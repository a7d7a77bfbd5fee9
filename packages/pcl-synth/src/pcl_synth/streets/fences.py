"""Fences, walls and crash barriers, in pieces along x that follow the ground."""

import numpy as np

from pcl_synth.materials import Material
from pcl_synth.mesh import Shape, box, rod
from pcl_synth.streets.style import StreetStyle

KINDS = ("picket", "boards", "wire", "wall", "bars", "ranch")


class Fence:
    """One kind of fence with its height and materials; pieces of it look alike."""

    def __init__(self, style: StreetStyle, kind: str | None = None) -> None:
        self.kind = kind or style.pick(KINDS)
        low, high = {
            "picket": (0.8, 1.2),
            "boards": (1.4, 2.0),
            "wire": (1.2, 2.2),
            "wall": (0.6, 1.9),
            "bars": (0.9, 1.6),
            "ranch": (0.9, 1.3),
            "crash barrier": (0.7, 0.8),
        }[self.kind]
        self.height = style.between(low, high)
        self.wood = style.wood() if style.chance(0.6) else style.lacquer()
        self.metal = style.metal()
        self.stone = style.facade() if style.chance(0.5) else style.concrete()

    def piece(self, length: float) -> Shape:
        """A straight piece, centred."""
        half, h = length / 2, self.height
        if self.kind == "wall":
            return [
                box((-half, half), (-0.12, 0.12), (-0.4, h), self.stone),
                box((-half, half), (-0.16, 0.16), (h, h + 0.06), self.stone),
            ]
        if self.kind == "crash barrier":
            posts: Shape = [box((-0.06, 0.06), (0.0, 0.1), (-0.2, h), self.metal)]
            return [*posts, box((-half, half), (-0.08, 0.0), (h - 0.32, h), self.metal)]
        material = self.wood if self.kind in ("picket", "boards", "ranch") else self.metal
        post = box((-half, 0.1 - half), (-0.05, 0.05), (-0.3, h + 0.05), material)
        return [post, *self._filling(half, h, material)]

    def _filling(self, half: float, h: float, material: Material) -> Shape:
        if self.kind == "boards":
            return [box((-half, half), (-0.02, 0.02), (0.02, h), material)]
        rails: Shape = [
            rod((-half, 0, z), (half, 0, z), 0.03, material, n_sides=4)
            for z in ((0.15, 0.6 * h, h) if self.kind == "ranch" else (0.2, h - 0.08))
        ]
        if self.kind == "ranch":
            return rails
        gap = {"picket": 0.16, "bars": 0.14, "wire": 0.12}[self.kind]
        thick = {"picket": 0.045, "bars": 0.012, "wire": 0.004}[self.kind]
        upright: Shape = [
            box((x - thick, x + thick), (-0.012, 0.012), (0.05, h), material)
            for x in np.arange(gap - half, half, gap)
        ]
        if self.kind == "wire":
            upright += [
                box((-half, half), (-0.004, 0.004), (z - 0.004, z + 0.004), material)
                for z in np.arange(0.1, h, 0.15)
            ]
        return rails + upright
