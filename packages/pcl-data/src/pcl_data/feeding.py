"""Training samples whose randomness depends on (seed, epoch, index) alone.

A key (epoch, index) carries the epoch to the worker, so that a sample is the same whichever process
makes it, however many there are, and wherever a run was resumed.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.random import Generator

from pcl_data import augmentation
from pcl_data.scene import Scene
from pcl_data.voxelization import voxel_labels, voxelize

Sample = TypeVar("Sample")
Key = tuple[int, int]


class SeededSamples(Generic[Sample]):
    """`samples[epoch, index]` is `make(scenes[index], generator)`.

    The generator is seeded by (seed, epoch, index). Serves as map-style data set of a torch
    `DataLoader`, with a `PointBudgetSampler`, whose batches are of such keys.

    Args:
        scenes: a data set.
        make: makes a sample of a scene; all its randomness must come from the generator.
        seed: of the run.

    Example:
        >>> import numpy as np
        >>> scenes = [Scene("a", np.zeros((1, 3), np.float32))]
        >>> samples = SeededSamples(scenes, lambda scene, generator: generator.random())
        >>> samples[3, 0] == samples[3, 0], samples[3, 0] == samples[4, 0]
        (True, False)
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        make: Callable[[Scene, Generator], Sample],
        *,
        seed: int = 0,
    ) -> None:
        self.scenes, self.make, self.seed = scenes, make, seed

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        return self.make(self.scenes[index], np.random.default_rng([self.seed, epoch, index]))


def voxel_sample(
    scene: Scene,
    generator: Generator,
    *,
    voxel_size: float = 0.02,
    distortions: Sequence[tuple[float, float]] = augmentation.ELASTIC_DISTORTIONS,
) -> dict[str, np.ndarray]:
    """One augmented scene on voxels, by the recipe of Contrastive Scene Contexts (downstream).

    Elastic distortion, rotation, scaling and flips of the points; voxels; a part of them dropped;
    contrast, translation and jitter of the colours; shift of the grid.

    Args:
        scene: with points; colours, intensity, labels and instances as far as it has them.
        generator: source of all randomness.
        voxel_size: metres.
        distortions: (granularity, magnitude) of the elastic distortions, metres; none for LiDAR.

    Returns:
        `coords` (v, 3) int32 and `points` (v, 3) float32, metres; `colors` (v, 3) float32 in
        [-0.5, 0.5], `intensity` (v, 1), `labels` (v,) and `instances` (v,) where the scene has
        them. A voxel has the label of its annotated points, if they agree (see `voxel_labels`), and
        the rest of its first point.

    Example:
        >>> import numpy as np
        >>> scene = Scene("room", np.zeros((9, 3), np.float32), labels=np.full(9, 4))
        >>> sample = voxel_sample(scene, np.random.default_rng(0), distortions=())
        >>> sorted(sample), sample["labels"].tolist()
        (['coords', 'labels', 'points'], [4])
    """
    points = augmentation.elastic_distortions(scene.points, generator, distortions=distortions)
    points = points @ augmentation.random_linear_map(generator).T.astype(np.float32)
    grid = voxelize(points, voxel_size)
    kept = augmentation.drop_voxels(len(grid.coords), generator)
    rows = grid.index[kept]
    coords = augmentation.random_shift(grid.coords[kept], generator)
    sample = {"coords": coords, "points": points[rows]}
    if scene.colors is not None:
        colors = scene.colors[rows].astype(np.float32) / np.float32(255)
        sample["colors"] = augmentation.chromatic_changes(colors, generator) - np.float32(0.5)
    if scene.intensity is not None:
        sample["intensity"] = scene.intensity[rows, None]
    if scene.labels is not None:
        sample["labels"] = voxel_labels(scene.labels, grid.inverse, len(grid.coords))[kept]
    if scene.instances is not None:
        sample["instances"] = scene.instances[rows]
    return sample
