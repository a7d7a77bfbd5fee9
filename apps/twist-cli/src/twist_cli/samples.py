"""Training batches: scenes augmented, voxelised, with their targets.

A batch is a function of (seed, round, step) alone, so a resumed run sees the same ones.
The augmentations are those of Contrastive Scene Contexts' downstream tasks (Hou et al., CVPR 2021).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pcl_data import Scene, augmentation, collate, voxelize
from pcl_pseudolabel import PseudoLabelRecord
from twist_cli.config import RunConfig
from twist_cli.scenes import Split, colors_of


class StepBatches(Dataset):
    """`batches[step]`: labelled scenes first, then scenes with their pseudo-labels."""

    def __init__(
        self,
        config: RunConfig,
        split: Split,
        round_: int,
        pseudo: Callable[[str], PseudoLabelRecord] | None,
        *,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        self.config, self.split, self.round, self.pseudo = config, split, round_, pseudo
        self.rank, self.n_ranks = rank, n_ranks
        self.load = lru_cache(maxsize=64)(split.load)

    def __len__(self) -> int:
        return self.config.train.steps_of(self.round)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        config, step = self.config, index
        labeled = self._names(self.split.labeled, config.train.labeled_scenes, step)
        rng = np.random.default_rng([config.seed, self.round, step, self.rank])
        samples = [self._sample(self.load(name), None, rng) for name in labeled]
        if self.pseudo is not None:
            names = self._names(self.split.unlabeled, config.train.unlabeled_scenes, step)
            samples += [self._sample(self.load(name), self.pseudo(name), rng) for name in names]
        batch = {key: torch.from_numpy(value) for key, value in collate(samples).items()}
        batch["is_labeled"] = batch["batch_index"] < len(labeled)
        return batch

    def _names(self, names: tuple[str, ...], count: int, step: int) -> list[str]:
        """The scenes of a step: epochs are permutations, one after the other."""
        first = (step * self.n_ranks + self.rank) * count
        order: list[str] = []
        for position in range(first, first + count):
            epoch, place = divmod(position, len(names))
            rng = np.random.default_rng([self.config.seed, self.round, epoch, len(names)])
            order.append(names[rng.permutation(len(names))[place]])
        return order

    def _sample(
        self, scene: Scene, record: PseudoLabelRecord | None, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        if record is not None:
            labels, groups, centers = record.labels, record.proposals, record.centers
            return training_sample(scene, labels, groups, centers, self.config, rng)
        assert scene.labels is not None  # Split.load has checked
        assert scene.instances is not None
        return training_sample(scene, scene.labels, scene.instances, None, self.config, rng)


def training_sample(
    scene: Scene,
    labels: np.ndarray,
    groups: np.ndarray,
    centers: np.ndarray | None,
    config: RunConfig,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """One augmented scene on voxels, with labels, instances and offset targets.

    Pseudo-centres go through the same rotation, flip and scale as the points; elastic distortion
    moves points only, and a centre by the mean displacement of its points.

    Args:
        scene: points in metres, colours.
        labels: (n,) train ids, -1 ignored.
        groups: (n,) instance or kept proposal of each point, -1 none.
        centers: (m, 3) centres of the proposals in scene coordinates; none: instance means.
        config: voxel size and whether to distort.
        rng: source of every random choice.

    Returns:
        coords (v, 3), colors (v, 3) in [-0.5, 0.5], points (v, 3), labels (v,), instances (v,),
        centers (v, 3): the target centre of each voxel, zero without an instance.
    """
    matrix = augmentation.random_linear_map(rng).astype(np.float32)
    origin = scene.points.mean(axis=0)
    keep = voxelize(scene.points, config.model.voxel_size / 2).index  # thins dense scans
    points, groups = (scene.points[keep] - origin) @ matrix.T, np.asarray(groups)[keep]
    has_group = groups >= 0
    moved = augmentation.elastic_distortions(points, rng) if config.train.elastic else points
    target = np.zeros_like(moved)
    if centers is None:
        target[has_group] = _group_means(moved[has_group], groups[has_group])
    else:
        displacement = _group_means((moved - points)[has_group], groups[has_group])
        target[has_group] = (centers[groups[has_group]] - origin) @ matrix.T + displacement
    grid = voxelize(moved, config.model.voxel_size)
    kept = augmentation.drop_voxels(len(grid.coords), rng)
    rows = grid.index[kept]
    colors = augmentation.chromatic_changes(colors_of(scene)[keep][rows] + np.float32(0.5), rng)
    return {
        "coords": grid.coords[kept],
        "colors": colors - np.float32(0.5),
        "points": moved[rows].astype(np.float32),
        "labels": np.asarray(labels)[keep][rows].astype(np.int64),
        "instances": groups[rows].astype(np.int64),
        "centers": target[rows].astype(np.float32),
    }


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each value's group, (n, 3)."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, column) for column in values.T], axis=1)
    return (sums / np.maximum(counts, 1)[:, None]).astype(values.dtype)[inverse]
