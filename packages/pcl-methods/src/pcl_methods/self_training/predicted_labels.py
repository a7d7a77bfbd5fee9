"""Labels of images or of a network in place of annotations: self-training from nothing.

Round 0 of TWIST (Chu et al., CVPR 2022) learns from a few annotated scenes. With the classes that
images or a label-free network tell, and as instances the connected parts of one class, it needs
none.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pcl_data import LabelSet, Scene
from pcl_data.atomic_files import whole_file
from pcl_data.file_errors import errors_in
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.labelfree.classes import class_texts
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.scene_arrays import read_arrays, scene_file
from pcl_methods.segmentation.scene_grid import scene_grid
from pcl_methods.segmentation.segmenter import load_segmenter
from pcl_methods.segmentation.weights import FILES
from pcl_pseudolabel import cluster_proposals
from pcl_run.counting import counting
from pcl_run.run_folder import CONFIG

FindClasses = Callable[[Scene], np.ndarray]


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


def open_labeler(
    source: Path, split: SceneSplit, device: torch.device | str = "cpu"
) -> FindClasses:
    """What gives the class of every point of a scene, (n,), -1 none, where nobody annotates it.

    Args:
        source: a finished run of any app, whose network tells the classes; or a folder of image
            labels (`LabelStore`), where all views of a geometric set vote.
        split: whose labeled scenes are to be labeled.
        device: of the network.

    Raises:
        ValueError: if a run is not finished, or has other classes, or the folder lacks a scene.
            Labels of images of other classes are told when a scene is read.
    """
    assert split.label_set is not None  # whoever learns classes has some
    if source.is_dir() and not any((source / name).exists() for name in (CONFIG, *FILES)):
        return _by_images(source, split, split.label_set)
    segmenter = load_segmenter(source, device)
    names = segmenter.label_set.names
    if names != split.label_set.names:
        raise ValueError(
            f"labels must be of the classes of {split.data}, got a network of "
            f"{', '.join(names[:5])} ..."
        )
    return lambda scene: segmenter(scene).labels


def _by_images(folder: Path, split: SceneSplit, label_set: LabelSet) -> FindClasses:
    store = LabelStore(folder, {"classes": class_texts(label_set)})
    missing = [name for name in split.labeled if name not in store]
    if missing:
        raise ValueError(
            f"labels must be a finished run or hold a file of each of the {len(split.labeled)} "
            f"labeled scenes, got none of {missing[0]} in {folder}"
        )

    def find(scene: Scene) -> np.ndarray:
        found = store.load(scene.name)
        found.check_points(scene)
        return found.voted(label_set.n_classes)

    return find


def write_predicted_labels(
    split: SceneSplit,
    find: FindClasses,
    folder: Path,
    *,
    voxel_size: float,
    cluster_radius: float = 1.5,
    min_points: int = 50,
) -> None:
    """Write classes and instances of the labeled scenes; those that are there are kept.

    Args:
        split: whose labeled scenes are to be learned from.
        find: gives their classes, as of `open_labeler`.
        folder: of a file a scene.
        voxel_size: metres.
        cluster_radius: voxels that parts of an instance may lie apart.
        min_points: voxels of the smallest instance; smaller parts have none.
    """
    assert split.label_set is not None  # whoever learns classes has some
    stuff = split.label_set.stuff
    with counting("predicting labels", len(split.labeled)) as done:
        for name in split.labeled:
            path = scene_file(folder, name)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                scene = split.load(name)
                labels = find(scene)
                instances = connected_parts(
                    scene, labels, voxel_size, cluster_radius, min_points, stuff
                )
                labels, instances = labels.astype(np.int32), instances.astype(np.int32)
                with whole_file(path) as file:
                    np.savez(file, labels=labels, instances=instances)
            done(name)


def connected_parts(
    scene: Scene,
    labels: np.ndarray,
    voxel_size: float,
    cluster_radius: float,
    min_points: int,
    stuff: Collection[int],
) -> np.ndarray:
    """The connected part of one class that each point lies in, (n,), -1 none.

    Args:
        scene: the points.
        labels: (n,) class of each, -1 none.
        voxel_size: metres.
        cluster_radius: voxels that points of a part may lie apart.
        min_points: voxels of the smallest part.
        stuff: classes without instances.
    """
    grid = scene_grid(scene.points, voxel_size)
    parts = cluster_proposals(
        torch.from_numpy(scene.points[grid.index]),
        torch.from_numpy(labels[grid.index]),
        torch.zeros(len(grid.index), dtype=torch.int64),
        radius=cluster_radius * voxel_size,
        min_points=min_points,
        ignore=stuff,
    )
    found = parts.numpy()[grid.inverse]
    return np.where(labels == labels[grid.index][grid.inverse], found, -1)
