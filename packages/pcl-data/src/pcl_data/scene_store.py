"""Scenes on disk: one folder of `.npy` files a scene, in the layout of Pointcept.

`coord.npy color.npy normal.npy strength.npy segment.npy instance.npy superpoint.npy` are shared
with Pointcept; `face.npy`, `box.npy`, `time.npy`, `pose.npy`, `frames/0000/*.npy` and `scene.json`
(name, name of the label set, origin) are ours.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pcl_data.atomic_files import flush_folder, flushed_file, whole_folder
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import LabelSet
from pcl_data.raw_scan import LabelIds, RawScan, scene_of_scan
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
# Fields whose values follow the conventions of scans.
_SCAN_FIELDS = {field.name for field in fields(RawScan)}
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


def load_scene(
    path: str | os.PathLike[str],
    label_set: LabelSet | None = None,
    *,
    label_ids: LabelIds = "train",
    drop_invalid: bool = False,
) -> Scene:
    """Read a scene folder; the arrays are memory-mapped and read-only.

    Folders of Pointcept load as they are, by the rules of `read_scene`, and (n, 1) arrays become
    (n,); arrays of another type than ours are read into memory. Without `segment.npy`,
    `segment20.npy` or `segment200.npy` is read, whichever has the number of classes of `label_set`.
    -1 is unlabeled there as here.

    Args:
        path: the folder.
        label_set: meaning of the labels; they are checked against it.
        label_ids: what the ids are, as in `read_scene`.
        drop_invalid: leave out points with a NaN or infinite coordinate, as in `read_scene`.

    Raises:
        FileNotFoundError: if the folder or its `coord.npy` is missing.
        NeedsOption: if a coordinate is not finite, without `drop_invalid`.
        ValueError: naming the file that is truncated, no array, or of the wrong shape or type;
            or if `label_set` is not the one that the scene was saved with.
    """
    path = Path(path)
    if not (path / "coord.npy").is_file():
        raise FileNotFoundError(f"path must be a scene folder with coord.npy, got {path}")
    file = path / META_NAME
    of_labels = label_set if label_ids == "train" else None
    meta = SceneMeta(path.name)
    if file.exists():
        meta = parse_meta(str(file), file.read_bytes(), of_labels)
    patterns = (*(f"{stem}.npy" for stem in FILE_NAMES.values()), "segment[0-9]*.npy")
    arrays = {
        file.relative_to(path).with_suffix("").as_posix(): _open_array(file)
        for pattern in (*patterns, "frames/[0-9]*/*.npy")
        for file in path.glob(pattern)
    }
    return scene_of_arrays(
        str(path), meta, arrays, label_set, label_ids=label_ids, drop_invalid=drop_invalid
    )


def unread_arrays(path: Path) -> tuple[str, ...]:
    """Names of the arrays in a scene folder that are no part of a scene."""
    stems = sorted(file.stem for file in path.glob("*.npy"))
    known = FILE_NAMES.values()
    return tuple(stem for stem in stems if stem not in known and not stem.startswith("segment"))


def scene_arrays(scene: Scene) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a scene with the stem of their files: `coord`, `frames/0000/depth`, ..."""
    for field, stem in FILE_NAMES.items():
        if getattr(scene, field) is not None:
            yield stem, getattr(scene, field)
    for i, frame in enumerate(scene.frames):
        for field in FRAME_ARRAYS:
            if getattr(frame, field) is not None:
                yield f"frames/{i:04d}/{field}", getattr(frame, field)


class SceneMeta(NamedTuple):
    """What a scene is besides its arrays."""

    name: str
    origin: np.ndarray | None = None


def scene_meta(scene: Scene) -> bytes:
    """Name, label set and origin of a scene as JSON."""
    meta = {
        "name": scene.name,
        "label_set": scene.label_set.name if scene.label_set else None,
        "origin": None if scene.origin is None else scene.origin.tolist(),
    }
    return (json.dumps(meta, indent=2) + "\n").encode()


def scene_of_arrays(
    owner: str,
    meta: SceneMeta,
    arrays: Mapping[str, np.ndarray],
    label_set: LabelSet | None,
    *,
    label_ids: LabelIds = "train",
    drop_invalid: bool = False,
) -> Scene:
    """The scene of arrays by stem, as `scene_arrays` gives them; stems not known are left out.

    Raises:
        ValueError: beginning with `owner`, if an array has the wrong shape or type.
    """
    with errors_in(owner):
        of_labels = label_set if label_ids == "train" else None
        stems = FILE_NAMES | {"labels": _label_stem(arrays, of_labels)}
        rows: dict[str, Any] = {
            field: _column(arrays[stem], SCENE_ARRAYS[field][0])
            for field, stem in stems.items()
            if stem in arrays and field in _SCAN_FIELDS
        }
        scan = RawScan(**rows, origin=meta.origin)
        scene = scene_of_scan(
            scan,
            meta.name,
            owner,
            label_set=label_set,
            label_ids=label_ids,
            drop_invalid=drop_invalid,
        )
        others = {
            field: _fitted(FILE_NAMES[field], arrays[FILE_NAMES[field]], *SCENE_ARRAYS[field])
            for field in ("boxes", "sensor_to_world")
            if FILE_NAMES[field] in arrays
        }
        numbers = {stem.split("/")[1] for stem in arrays if stem.startswith("frames/")}
        frames = tuple(_frame(arrays, number) for number in sorted(numbers, key=int))
        if not (others or frames):
            return scene
        return replace(scene, **_moved(others, frames, _step(meta.origin, scene.origin)))


def _step(stored: np.ndarray | None, origin: np.ndarray | None) -> np.ndarray | None:
    """What is taken off the stored points, if anything is."""
    if origin is None or stored is None:
        return origin
    return None if np.array_equal(origin, stored) else origin - stored


def _moved(
    others: dict[str, np.ndarray], frames: tuple[Frame, ...], origin: np.ndarray | None
) -> dict[str, Any]:
    """Boxes, poses and frames in the coordinates of points that were moved to their origin."""
    if origin is None:
        return {**others, "frames": frames}
    shift = np.eye(4)
    shift[:3, 3] = origin
    moved: dict[str, Any] = {}
    if "boxes" in others:
        step = np.concatenate([origin, np.zeros(5)])
        moved["boxes"] = (others["boxes"] - step).astype(np.float32)
    if "sensor_to_world" in others:
        moved["sensor_to_world"] = others["sensor_to_world"] @ shift
    back = np.linalg.inv(shift)
    moved["frames"] = tuple(
        replace(frame, camera_to_world=back @ frame.camera_to_world) for frame in frames
    )
    return moved


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


def parse_meta(owner: str, content: bytes, label_set: LabelSet | None) -> SceneMeta:
    """Name and origin of a scene in the bytes of `scene_meta`; the origin is None if it has none.

    Raises:
        ValueError: beginning with `owner`, if it is something else, or the scene was saved with
            another label set.
    """
    try:
        meta = json.loads(content)
        name, saved, origin = str(meta["name"]), meta["label_set"], meta.get("origin")
        if origin is not None:
            origin = np.array(origin, np.float64)
            if origin.shape != (3,) or not np.isfinite(origin).all():
                raise ValueError(f"origin must be three finite numbers, got {meta['origin']}")
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(f"{owner} must be JSON with name and label_set, got {error!r}") from error
    if label_set and saved and label_set.name != saved:
        raise ValueError(
            f"{owner}: label_set must be {saved!r}, the one the scene was saved with, "
            f"got {label_set.name!r}"
        )
    return SceneMeta(name, origin)


def _open_array(file: Path) -> np.ndarray:
    with errors_in(file), library_errors(".npy"):
        return np.lib.format.open_memmap(file, mode="r")


def _column(array: np.ndarray, shape: tuple[str | int, ...]) -> np.ndarray:
    """(n, 1) arrays of ids and the like as (n,)."""
    return array[:, 0] if len(shape) == 1 and array.shape[1:] == (1,) else array


def _fitted(stem: str, array: np.ndarray, shape: tuple[str | int, ...], dtype: type) -> np.ndarray:
    """The array in the type of its field; other types of Pointcept are converted."""
    array = _column(array, shape)
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
    found = {
        field: _fitted(stem, arrays[stem], *FRAME_ARRAYS[field])
        for field, stem in stems.items()
        if stem in arrays
    }
    missing = {"image", "intrinsics", "camera_to_world"} - found.keys()
    if missing:
        raise ValueError(f"frames/{number} must hold {sorted(missing)[0]}.npy")
    return Frame(depth=found.pop("depth", None), **found)
