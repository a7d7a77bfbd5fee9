"""Budgets with the names that scores carry.

"1 %" of the labels is not one protocol. Of LiDAR sweeps there are three in print: random ones
(Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022), every
hundredth in the order of the data set (Sautier et al., "SLidR", CVPR 2022, and those that compare
with it), and the authors' own lists (Kong et al., "LaserMix", CVPR 2023).
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from pcl_data.scene import Scene
from pcl_data.splits.annotations import keep_annotations, limited_annotations, read_annotations
from pcl_data.splits.boxes import limited_boxes
from pcl_data.splits.scenes import limited_reconstructions, read_split


@dataclass(frozen=True)
class LabelBudget:
    """What may be learned from.

    Args:
        name: of the protocol, to be printed with every score: `lr-1%-seed0`.
        scenes: names of the scenes with annotations.
        annotations: gives a scene with the annotations that are allowed; all by default.

    Example:
        >>> budget = annotation_budget(["room", "hall"], 20)
        >>> budget.name, budget.scenes
        ('la-20pts-seed0', ('room', 'hall'))
    """

    name: str
    scenes: tuple[str, ...]
    annotations: Callable[[Scene], Scene] | None = None

    def limit(self, scene: Scene) -> Scene:
        """The scene as the budget allows it to be seen.

        Raises:
            ValueError: if it is none of the scenes of the budget.
        """
        if scene.name not in self.scenes:
            raise ValueError(
                f"scene must be one of the {len(self.scenes)} of {self.name}, got {scene.name!r}"
            )
        return scene if self.annotations is None else self.annotations(scene)


def reconstruction_budget(names: Collection[str], fraction: float, *, seed: int = 0) -> LabelBudget:
    """A random part of the scenes: `lr-1%-seed0`. Arguments as of `limited_reconstructions`.

    The benchmark has 1, 5, 10 and 20 % of ScanNet's 1201, for detection 10, 20, 40 and 80 %, and
    averages three subsets.
    """
    scenes = limited_reconstructions(names, fraction=fraction, seed=seed)
    return LabelBudget(f"lr-{_percent(fraction)}-seed{seed}", scenes)


def annotation_budget(names: Sequence[str], count: int, *, seed: int = 0) -> LabelBudget:
    """Random points of every scene: `la-20pts-seed0`. Arguments as of `limited_annotations`."""
    limit = partial(limited_annotations, count=count, seed=seed)
    return LabelBudget(f"la-{count}pts-seed{seed}", tuple(names), limit)


def box_budget(names: Sequence[str], count: int, *, seed: int = 0) -> LabelBudget:
    """Random boxes of every scene: `boxes-4-seed0`. Arguments as of `limited_boxes`."""
    limit = partial(limited_boxes, count=count, seed=seed)
    return LabelBudget(f"boxes-{count}-seed{seed}", tuple(names), limit)


def listed_budget(
    path: str | os.PathLike[str], names: Collection[str], kind: Literal["lr", "lidar"]
) -> LabelBudget:
    """The scenes of a published list: `lr-1%-list:1.txt`, `lidar-10%-list:...`.

    The part of all scenes is rounded to two digits: 12 of 1201 are 1 %.

    Args:
        path: the list, as for `read_split`.
        names: all scenes of the split that the list is a part of.
        kind: reconstructions, or LiDAR sweeps.
    """
    scenes = read_split(path, names)
    percent = f"{float(f'{100 * len(scenes) / len(names):.2g}'):g}%"
    return LabelBudget(f"{kind}-{percent}-list:{Path(path).name}", scenes)


def listed_annotation_budget(path: str | os.PathLike[str], names: Collection[str]) -> LabelBudget:
    """The points of a published list: `la-20pts-list:points20.npz`, by the most in one scene.

    Args:
        path: the list, as for `read_annotations`.
        names: the scenes that exist.
    """
    index = read_annotations(path, names)
    most = max(map(len, index.values()))
    limit = partial(_keep_listed, index=index)
    return LabelBudget(f"la-{most}pts-list:{Path(path).name}", tuple(index), limit)


def random_sweep_budget(names: Collection[str], fraction: float, *, seed: int = 0) -> LabelBudget:
    """Random sweeps of all sequences: `lidar-1%-random-seed0`.

    Arguments as of `limited_reconstructions`.
    """
    scenes = limited_reconstructions(names, fraction=fraction, seed=seed)
    return LabelBudget(f"lidar-{_percent(fraction)}-random-seed{seed}", scenes)


def every_nth_sweep_budget(names: Sequence[str], step: int) -> LabelBudget:
    """The first sweep and every step-th after it: `lidar-1%-every-100th`.

    SLidR's protocol on SemanticKITTI (`dataloader_kitti.py`): the sorted sweeps of the training
    sequences, taken as one row; 192 of 19,130 are its 1 %.

    Args:
        names: sweeps in the order of the data set, which matters here.
        step: 100 for 1 %.

    Raises:
        ValueError: if step is below 1 or there are fewer names.
    """
    _check_step(step, len(names), "names")
    return LabelBudget(f"lidar-{_percent(1 / step)}-every-{step}th", tuple(names)[::step])


def every_nth_sequence_budget(sequences: Mapping[str, Sequence[str]], step: int) -> LabelBudget:
    """All sweeps of every step-th sequence: `lidar-1%-every-100th-sequence`.

    SLidR's protocol on nuScenes (`dataloader_nuscenes.py`), which counts scenes, not sweeps, and
    from one: 1 % are all key frames of the scenes 100, 200 ... 700 of the training split.

    Args:
        sequences: sweeps of each sequence, sequences in the order of the data set (nuScenes: of
            `scene.json`), which matters here.
        step: 100 for 1 %.

    Raises:
        ValueError: if step is below 1 or there are fewer sequences.
    """
    _check_step(step, len(sequences), "sequences")
    chosen = list(sequences.values())[step - 1 :: step]
    scenes = tuple(name for sweeps in chosen for name in sweeps)
    return LabelBudget(f"lidar-{_percent(1 / step)}-every-{step}th-sequence", scenes)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g}%"


def _check_step(step: int, n: int, argument: str) -> None:
    if not 1 <= step <= n:
        raise ValueError(f"step must lie in [1, {n}], the {argument} given, got {step}")


def _keep_listed(scene: Scene, index: Mapping[str, np.ndarray]) -> Scene:
    return keep_annotations(scene, index[scene.name])
