"""Scenes on disk: one folder of `.npy` files a scene, in the layout of Pointcept.

`coord.npy color.npy normal.npy strength.npy segment.npy instance.npy superpoint.npy` are shared
with Pointcept; `face.npy`, `box.npy`, `time.npy`, `pose.npy`, `frames/0000/*.npy` and `scene.json`
(name, name of the label set) are ours.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pcl_data.atomic_files import flush_folder, flushed_file, whole_folder
from pcl_data.file_errors import errors_in, library_errors
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
        for stem, array in scene_arrays(scene):
            file = folder / f"{stem}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            with flushed_file(file) as stream:
                _write_array(stream, array)
        with flushed_file(folder / META_NAME) as stream:
            stream.write(scene_meta(scene))
        for child in folder.rglob("*/"):
            flush_folder(child)


def _write_array(stream: BinaryIO, array: np.ndarray) -> None:
    """Write an `.npy` file. Where the disk is full, `np.save` does not say so in its error."""
    array = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
    stream.write(array.data)


def load_scene(path: str | os.PathLike[str], label_set: LabelSet | None = None) -> Scene:
    """Read a scene folder; the arrays are memory-mapped and read-only.

    Folders of Pointcept load as they are: float64 coordinates are rounded to float32, other integer
    types become int64, and (n, 1) segments and instances become (n,); such arrays are read into
    memory. Without `segment.npy`, `segment20.npy` or `segment200.npy` is read, whichever has the
    number of classes of `label_set`. -1 is unlabeled there as here. Pointcept numbers walls and
    unlabeled objects as instances too: with a label set, those of things alone are kept.

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
    meta = path / META_NAME
    is_ours = meta.exists()
    name = parse_meta(str(meta), meta.read_bytes(), label_set) if is_ours else path.name
    patterns = (*(f"{stem}.npy" for stem in FILE_NAMES.values()), "segment[0-9]*.npy")
    arrays = {
        file.relative_to(path).with_suffix("").as_posix(): _open_array(file)
        for pattern in (*patterns, "frames/[0-9]*/*.npy")
        for file in path.glob(pattern)
    }
    scene = scene_of_arrays(str(path), name, arrays, label_set)
    return scene if is_ours or label_set is None else _with_things_alone(scene, label_set)


def scene_arrays(scene: Scene) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a scene with the stem of their files: `coord`, `frames/0000/depth`, ..."""
    for field, stem in FILE_NAMES.items():
        if getattr(scene, field) is not None:
            yield stem, getattr(scene, field)
    for i, frame in enumerate(scene.frames):
        for field in FRAME_ARRAYS:
            if getattr(frame, field) is not None:
                yield f"frames/{i:04d}/{field}", getattr(frame, field)


def scene_meta(scene: Scene) -> bytes:
    """Name and label set of a scene as JSON."""
    label_set = scene.label_set.name if scene.label_set else None
    return (json.dumps({"name": scene.name, "label_set": label_set}, indent=2) + "\n").encode()


def scene_of_arrays(
    owner: str, name: str, arrays: Mapping[str, np.ndarray], label_set: LabelSet | None
) -> Scene:
    """The scene of arrays by stem, as `scene_arrays` gives them; stems not known are left out.

    Raises:
        ValueError: beginning with `owner`, if an array has the wrong shape or type.
    """
    with errors_in(owner):
        stems = FILE_NAMES | {"labels": _label_stem(arrays, label_set)}
        fields = {
            field: _fitted(stem, arrays[stem], *SCENE_ARRAYS[field])
            for field, stem in stems.items()
            if stem in arrays
        }
        numbers = {stem.split("/")[1] for stem in arrays if stem.startswith("frames/")}
        frames = tuple(_frame(arrays, number) for number in sorted(numbers, key=int))
        return Scene(name=name, frames=frames, label_set=label_set, **fields)


def _label_stem(arrays: Mapping[str, np.ndarray], label_set: LabelSet | None) -> str:
    """The array that has the labels; Pointcept numbers some after the classes of their label set.

    Raises:
        ValueError: if there are only labels of other sets.
    """
    if label_set is None or "segment" in arrays:
        return "segment"
    stem = f"segment{label_set.n_classes}"
    others = [f"{other}.npy" for other in sorted(arrays) if other.startswith("segment")]
    if others and stem not in arrays:
        raise ValueError(
            f"must hold {stem}.npy, the labels of {label_set.name}, got {', '.join(others)}"
        )
    return stem


def _with_things_alone(scene: Scene, label_set: LabelSet) -> Scene:
    if scene.labels is None or scene.instances is None:
        return scene
    is_thing = np.isin(scene.labels, label_set.things)
    return replace(scene, instances=np.where(is_thing, scene.instances, IGNORE_INDEX))


def parse_meta(owner: str, content: bytes, label_set: LabelSet | None) -> str:
    """Name of a scene in the bytes of `scene_meta`.

    Raises:
        ValueError: beginning with `owner`, if it is something else, or the scene was saved with
            another label set.
    """
    try:
        meta = json.loads(content)
        name, saved = str(meta["name"]), meta["label_set"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{owner} must be JSON with name and label_set, got {error!r}") from error
    if label_set and saved and label_set.name != saved:
        raise ValueError(
            f"{owner}: label_set must be {saved!r}, the one the scene was saved with, "
            f"got {label_set.name!r}"
        )
    return name


def _open_array(file: Path) -> np.ndarray:
    with errors_in(file), library_errors(".npy"):
        return np.lib.format.open_memmap(file, mode="r")


def _fitted(stem: str, array: np.ndarray, shape: tuple[str | int, ...], dtype: type) -> np.ndarray:
    """The array in the type of its field; other types of Pointcept are converted."""
    if len(shape) == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if np.issubdtype(array.dtype, dtype):
        return array
    if np.issubdtype(array.dtype, np.number):
        with np.errstate(invalid="ignore"):
            cast = array.astype(dtype)
        if np.issubdtype(dtype, np.floating) or np.array_equal(cast, array):
            return cast
    raise ValueError(f"{stem}.npy must hold values of {dtype.__name__}, got {array.dtype}")


def _frame(arrays: Mapping[str, np.ndarray], number: str) -> Frame:
    stems = {field: f"frames/{number}/{field}" for field in FRAME_ARRAYS}
    fields = {
        field: _fitted(stem, arrays[stem], *FRAME_ARRAYS[field])
        for field, stem in stems.items()
        if stem in arrays
    }
    missing = {"image", "intrinsics", "camera_to_world"} - fields.keys()
    if missing:
        raise ValueError(f"frames/{number} must hold {sorted(missing)[0]}.npy")
    return Frame(depth=fields.pop("depth", None), **fields)
