"""Training batches of pre-training: two augmented views of something, on voxels.

A batch is a function of (seed, step, rank) alone, so that a resumed run sees the same ones.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch.utils.data import Dataset

from pcl_contrastive import crop_volumes, split_volumes
from pcl_data import Scene, augmentation, collate, voxelize
from pcl_data.pairs import correspondences, cut_views
from pcl_methods.segmentation.features import point_features
from pretrain_cli.config import PAIR_METHODS, PretrainConfig
from pretrain_cli.frame_pairs import FramePairs
from pretrain_cli.worlds import World

VIEWS = ("first", "second")
# A view: coords, features and points of its voxels; `rows`, voxels that stand for something, and
# `groups`, what each stands for: a match, a volume or the scene. Groups of the two views agree.
View = dict[str, np.ndarray]
MATCH_RADIUS = 1.5  # voxels (Hou et al., CVPR 2021, `ddp_data_loaders.py`)
N_TRIES = 20  # views without a common point that are drawn before it is an error
SCALES = (0.8, 1.2)  # of DepthContrast and SSPL
# Views of a whole scene, as of DepthContrast.
KEPT = (0.5, 1.0)  # edges of the cuboid that a view keeps, of the scene's extent
ASPECT = 0.75  # least share of the shortest of these in the longest
MIN_KEPT = 10_000  # points in it
N_CUBOIDS = 100  # cuboids that are drawn before all is kept
DROPPED = 0.2  # edges of the cuboid that a view loses, of the one that it keeps
COUNTS = (5_000, 10_000, 15_000, 20_000)  # points that stay at most, one of these


class ViewBatches(Dataset):
    """`batches[step]`: {"first": view, "second": view, "scene": the scene of each group}."""

    def __init__(
        self,
        config: PretrainConfig,
        world: World,
        names: tuple[str, ...],
        pairs: FramePairs | None,
        *,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        self.config, self.pairs, self.rank, self.n_ranks = config, pairs, rank, n_ranks
        self.items = names if pairs is None else pairs.pairs
        self.load = lru_cache(maxsize=64)(world.load)
        self.order = lru_cache(maxsize=2)(self._order)

    def __len__(self) -> int:
        return self.config.train.steps

    def __getitem__(self, index: int) -> dict[str, Any]:
        count = self.config.train.scenes
        first = (index * self.n_ranks + self.rank) * count
        return collate_views([self._sample(first + i) for i in range(count)])

    def _sample(self, position: int) -> tuple[View, View]:
        """Views of the next item; epochs are permutations, one after the other."""
        epoch, place = divmod(position, len(self.items))
        item = int(self.order(epoch)[place])
        rng = np.random.default_rng([self.config.seed, position])
        for _ in range(N_TRIES):
            views = self._views(self.items[item], rng)
            if len(views[0]["rows"]):
                return views
            item = int(rng.integers(len(self.items)))
        raise ValueError(f"views must have points in common, got {N_TRIES} pairs without")

    def _order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.config.seed, epoch, len(self.items)])
        return rng.permutation(len(self.items))

    def _views(self, item: str | tuple[str, str, str], rng: Generator) -> tuple[View, View]:
        config = self.config
        if isinstance(item, tuple):
            assert self.pairs is not None  # items are theirs
            scene, *frames = item
            first, second = (self.pairs.load(scene, frame) for frame in frames)
        else:
            first = second = self.load(item)
        if config.method == "sspl":
            return volume_views(first, config, rng)
        if config.method not in PAIR_METHODS:
            return scene_views(first, config, rng)
        if second is first:
            cut = cut_views(first.points, rng, size=config.contrast.view_size)
            first, second = part_of(first, cut.index_a), part_of(second, cut.index_b)
        return matched_views(first, second, config, rng)


def matched_views(
    first: Scene, second: Scene, config: PretrainConfig, rng: Generator
) -> tuple[View, View]:
    """Two overlapping clouds of one scene, each turned on its own; groups are matching voxels.

    Hou et al., CVPR 2021 (`ddp_data_loaders.py`), without its colour jitter of a hundredth of a
    grey level. Strong augmentation is that of the downstream tasks: equal colours in both views
    would tell matching points by themselves (Wu et al., "Masked Scene Contrast", CVPR 2023). Where
    nothing matches the published loader invents a match; here there is none.
    """
    views = []
    is_strong = config.contrast.augmentation == "strong"
    turn = augmentation.random_linear_map if is_strong else augmentation.random_rotation
    for cloud in (first, second):
        grid = voxelize(_turned(cloud.points, turn(rng)), config.model.voxel_size)
        view = _view(cloud, grid.coords, grid.index, config)
        if is_strong and config.data.features == "colors":
            colors = augmentation.chromatic_changes(view["features"] + np.float32(0.5), rng)
            view["features"] = colors - np.float32(0.5)
        views.append(view)
    radius = MATCH_RADIUS * config.model.voxel_size
    matches = correspondences(views[0]["points"], views[1]["points"], radius=radius)
    for view, rows in zip(views, matches.T, strict=True):
        view |= {"rows": rows, "groups": np.arange(len(rows))}
    return views[0], views[1]


def volume_views(scene: Scene, config: PretrainConfig, rng: Generator) -> tuple[View, View]:
    """Two augmentations of a scene; of each volume a small crop in one, a large one in the other.

    Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022, section
    3.1. Groups are volumes.
    """
    settings = config.sspl
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    scene = part_of(scene, voxelize(scene.points, config.model.voxel_size / 2).index)  # thinned
    points = torch.from_numpy(scene.points)
    volumes = split_volumes(
        points,
        volume_size=settings.volume_size,
        max_volumes=settings.max_volumes,
        min_points=settings.min_points,
        generator=generator,
    )
    if int(volumes.max()) < 0:
        raise ValueError(
            f"scene {scene.name} must have a volume of at least sspl.min_points="
            f"{settings.min_points} points, got none"
        )
    views = []
    for fraction in (settings.student_crop, settings.teacher_crop):
        rows = crop_volumes(points, volumes, fraction=fraction, generator=generator).numpy()
        crop, groups = part_of(scene, rows), volumes.numpy()[rows]
        views.append(grouped_view(crop, groups, config, rng))
    return views[0], views[1]


def scene_views(scene: Scene, config: PretrainConfig, rng: Generator) -> tuple[View, View]:
    """Two augmentations of a whole scene, which is the one group.

    The recipe of Zhang et al., "Self-Supervised Pretraining of 3D Features on any Point-Cloud",
    ICCV 2021 (`augment3d.py`): a cuboid of at least 10,000 points is kept, a small one of it
    dropped, and of the rest a random 5,000 to 20,000 points stay. A smaller scene stays whole.
    Turned about z, as SSPL does where it compares.
    """
    views = []
    for _ in range(2):
        rows = _cuboid_rows(scene.points, rng)
        count = min(len(rows), int(rng.choice(COUNTS)))
        part = part_of(scene, np.sort(rng.choice(rows, count, replace=False)))
        views.append(grouped_view(part, np.zeros(len(part.points), np.int64), config, rng))
    return views[0], views[1]


def grouped_view(scene: Scene, groups: np.ndarray, config: PretrainConfig, rng: Generator) -> View:
    """A turned, flipped and scaled scene on voxels; a voxel is in the groups of all its points."""
    matrix = augmentation.random_rotation(rng) @ augmentation.random_flip(rng)
    matrix = matrix @ augmentation.random_scaling(rng, bounds=SCALES)
    grid = voxelize(_turned(scene.points, matrix), config.model.voxel_size)
    n_groups = int(groups.max()) + 1
    rows, groups = np.divmod(np.unique(grid.inverse * n_groups + groups), n_groups)
    view = _view(scene, grid.coords, grid.index, config)
    return view | {"rows": rows, "groups": groups}


def part_of(scene: Scene, rows: np.ndarray) -> Scene:
    """A scene of some of the points, with what a network reads of them."""
    return Scene(
        scene.name,
        np.ascontiguousarray(scene.points[rows]),
        colors=None if scene.colors is None else scene.colors[rows],
        intensity=None if scene.intensity is None else scene.intensity[rows],
    )


def collate_views(samples: list[tuple[View, View]]) -> dict[str, Any]:
    """One batch: rows and groups are shifted to stay unique."""
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


def _view(scene: Scene, coords: np.ndarray, index: np.ndarray, config: PretrainConfig) -> View:
    """Voxels with the point of each in the coordinates of the scene, whose z is up."""
    features = point_features(scene, config.data.features)
    return {"coords": coords, "features": features[index], "points": scene.points[index]}


def _turned(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (points - points.mean(axis=0)) @ matrix.T.astype(np.float32)


def _cuboid_rows(points: np.ndarray, rng: Generator) -> np.ndarray:
    """Points of a random cuboid but for those of a smaller one in it."""
    columns = np.ascontiguousarray(points.T)  # numpy is slow on rows of three
    low, extent = columns.min(axis=1), np.ptp(columns, axis=1)
    for _ in range(N_CUBOIDS):
        shares = rng.uniform(*KEPT, 3)
        if shares.min() < ASPECT * shares.max():
            continue
        size = extent * shares
        start = low + (extent - size) * rng.random(3)
        hole = start + size * (1 - DROPPED) * rng.random(3)
        kept = _inside(columns, start, size) & ~_inside(columns, hole, size * DROPPED)
        if np.count_nonzero(kept) >= MIN_KEPT:
            return np.flatnonzero(kept)
    return np.arange(len(points))


def _inside(columns: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    end = start + size
    return ((columns >= start[:, None]) & (columns <= end[:, None])).all(axis=0)


def _shifted(views: tuple[View, ...], name: str, counts: list[int]) -> np.ndarray:
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    return np.concatenate([view[name] + start for view, start in zip(views, starts, strict=True)])
