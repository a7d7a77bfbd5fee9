"""Labels that a network predicts in place of annotations: self-training from nothing.

Round 0 of TWIST (Chu et al., CVPR 2022) learns from a few annotated scenes. With the classes of a
label-free network, and as instances the connected parts of one class, it needs none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pcl_data import Scene
from pcl_data.atomic_files import whole_file
from pcl_data.file_errors import errors_in
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.scene_arrays import read_arrays, scene_file
from pcl_methods.segmentation.scene_grid import scene_grid
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_pseudolabel import cluster_proposals
from pcl_run.counting import counting


@dataclass(frozen=True)
class PredictedScenes:
    """Reads scenes; those that are learned from have the labels in a folder.

    Args:
        load: reads a scene.
        folder: of `write_predicted_labels`.
        names: scenes with predicted labels.
    """

    load: Callable[[str], Scene]
    folder: Path
    names: frozenset[str]

    def __call__(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: if its predicted labels are damaged or of other points.
        """
        scene = self.load(name)
        if name not in self.names:
            return scene
        path = scene_file(self.folder, name)
        with errors_in(path):
            arrays = read_arrays(path, ("labels", "instances"))
            labels, instances = arrays["labels"], arrays["instances"]
            if labels.shape != (len(scene.points),):
                raise ValueError(f"must be of {len(scene.points)} points, got {labels.shape}")
        return replace(scene, labels=labels.astype(np.int64), instances=instances.astype(np.int64))


def with_predicted_labels(split: SceneSplit, folder: Path) -> SceneSplit:
    """The split, whose labeled scenes have the labels that were predicted for them."""
    names = frozenset(split.labeled)
    return replace(
        split,
        budget=LabelBudget(f"labelfree-{len(names)}", split.labeled),
        load=PredictedScenes(split.load, folder, names),
    )


def write_predicted_labels(
    split: SceneSplit, segmenter: Segmenter, folder: Path, *, min_points: int = 50
) -> None:
    """Predict classes and instances of the labeled scenes; those that are there are kept.

    Args:
        split: whose labeled scenes are to be learned from.
        segmenter: gives their classes.
        folder: of a file a scene.
        min_points: voxels of the smallest instance; smaller parts have none.

    Raises:
        ValueError: if the segmenter has other classes than the split.
    """
    names = () if split.label_set is None else split.label_set.names
    if names != segmenter.label_set.names:
        raise ValueError(
            f"labels must be of the classes of {split.data}, got a network of "
            f"{', '.join(segmenter.label_set.names[:5])} ..."
        )
    with counting("predicting labels", len(split.labeled)) as done:
        for name in split.labeled:
            path = scene_file(folder, name)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                scene = split.load(name)
                labels = segmenter(scene).labels
                instances = connected_parts(scene, labels, segmenter, min_points)
                labels, instances = labels.astype(np.int32), instances.astype(np.int32)
                with whole_file(path) as file:
                    np.savez(file, labels=labels, instances=instances)
            done(name)


def connected_parts(
    scene: Scene, labels: np.ndarray, segmenter: Segmenter, min_points: int
) -> np.ndarray:
    """The connected part of one class that each point lies in, (n,), -1 none.

    Args:
        scene: the points.
        labels: (n,) class of each.
        segmenter: its voxels, and how far apart the voxels of a part may lie.
        min_points: voxels of the smallest part.
    """
    grid = scene_grid(scene.points, segmenter.voxel_size)
    parts = cluster_proposals(
        torch.from_numpy(scene.points[grid.index]),
        torch.from_numpy(labels[grid.index]),
        torch.zeros(len(grid.index), dtype=torch.int64),
        radius=segmenter.cluster_radius * segmenter.voxel_size,
        min_points=min_points,
        ignore=segmenter.stuff,
    )
    found = parts.numpy()[grid.inverse]
    return np.where(labels == labels[grid.index][grid.inverse], found, -1)
