"""Submissions to the ScanNet benchmarks, written and read back.

The formats are those of the benchmark's documentation and of its scripts `util_3d.py`,
`evaluate_semantic_label.py` and `evaluate_semantic_instance.py`; the lines of a scene follow the
vertices of its mesh `<scene>_vh_clean_2.ply`.

- Semantic: `<scene>.txt` holds one raw id (NYU40, or ScanNet200) a line.
- Instance: `<scene>.txt` holds one prediction a line, `predicted_masks/<scene>_000.txt id score`,
  and the mask one 0 or 1 a line.

The folder is the root of the archive to upload. The data-efficient benchmark (limited
reconstructions or annotations) takes four such folders in one, a budget each.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from pcl_data.atomic_files import flush_folder, flushed_file, whole_folder
from pcl_data.evaluation.id_range import check_ids, check_predictions
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import SCANNET20, LabelSet

MASK_FOLDER = "predicted_masks"
_BYTES_A_LINE = 16  # more than any id and line end takes


class InstancePrediction(NamedTuple):
    """Instances predicted in one scene, in the order that `InstanceEvaluator.update` takes them."""

    masks: Bool[np.ndarray, "m n"]
    mask_labels: Int[np.ndarray, " m"]
    scores: Float[np.ndarray, " m"]


def write_scannet_submission(
    folder: str | os.PathLike[str],
    predictions: Iterable[tuple[str, Int[np.ndarray, " _"] | InstancePrediction]],
    label_set: LabelSet = SCANNET20,
) -> None:
    """Write a submission, whole or not at all.

    Args:
        folder: must not exist yet.
        predictions: name and prediction of every scene, one in memory at a time. Labels are for the
            semantic benchmark: train ids of each vertex; -1, unknown, becomes 0, which the script
            counts as a miss, as `SemanticEvaluator` does. `InstancePrediction` is for the instance
            benchmark; its labels are train ids too.
        label_set: meaning of the labels: `SCANNET20` or `SCANNET200`.

    Raises:
        FileExistsError: if the folder exists.
        ValueError: if there is no scene, a name comes twice or is no plain file name, or an array
            has the wrong shape or a value out of range.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = f"{tempfile.mkdtemp()}/submission"
        >>> write_scannet_submission(folder, [("scene0707_00", np.array([0, 19, -1]))])
        >>> read_scannet_labels(f"{folder}/scene0707_00.txt", 3).tolist()
        [0, 19, -1]
    """
    with whole_folder(folder) as root:
        _write_scenes(root, predictions, label_set)


def write_scannet_budgets(
    folder: str | os.PathLike[str],
    budgets: Mapping[str, Iterable[tuple[str, Int[np.ndarray, " _"] | InstancePrediction]]],
    label_set: LabelSet = SCANNET20,
) -> None:
    """Write a submission to the data-efficient benchmark, whole or not at all.

    Args:
        folder: must not exist yet.
        budgets: predictions, as for `write_scannet_submission`, by name of their sub-folder. The
            benchmark has four budgets (1, 5, 10, 20 % of the scenes, or 20, 50, 100, 200 points);
            its upload page names the folders that it wants.
        label_set: meaning of the labels.

    Raises:
        FileExistsError: if the folder exists.
        ValueError: if there is no budget or one is no plain folder name; and as
            `write_scannet_submission`, naming the budget.
    """
    if not budgets:
        raise ValueError("budgets must hold at least one budget, got none")
    with whole_folder(folder) as root:
        for name, predictions in budgets.items():
            if not re.fullmatch(r"[\w.%-]*\w%?", name):
                raise ValueError(f"budgets must have names for folders, got {name!r}")
            (root / name).mkdir()
            with errors_in(name):
                _write_scenes(root / name, predictions, label_set)
            flush_folder(root / name)


def _write_scenes(
    root: Path,
    predictions: Iterable[tuple[str, np.ndarray | InstancePrediction]],
    label_set: LabelSet,
) -> None:
    names: set[str] = set()
    for name, prediction in predictions:
        if name in names or not re.fullmatch(r"[\w.-]*\w", name):
            raise ValueError(f"predictions must have distinct scene names for files, got {name!r}")
        names.add(name)
        with errors_in(name):
            if isinstance(prediction, InstancePrediction):
                _write_instances(root, name, prediction, label_set)
            else:
                check_ids("labels", prediction, -1, label_set.n_classes - 1)
                _write(root / f"{name}.txt", map(str, label_set.to_raw(prediction).tolist()))
    if not names:
        raise ValueError("predictions must hold at least one scene, got none")


def read_scannet_labels(
    path: str | os.PathLike[str], n_points: int, label_set: LabelSet = SCANNET20
) -> Int64[np.ndarray, " n"]:
    """Train ids of the vertices in a `<scene>.txt` of a semantic submission.

    -1 is a known id that is no class of the label set, 0 among them; the script counts it as a
    miss.

    Args:
        path: the file.
        n_points: vertices of the scene.
        label_set: meaning of the ids.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold `n_points` known ids.
    """
    path = Path(path)
    ids = _read_ids(path, n_points)
    with errors_in(path):
        return label_set.to_train(ids)


def read_scannet_instances(
    path: str | os.PathLike[str], n_points: int, label_set: LabelSet = SCANNET20
) -> InstancePrediction:
    """The predictions in a `<scene>.txt` of an instance submission, with their masks.

    Args:
        path: the file; masks are read from its folder or below.
        n_points: vertices of the scene.
        label_set: meaning of the ids.

    Raises:
        FileNotFoundError: if the file or a mask is missing.
        ValueError: if a line is no mask, class id and finite score, a mask lies outside the folder
            or comes twice, or a mask does not hold `n_points` times 0 or 1.
    """
    path = Path(path)
    with errors_in(path), library_errors("prediction"):
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [_parse_line(line, path.parent.resolve(), label_set) for line in lines]
        files, labels, scores = zip(*rows, strict=True) if rows else ((), (), ())
        if len(set(files)) < len(files):
            raise ValueError("a mask may come once only")
    masks = np.zeros((len(files), n_points), bool)
    for row, file in zip(masks, files, strict=True):
        ids = _read_ids(file, n_points)
        if ids.max(initial=0) > 1:
            raise ValueError(f"{file}: must hold 0 and 1 only, got {ids.max()}")
        row[:] = ids
    return InstancePrediction(masks, np.array(labels, np.int64), np.array(scores, np.float64))


def _write_instances(
    root: Path, name: str, prediction: InstancePrediction, label_set: LabelSet
) -> None:
    masks, mask_labels, scores = prediction
    check_predictions(label_set.n_classes, masks, mask_labels, scores)
    if masks.dtype != bool or masks.ndim != 2:
        raise ValueError(
            f"masks must be booleans of shape (m, n), got {masks.dtype} of shape {masks.shape}"
        )
    folder = root / MASK_FOLDER
    folder.mkdir(exist_ok=True)
    lines = []
    ids = label_set.to_raw(mask_labels).tolist()
    for i, (mask, raw, score) in enumerate(zip(masks, ids, scores.tolist(), strict=True)):
        file = folder / f"{name}_{i:03d}.txt"
        _write(file, np.where(mask, "1", "0").tolist())
        lines.append(f"{MASK_FOLDER}/{file.name} {raw} {score}")
    _write(root / f"{name}.txt", lines)
    flush_folder(folder)


def _write(path: Path, lines: Iterable[str]) -> None:
    with flushed_file(path) as file:
        file.write("\n".join([*lines, ""]).encode())


def _read_ids(path: Path, n_points: int) -> Int64[np.ndarray, " n"]:
    """The integers in a file of one each line."""
    with errors_in(path), library_errors("id"):
        size = path.stat().st_size
        if size > _BYTES_A_LINE * (n_points + 1):  # before memory is asked for
            raise ValueError(f"{n_points} lines expected, {size} bytes found")
        lines = path.read_bytes().split()
        if len(lines) != n_points:
            raise ValueError(f"{n_points} lines expected, {len(lines)} found")
        values = {line: int(line) if line.isdigit() else -1 for line in set(lines)}
        if min(values.values(), default=0) < 0:
            raise ValueError(f"{min(values, key=values.__getitem__)!r} is no id")
        return np.fromiter(map(values.__getitem__, lines), np.int64, n_points)


def _parse_line(line: str, folder: Path, label_set: LabelSet) -> tuple[Path, int, float]:
    """Mask file, train id and score."""
    fields = line.split()
    if len(fields) != 3:
        raise ValueError(f"mask, id and score expected, {line[:200]!r} found")
    file, raw, score = (folder / fields[0]).resolve(), fields[1], float(fields[2])
    if not file.is_relative_to(folder):
        raise ValueError(f"masks in the folder expected, {fields[0]!r} found")
    if not raw.isdecimal() or int(raw) not in label_set.raw_ids:
        raise ValueError(f"ids of classes of {label_set.name} expected, {raw!r} found")
    if not math.isfinite(score):
        raise ValueError(f"finite scores expected, {score} found")
    return file, label_set.raw_ids.index(int(raw)), score
