"""Budgets of points: the labels of a few points of a scene, random or from a published list."""

import os
import zipfile
from collections.abc import Collection
from dataclasses import replace
from zlib import crc32

import numpy as np
from jaxtyping import Int, Int64

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import IGNORE_INDEX
from pcl_data.readers.npz import read_members
from pcl_data.scene import Scene


def limited_annotations(scene: Scene, count: int, *, seed: int = 0) -> Scene:
    """The scene with labels and instances of `count` random labeled points only.

    All other labels and instances become -1. A scene with fewer labeled points keeps them all.

    Args:
        scene: with labels.
        count: number of points to keep; the benchmark has 20, 50, 100 and 200.
        seed: with the name of the scene it fixes the points, nested over counts.

    Raises:
        ValueError: if the scene has no labels or count is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    generator = np.random.default_rng([seed, crc32(scene.name.encode())])
    labeled = np.flatnonzero(_labels_of(scene) != IGNORE_INDEX)
    return keep_annotations(scene, generator.permutation(labeled)[:count])


def keep_annotations(scene: Scene, index: Int[np.ndarray, " m"]) -> Scene:
    """The scene with the labels and instances of the points in `index` only, the others -1.

    The labels of camera frames stay as they are.

    Args:
        scene: with labels.
        index: points to keep, from a published list or an active choice. A point may occur twice,
            and one without a label stays without.

    Raises:
        ValueError: if the scene has no labels or a point does not exist.
    """
    labels = _labels_of(scene)
    if len(index) and not 0 <= index.min() <= index.max() < len(labels):
        raise ValueError(
            f"scene {scene.name!r}: index must lie in [0, {len(labels)}), "
            f"got [{index.min()}, {index.max()}]"
        )
    is_kept = np.zeros(len(labels), bool)
    is_kept[index] = True
    instances = None if scene.instances is None else np.where(is_kept, scene.instances, -1)
    return replace(scene, labels=np.where(is_kept, labels, IGNORE_INDEX), instances=instances)


def read_annotations(
    path: str | os.PathLike[str], names: Collection[str]
) -> dict[str, Int64[np.ndarray, " m"]]:
    """Annotated points of each scene, from an archive with one array of point numbers a scene.

    The benchmark of Hou et al., CVPR 2021, gives a dictionary of arrays in the format of torch, a
    pickle, which is not read here. Where torch is, this converts it and runs no code of the file::

        allowed = [
            (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct")
        ]
        allowed += [codecs.encode, np.ndarray, np.dtype, type(np.dtype("int64"))]
        with torch.serialization.safe_globals(allowed):
            points = torch.load("points20", weights_only=True)
        np.savez("points20.npz", **points)

    Args:
        path: the `.npz` file.
        names: the scenes that exist.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no complete archive, is empty, names a scene that is not in `names`, or
            holds something else than lists of whole numbers from 0.
    """
    with errors_in(path), library_errors("NPZ"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names_in_file = [member.filename.removesuffix(".npy") for member in members]
        listed = dict(zip(names_in_file, read_members(archive, members), strict=True))
    if not listed:
        raise ValueError(f"{path}: must hold at least one scene, got none")
    known = set(names)
    for name, index in listed.items():
        if name not in known:
            raise ValueError(f"{path}: must hold given scenes, got {name!r}")
        if index.ndim != 1 or index.dtype.kind not in "iu" or (index.size and index.min() < 0):
            raise ValueError(
                f"{path}: {name} must be a list of whole numbers from 0, "
                f"got {index.dtype} of shape {index.shape}"
            )
    return {name: index.astype(np.int64) for name, index in listed.items()}


def _labels_of(scene: Scene) -> np.ndarray:
    if scene.labels is None:
        raise ValueError(f"scene {scene.name!r}: labels must be given, got None")
    return scene.labels
