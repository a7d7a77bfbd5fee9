"""Scenes on disk: one folder of `.npy` files a scene, in the layout of Pointcept.

`coord.npy color.npy normal.npy strength.npy segment.npy instance.npy superpoint.npy` are shared
with Pointcept; `face.npy`, `box.npy`, `time.npy`, `pose.npy`, `frames/0000/*.npy` and `scene.json`
(name, name of the label set) are ours.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcl_data.atomic_files import flush_folder, whole_file, whole_folder
from pcl_data.label_set import IGNORE_INDEX, LabelSet
from pcl_data.scene import FRAME_ARRAYS, SCENE_ARRAYS, Frame, Scene

FILE_NAMES = {
    "points": "coord",
    "colors": "color",
    "normals": "normal",
    "labels": "segment",
    "instances": "instance",
    "superpoints": "superpoint",
    "faces": "face",
    "boxes": "box",
    "intensity": "strength",
    "times": "time",
    "sensor_to_world": "pose",
}
META_NAME = "scene.json"


def save_scene(scene: Scene, path: str | os.PathLike[str]) -> None:
    """Write a scene as a new folder, whole or not at all.

    The files are written to a temporary folder beside `path`, flushed to the disk and renamed.

    Args:
        scene: what to write.
        path: the folder to make; its parents are made too.

    Raises:
        FileExistsError: if `path` exists.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = tempfile.mkdtemp()
        >>> save_scene(Scene("room", np.zeros((2, 3), np.float32)), f"{folder}/room")
        >>> load_scene(f"{folder}/room").name
        'room'
    """
    with whole_folder(path) as folder:
        _write_arrays(folder, {FILE_NAMES[name]: getattr(scene, name) for name in FILE_NAMES})
        for i, frame in enumerate(scene.frames):
            arrays = {name: getattr(frame, name) for name in FRAME_ARRAYS}
            _write_arrays(folder / "frames" / f"{i:04d}", arrays)
        label_set = scene.label_set.name if scene.label_set else None
        meta = json.dumps({"name": scene.name, "label_set": label_set}, indent=2) + "\n"
        with whole_file(folder / META_NAME) as file:
            file.write(meta.encode())


def load_scene(path: str | os.PathLike[str], label_set: LabelSet | None = None) -> Scene:
    """Read a scene folder; the arrays are memory-mapped and read-only.

    Folders of Pointcept load as they are: float64 coordinates are rounded to float32, other integer
    types become int64, and (n, 1) segments and instances become (n,); such arrays are read into
    memory. Without `segment.npy`, `segment20.npy` or `segment200.npy` is read, whichever has the
    number of classes of `label_set`. -1 is unlabelled there as here. Pointcept numbers walls and
    unlabelled objects as instances too: with a label set, those of things alone are kept.

    Args:
        path: the folder.
        label_set: meaning of the labels; they are checked against it.

    Raises:
        FileNotFoundError: if the folder or its `coord.npy` is missing.
        ValueError: naming the file that is truncated, no array, or of the wrong shape or type;
            or if `label_set` is not the one that the scene was saved with.
    """
    path = Path(path)
    if not (path / "coord.npy").is_file():
        raise FileNotFoundError(f"path must be a scene folder with coord.npy, got {path}")
    meta = _read_meta(path)
    if label_set and meta["label_set"] and label_set.name != meta["label_set"]:
        raise ValueError(
            f"{path}: label_set must be {meta['label_set']!r}, the one the scene was saved with, "
            f"got {label_set.name!r}"
        )
    files = {name: path / f"{stem}.npy" for name, stem in FILE_NAMES.items()}
    if label_set and not files["labels"].exists():
        files["labels"] = _numbered_segment(path, label_set)
    arrays = {
        name: _read_array(file, len(SCENE_ARRAYS[name][0]), SCENE_ARRAYS[name][1])
        for name, file in files.items()
        if file.exists()
    }
    try:
        folders = sorted((path / "frames").glob("[0-9]*"), key=lambda folder: int(folder.name))
        frames = tuple(_read_frame(folder) for folder in folders)
        scene = Scene(name=str(meta["name"]), frames=frames, label_set=label_set, **arrays)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    is_ours = (path / META_NAME).exists()
    return scene if is_ours or label_set is None else _with_things_alone(scene, label_set)


def _numbered_segment(path: Path, label_set: LabelSet) -> Path:
    """The file of Pointcept that has the labels of a label set.

    Raises:
        ValueError: if there are only labels of others.
    """
    file = path / f"segment{label_set.n_classes}.npy"
    others = sorted(path.glob("segment[0-9]*.npy"))
    if others and not file.exists():
        raise ValueError(
            f"{path}: must hold {file.name}, the labels of {label_set.name}, "
            f"got {', '.join(other.name for other in others)}"
        )
    return file


def _with_things_alone(scene: Scene, label_set: LabelSet) -> Scene:
    if scene.labels is None or scene.instances is None:
        return scene
    is_thing = np.isin(scene.labels, label_set.things)
    return replace(scene, instances=np.where(is_thing, scene.instances, IGNORE_INDEX))


def _write_arrays(folder: Path, arrays: dict[str, np.ndarray | None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in arrays.items():
        if array is None:
            continue
        with (folder / f"{stem}.npy").open("wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    flush_folder(folder)


def _read_meta(path: Path) -> dict[str, str | None]:
    file = path / META_NAME
    if not file.exists():  # a folder written by Pointcept
        return {"name": path.name, "label_set": None}
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        return {"name": str(meta["name"]), "label_set": meta["label_set"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} must be JSON with name and label_set, got {error!r}") from error


def _read_array(file: Path, n_axes: int, dtype: type) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file} must be a complete .npy file, got {error}") from error
    if n_axes == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if np.issubdtype(array.dtype, dtype):
        return array
    if np.issubdtype(array.dtype, np.number):
        with np.errstate(invalid="ignore"):
            cast = array.astype(dtype)
        if np.issubdtype(dtype, np.floating) or np.array_equal(cast, array):
            return cast
    raise ValueError(f"{file} must hold values of {dtype.__name__}, got {array.dtype}")


def _read_frame(folder: Path) -> Frame:
    arrays = {
        name: _read_array(folder / f"{name}.npy", len(shape), dtype)
        for name, (shape, dtype) in FRAME_ARRAYS.items()
        if (folder / f"{name}.npy").exists()
    }
    missing = {"image", "intrinsics", "camera_to_world"} - arrays.keys()
    if missing:
        raise ValueError(f"{folder} must hold {sorted(missing)[0]}.npy")
    depth = arrays.pop("depth", None)
    return Frame(depth=depth, **arrays)
