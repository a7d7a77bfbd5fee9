"""What every kind of view shares: a turned part of a scene on voxels, and batches of such.

A view has coords, features and points of its voxels; `rows`, voxels that stand for something; and
`groups`, what each of these stands for: a match, a volume or the scene. Two views of a scene have
the same groups.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from torch.utils.data import Dataset

from pcl_data import Scene, augmentation, collate, voxelize
from pcl_methods.segmentation.batches import Kept
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.scene_grid import compact

View = dict[str, np.ndarray]
Views = tuple[View, View]
Item = TypeVar("Item")

VIEWS = ("first", "second")
N_TRIES = 20  # views without a common point that are drawn before it is an error
SCALES = (0.8, 1.2)  # of DepthContrast and SSPL


class ViewBatches(Dataset, Generic[Item]):
    """`batches[step]`: {"first": view, "second": view, "scene": the scene of each group}.

    A batch is a function of (seed, step, rank) alone, so that a resumed run sees the same ones.
    Items are gone through in epochs, each a permutation; of several processes each takes its share.

    Args:
        items: names of scenes, or of pairs of frames; whatever `load` takes.
        load: reads what views are made of: a scene, or two overlapping clouds. The last 64 are
            kept.
        make_views: (what was read, generator) -> two views, such as `VolumeViews`.
        count: items of a batch.
        seed: of the run.
        rank: of this process.
        n_ranks: how many processes there are.

    Raises:
        ValueError: if there is no item; by an index, if twenty items in a row give views that have
            nothing in common.
    """

    def __init__(
        self,
        items: Sequence[Item],
        load: Callable[[Item], Any],
        make_views: Callable[[Any, Generator], Views],
        *,
        count: int = 4,
        seed: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        if not items:
            raise ValueError("items must hold at least one scene or pair, got none")
        self.items, self.make_views, self.count = items, make_views, count
        self.seed, self.rank, self.n_ranks = seed, rank, n_ranks
        self.load = Kept(load, 64)
        self.order = Kept(partial(_order, seed, len(items)), 2)

    def __getitem__(self, index: int) -> dict[str, Any]:
        first = (index * self.n_ranks + self.rank) * self.count
        return collate_views([self._sample(first + i) for i in range(self.count)])

    def _sample(self, position: int) -> Views:
        epoch, place = divmod(position, len(self.items))
        item = int(self.order(epoch)[place])
        rng = np.random.default_rng([self.seed, position])
        for _ in range(N_TRIES):
            views = self.make_views(self.load(self.items[item]), rng)
            if len(views[0]["rows"]):
                return views
            item = int(rng.integers(len(self.items)))
        raise ValueError(f"views must have points in common, got {N_TRIES} pairs without")


def collate_views(samples: Sequence[Views]) -> dict[str, Any]:
    """One batch of the views of several scenes: rows and groups are shifted to stay unique."""
    n_groups = [int(first["groups"].max()) + 1 for first, _ in samples]
    batch: dict[str, Any] = {}
    for name, views in zip(VIEWS, zip(*samples, strict=True), strict=True):
        clouds = [
            {key: view[key] for key in view if key not in ("rows", "groups")} for view in views
        ]
        arrays = collate(clouds)
        arrays["rows"] = _shifted(views, "rows", [len(view["coords"]) for view in views])
        arrays["groups"] = _shifted(views, "groups", n_groups)
        batch[name] = {key: torch.from_numpy(array) for key, array in arrays.items()}
    scene = np.repeat(np.arange(len(samples)), n_groups)
    return batch | {"scene": torch.from_numpy(scene)}


def grouped_view(
    scene: Scene,
    groups: np.ndarray,
    rng: Generator,
    *,
    voxel_size: float,
    features: FeatureKind,
) -> View:
    """A turned, flipped and scaled scene on voxels; a voxel is in the groups of all its points.

    Args:
        scene: or a part of one.
        groups: (n,) of each point.
        rng: source of randomness.
        voxel_size: metres.
        features: what the backbone reads.
    """
    matrix = augmentation.random_rotation(rng) @ augmentation.random_flip(rng)
    matrix = matrix @ augmentation.random_scaling(rng, bounds=SCALES)
    grid = voxelize(turned(scene.points, matrix), voxel_size)
    n_groups = int(groups.max()) + 1
    rows, groups = np.divmod(np.unique(grid.inverse * n_groups + groups), n_groups)
    view = voxel_view(scene, grid.coords, grid.index, features)
    return view | {"rows": rows, "groups": groups}


def voxel_view(scene: Scene, coords: np.ndarray, index: np.ndarray, features: FeatureKind) -> View:
    """Voxels with the point of each in the coordinates of the scene, whose z is up."""
    values = point_features(scene, features)
    return {"coords": compact(coords), "features": values[index], "points": scene.points[index]}


def part_of(scene: Scene, rows: np.ndarray) -> Scene:
    """A scene of some of the points, with what a network reads of them."""
    return Scene(
        scene.name,
        np.ascontiguousarray(scene.points[rows]),
        colors=None if scene.colors is None else scene.colors[rows],
        intensity=None if scene.intensity is None else scene.intensity[rows],
    )


def turned(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The points about their mean, through a linear map."""
    return (points - points.mean(axis=0)) @ matrix.T.astype(np.float32)


def _order(seed: int, n_items: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, n_items]).permutation(n_items)


def _shifted(views: tuple[View, ...], name: str, counts: list[int]) -> np.ndarray:
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    return np.concatenate([view[name] + start for view, start in zip(views, starts, strict=True)])
