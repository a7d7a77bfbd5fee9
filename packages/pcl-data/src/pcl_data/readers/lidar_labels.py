"""Label files of the LiDAR benchmarks, of ground truth and of submissions alike.

Formats: the README and evaluate_panoptic.py of semantic-kitti-api (Behley et al., ICCV 2019);
eval/lidarseg/README.md of the nuScenes devkit (Fong et al., RA-L 2022).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int64, Integer

from pcl_data.file_errors import errors_in
from pcl_data.label_set import NUSCENES16, SEMANTICKITTI19, LabelSet
from pcl_data.readers.records import read_records


def read_semantickitti_labels(
    path: Path, label_set: LabelSet = SEMANTICKITTI19
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Train id and instance id of each point of a `.label` file.

    A value is a little-endian uint32: the raw class id in its low 16 bits, the number of an object
    of the class in its high 16, 0 for none.

    Returns:
        labels, and the instances of `thing_instances`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is incomplete or holds a class that `label_set` does not know.
    """
    values = read_records(path, "<u4")
    with errors_in(path):
        labels = label_set.to_train(values & 0xFFFF)
    return labels, thing_instances(labels, values >> 16, label_set, n_bits=16)


def read_nuscenes_lidarseg(path: Path, *, challenge_ids: bool = False) -> Int64[np.ndarray, " n"]:
    """Train id of `NUSCENES16` of each point of a `_lidarseg.bin` file, one uint8 a point.

    Args:
        path: the file.
        challenge_ids: the file is a submission: 1 to 16 are the classes in train order and 0 is
            ignored. Annotations hold the raw ids 0 to 31 instead.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds another id.
    """
    values = read_records(path, "u1")
    with errors_in(path):
        if not challenge_ids:
            return NUSCENES16.to_train(values)
        if values.max(initial=0) > NUSCENES16.n_classes:
            raise ValueError(f"must hold ids in [0, {NUSCENES16.n_classes}], got {values.max()}")
    return values.astype(np.int64) - 1


def thing_instances(
    labels: Int64[np.ndarray, " n"],
    numbers: Integer[np.ndarray, " n"],
    label_set: LabelSet,
    *,
    n_bits: int,
) -> Int64[np.ndarray, " n"]:
    """Instance ids that are unique in a sweep, of numbers that are unique in a class.

    Args:
        labels: train ids, -1 unlabeled.
        numbers: of the objects of a class, below 2**n_bits; 0 is none.
        label_set: meaning of the labels.
        n_bits: width of a number.

    Returns:
        label x 2**n_bits + number; -1 where the number is 0 or the class is stuff or unlabeled.
    """
    is_thing = np.isin(labels, label_set.things) & (numbers > 0)
    return np.where(is_thing, (labels << n_bits) + numbers.astype(np.int64), -1)


def check_length(path: Path, labels: Integer[np.ndarray, " n"], n_points: int) -> None:
    """Raise `ValueError` unless a label file holds one label for each point of its sweep."""
    with errors_in(path):
        if len(labels) != n_points:
            raise ValueError(
                f"must hold one label for each of {n_points} points, got {len(labels)}"
            )
