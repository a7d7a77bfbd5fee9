"""Predictions on LiDAR sweeps as the servers of the benchmarks take them.

Formats: the README of semantic-kitti-api (Behley et al., ICCV 2019) and eval/lidarseg/README.md of
the nuScenes devkit, version 1.2.0. `pcl_data.readers` reads the files back.
"""

import json
import os
import re
from collections.abc import Iterable, Set
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from pcl_data.atomic_files import whole_file
from pcl_data.label_set import NUSCENES16, SEMANTICKITTI19, LabelSet

EVAL_SETS = ("train", "val", "test")
INPUTS = ("camera", "lidar", "radar", "map", "external")
_MOST_INSTANCES = 2**16 - 1


def write_semantickitti_submission(
    folder: str | os.PathLike[str],
    predictions: Iterable[tuple[str, Integer[np.ndarray, " n"], Integer[np.ndarray, " n"] | None]],
    *,
    label_set: LabelSet = SEMANTICKITTI19,
) -> None:
    """Write `sequences/NN/predictions/FFFFFF.label` of every sweep, as it comes.

    Args:
        folder: to be zipped for the server; made if it is not there. Files in it are replaced.
        predictions: name (`08/000000`), train ids and instance ids of each sweep, as
            `write_semantickitti_labels` takes them; None for the instances of the semantic task.
        label_set: meaning of the train ids.

    Raises:
        ValueError: if a name is no name of a sweep, or as `write_semantickitti_labels`.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pcl_data.readers import read_semantickitti_labels
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_semantickitti_submission(
        ...     folder, [("11/000000", np.array([0, 8, -1]), None)]
        ... )
        >>> path = folder / "sequences" / "11" / "predictions" / "000000.label"
        >>> read_semantickitti_labels(path)[0].tolist()
        [0, 8, -1]
    """
    for name, labels, instances in predictions:
        if not re.fullmatch(r"\d\d/\d{6}", name):
            raise ValueError(f"predictions must have names like 08/000000, got {name!r}")
        sequence, number = name.split("/")
        path = Path(folder) / "sequences" / sequence / "predictions" / f"{number}.label"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_semantickitti_labels(path, labels, instances, label_set=label_set)


def write_semantickitti_labels(
    path: str | os.PathLike[str],
    labels: Integer[np.ndarray, " n"],
    instances: Integer[np.ndarray, " n"] | None = None,
    *,
    label_set: LabelSet = SEMANTICKITTI19,
) -> None:
    """Write one `.label` file: the raw id of each point, and its object in the high 16 bits.

    Objects are numbered from 1 in the order of their ids. An unlabeled point (-1) is written as 0,
    which the server counts as a miss.

    Args:
        path: the file; its folder must exist.
        labels: train ids, -1 unlabeled.
        instances: instance ids, -1 none.
        label_set: meaning of the train ids.

    Raises:
        ValueError: if an id is outside the label set, the lengths differ, or there are more than
            65,535 instances.
    """
    values = label_set.to_raw(labels)
    if instances is not None:
        if instances.shape != labels.shape:
            raise ValueError(f"instances must have shape {labels.shape}, got {instances.shape}")
        ids = np.unique(instances[instances >= 0])
        if len(ids) > _MOST_INSTANCES:
            raise ValueError(f"instances must be at most {_MOST_INSTANCES}, got {len(ids)}")
        numbers = np.where(instances >= 0, np.searchsorted(ids, instances) + 1, 0)
        values = values | numbers << 16
    with whole_file(path) as file:
        file.write(values.astype("<u4").tobytes())


def write_nuscenes_submission(
    folder: str | os.PathLike[str],
    predictions: Iterable[tuple[str, Integer[np.ndarray, " n"]]],
    *,
    eval_set: str = "test",
    inputs: Set[str] = frozenset({"lidar"}),
) -> None:
    """Write `lidarseg/EVAL_SET/TOKEN_lidarseg.bin` of every sweep, then `EVAL_SET/submission.json`.

    Points have the ids of the challenge, one uint8 each: train id of `NUSCENES16` plus 1.

    Args:
        folder: to be zipped for the server; made if it is not there. Files in it are replaced.
        predictions: token of the LiDAR sweep (`NuScenes.lidar_token`) and train ids of its points.
        eval_set: `test`, or `val` or `train` for the evaluation on one's own machine.
        inputs: what the method looks at, of `INPUTS`; `external` is data other than nuScenes.

    Raises:
        ValueError: if a point is unlabeled, which the server refuses, a train id is outside the
            label set, a token is no name of a file, or `eval_set` or an input is unknown.
    """
    if eval_set not in EVAL_SETS:
        raise ValueError(f"eval_set must be one of {', '.join(EVAL_SETS)}, got {eval_set!r}")
    if not inputs <= set(INPUTS):
        raise ValueError(f"inputs must be among {', '.join(INPUTS)}, got {sorted(inputs)}")
    bins, meta = Path(folder) / "lidarseg" / eval_set, Path(folder) / eval_set
    for part in (bins, meta):
        part.mkdir(parents=True, exist_ok=True)
    for token, labels in predictions:
        if not re.fullmatch(r"\w+", token):
            raise ValueError(f"predictions must have tokens of letters and digits, got {token!r}")
        if labels.size and not 0 <= labels.min() <= labels.max() < NUSCENES16.n_classes:
            raise ValueError(
                f"labels of {token} must lie in [0, {NUSCENES16.n_classes}), "
                f"got [{labels.min()}, {labels.max()}]"
            )
        with whole_file(bins / f"{token}_lidarseg.bin") as file:
            file.write((labels + 1).astype(np.uint8).tobytes())
    content = {"meta": {f"use_{name}": name in inputs for name in INPUTS}}
    with whole_file(meta / "submission.json") as file:
        file.write(json.dumps(content, indent=2).encode())
