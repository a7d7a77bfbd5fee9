"""Trees, bushes and hedges: trunks of rods, and crowns of loose leaves that pulses pass between."""

import numpy as np
from jaxtyping import Float

from pcl_synth.materials import Material
from pcl_synth.mesh import Part, Shape, cushion, lathe, rod
from pcl_synth.streets.street import Group, Item
from pcl_synth.streets.style import StreetStyle


def tree(style: StreetStyle, *, n_leaves: int = 900) -> Group:
    """A broad-leaved tree, a poplar, a conifer or a bare one, on its trunk."""
    kind = style.pick(("broad", "broad", "broad", "poplar", "conifer", "young", "bare"))
    if kind == "conifer":
        return _conifer(style, n_leaves)
    height = {"broad": (6.0, 12.0), "poplar": (9.0, 15.0), "young": (3.2, 5.0)}.get(kind, (6, 10))
    top, bark = style.between(*height), style.bark()
    stem = style.between(0.12, 0.38) * top if kind != "poplar" else style.between(1.0, 2.0)
    thickness = 0.018 * top + style.between(0.02, 0.08)
    lean = (style.between(-0.25, 0.25), style.between(-0.25, 0.25))
    trunk: Shape = [lathe([(1.25 * thickness, -0.3), (thickness, 0.4)], bark, n_sides=9)]
    fork = (lean[0], lean[1], stem)
    trunk.append(rod((0, 0, 0.4), fork, thickness, bark, n_sides=9))
    spread = (top - stem) * (0.16 if kind == "poplar" else style.between(0.36, 0.55))
    centers, radii = _clumps(style, fork, top, spread, 5 if kind == "young" else 11)
    branches = [
        rod(fork, tuple(center.tolist()), 0.35 * thickness, bark, n_sides=5) for center in centers
    ]
    if kind == "bare":
        twigs = [_twigs(style, center, bark) for center in centers]
        return [Item(trunk, "trunk"), Item(branches + twigs, "vegetation")]
    crown = foliage(style, centers, radii, n_leaves, style.leaves())
    return [Item(trunk, "trunk"), Item([*branches, crown], "vegetation")]


def bush(style: StreetStyle) -> Group:
    """A shrub, 0.6 to 2.5 m high."""
    height, width = style.between(0.6, 2.5), style.between(0.5, 1.4)
    n = style.count(2, 4)
    centers = style.rng.normal(0, 0.35, (n, 3)) * (width, width, 0) + (0, 0, 0.45 * height)
    radii = style.rng.uniform(0.6, 1.0, (n, 1)) * (width, width, 0.5 * height)
    leaves = style.leaves()
    core = cushion(
        (-0.4 * width, 0.4 * width), (-0.4 * width, 0.4 * width), (0, 0.7 * height), leaves
    )
    return [Item([core, foliage(style, centers, radii, 300, leaves)], "vegetation")]


def hedge(style: StreetStyle, length: float, height: float, leaves: Material) -> Group:
    """A straight piece of a cut hedge along x, centred."""
    half, depth = length / 2, style.between(0.25, 0.4)
    core = cushion((-half, half), (-depth, depth), (-0.3, height), leaves, squareness=0.15)
    n = int(90 * length * (height + 0.5))
    centers = style.rng.uniform((-half, -depth, 0), (half, depth, height), (n, 3))
    side = style.rng.integers(0, 3, n)
    centers[:, 1] = np.where(side == 0, -depth, np.where(side == 1, depth, centers[:, 1]))
    centers[:, 2] = np.where(side == 2, height, centers[:, 2])
    return [Item([core, _leaves(style, centers, 0.09, leaves)], "vegetation")]


def tuft(style: StreetStyle, leaves: Material) -> Group:
    """High grass or weeds: terrain."""
    n, spread = style.count(12, 30), style.between(0.2, 0.7)
    centers = style.rng.normal(0, 1, (n, 3)) * (spread, spread, 0)
    centers[:, 2] = style.rng.uniform(0.02, style.between(0.12, 0.4), n)
    return [Item([_leaves(style, centers, 0.1, leaves)], "terrain")]


def foliage(
    style: StreetStyle,
    centers: Float[np.ndarray, "k 3"],
    radii: Float[np.ndarray, "k 3"],
    n_leaves: int,
    leaves: Material,
) -> Part:
    """Leaves in the outer parts of ellipsoids."""
    clump = style.rng.integers(0, len(centers), n_leaves)
    direction = style.rng.standard_normal((n_leaves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = style.rng.uniform(0.3, 1.0, (n_leaves, 1)) ** 0.5
    places = centers[clump] + radii[clump] * direction * distance
    size = 0.24 * float(np.mean(radii)) ** 0.5 * (900 / n_leaves) ** 0.4
    return _leaves(style, places, size, leaves)


def _leaves(
    style: StreetStyle, centers: Float[np.ndarray, "n 3"], size: float, leaves: Material
) -> Part:
    """A small triangle of leaves at each centre, turned at random."""
    corners = style.rng.normal(0, size, (len(centers), 3, 3))
    return Part(centers[:, None] + corners, leaves)


def _clumps(
    style: StreetStyle, fork: tuple[float, float, float], top: float, spread: float, n: int
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Centres and radii of the ellipsoids of a crown between its fork and its top."""
    share = (np.arange(n) + style.rng.uniform(0, 1, n)) / n
    z = fork[2] + (0.08 + 0.8 * share) * (top - fork[2])
    wide = spread * np.sin(np.pi * (0.15 + 0.75 * share)) * style.rng.uniform(0.5, 1.0, n)
    angle = 2.4 * np.arange(n) + style.between(0, 6)
    centers = np.stack([fork[0] + wide * np.cos(angle), fork[1] + wide * np.sin(angle), z], axis=1)
    radii = spread * style.rng.uniform(0.4, 0.75, (n, 1)) * np.array([1.0, 1.0, 0.8])
    return centers, radii


def _conifer(style: StreetStyle, n_leaves: int) -> Group:
    """Rings of branches that narrow to the top."""
    height, bark = style.between(5.0, 13.0), style.bark()
    radius, foot = 0.2 * height, style.between(0.3, 1.6)
    trunk = lathe([(0.025 * height, -0.3), (0.02 * height, foot), (0.02, height)], bark, n_sides=8)
    share = style.rng.uniform(0, 1, n_leaves) ** 1.4
    angle = style.rng.uniform(0, 2 * np.pi, n_leaves)
    r = radius * (1 - share) * style.rng.uniform(0.2, 1, n_leaves) ** 0.5
    z = foot + share * (height - foot) - 0.25 * r
    places = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
    needles = style.leaves()._replace(first=(0.08, 0.2, 0.1))
    return [Item([trunk], "trunk"), Item([_leaves(style, places, 0.26, needles)], "vegetation")]


def _twigs(style: StreetStyle, center: Float[np.ndarray, " 3"], bark: Material) -> Part:
    """Thin slivers in all directions."""
    n = 24
    ends = center + style.rng.normal(0, 0.8, (n, 3))
    aside = style.rng.normal(0, 0.035, (n, 3))
    start = center + style.rng.normal(0, 0.25, (n, 3))
    return Part(np.stack([start, ends, ends + aside], axis=1), bark)
