"""A scene: one point cloud, a reconstruction or a LiDAR sweep, with annotations and camera frames.

World coordinates are metres with z up; labels are train ids of a `LabelSet`, -1 where unlabeled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcl_data.label_set import LabelSet

# Shape and type of each array, checked when a scene is made because scenes come from files;
# a letter is any length, the same for the same letter.
SCENE_ARRAYS: dict[str, tuple[tuple[str | int, ...], type]] = {
    "points": (("n", 3), np.float32),
    "colors": (("n", 3), np.uint8),
    "normals": (("n", 3), np.float32),
    "labels": (("n",), np.int64),
    "instances": (("n",), np.int64),
    "superpoints": (("n",), np.int64),
    "faces": (("f", 3), np.int64),
    "boxes": (("k", 8), np.float32),
    "intensity": (("n",), np.float32),
    "times": (("n",), np.float32),
    "sensor_to_world": ((4, 4), np.floating),
    "origin": ((3,), np.float64),
    "valid_rows": (("m",), np.bool_),
}
FRAME_ARRAYS: dict[str, tuple[tuple[str | int, ...], type]] = {
    "image": (("h", "w", 3), np.uint8),
    "depth": (("h", "w"), np.float32),
    "intrinsics": ((3, 3), np.floating),
    "camera_to_world": ((4, 4), np.floating),
    "labels": (("h", "w"), np.int64),
    "instances": (("h", "w"), np.int64),
}


@dataclass(frozen=True, eq=False)
class Frame:
    """One posed colour image, with depth of the same size and camera if it was measured.

    Args:
        image: (h, w, 3) uint8, RGB.
        depth: (h, w) float32, metres along the optical axis, 0 where there is no measurement.
        intrinsics: (3, 3) pinhole matrix in pixels.
        camera_to_world: (4, 4) rigid transform to the coordinates of the scene's points; the camera
            looks along +z, x right, y down.
        labels: (h, w) int64 train id of each pixel, -1 unlabeled.
        instances: (h, w) int64 instance id of each pixel, -1 none.

    Raises:
        ValueError: if an array has the wrong shape or type, the pose or the intrinsics are not
            finite, or a depth is negative or not finite.
    """

    image: np.ndarray
    depth: np.ndarray | None
    intrinsics: np.ndarray
    camera_to_world: np.ndarray
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_arrays("frame", self, FRAME_ARRAYS)
        for field in ("intrinsics", "camera_to_world", "depth"):
            if getattr(self, field) is not None:
                _check_finite("frame", field, getattr(self, field))
        if self.depth is not None and self.depth.size and self.depth.min() < 0:
            raise ValueError(f"frame: depth must be at least 0, got {self.depth.min()}")
        _check_ids("frame", self, ("labels", "instances"))


class LazyFrames(Sequence[Frame]):
    """Frames that are read each time they are asked for.

    Args:
        names: name of each frame, as `read` takes it.
        read: gives the frame of a name.

    Example:
        >>> import numpy as np
        >>> empty = np.zeros((1, 1, 3), np.uint8)
        >>> frames = LazyFrames(
        ...     ("0", "25"), lambda name: Frame(empty, None, np.eye(3), np.eye(4))
        ... )
        >>> len(frames), frames[1].depth
        (2, None)
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], Frame]) -> None:
        self.names = tuple(names)
        self._read = read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]
        return self._read(self.names[index])


@dataclass(frozen=True, eq=False)
class Scene:
    """Points of one reconstruction and what is known about them.

    Arrays are kept as they are given: memory-mapped ones stay memory-mapped.

    Args:
        name: unique name of the scene in its data set.
        points: (n, 3) float32 world coordinates, metres, z up; at least one.
        colors: (n, 3) uint8 RGB.
        normals: (n, 3) float32 unit normals.
        labels: (n,) int64 train ids of `label_set`, -1 unlabeled.
        instances: (n,) int64 instance ids, unique in the scene, -1 none.
        superpoints: (n,) int64 geometric set of each point, -1 none.
        faces: (f, 3) int64 triangles of the mesh whose vertices are the points.
        boxes: (k, 8) float32 centre x, y, z, length, width, height (metres, full), heading (radians
            about z, counter-clockwise), train id.
        frames: posed images of the scene; `LazyFrames` reads them when they are asked for.
        label_set: meaning of the labels.
        intensity: (n,) float32 strength of the return, 0-1.
        times: (n,) float32 seconds from the scene's reference time to the measurement.
        sensor_to_world: (4, 4) pose of the scene in its sequence, where `points` are in the frame
            of the sensor and not of the world.
        origin: (3,) float64 metres that the coordinates of the input were moved by: `points +
            origin`, as float64, are those of the input. None is zero.
        valid_rows: (m,) bool, which rows of the file are points of the scene, in their order; None
            if all are.

    Raises:
        ValueError: naming scene, field, rule and value, if an array has the wrong shape or type,
            there is no point, a coordinate is not finite, an id is below -1, a label is outside
            the label set, a face names a point that does not exist, or `valid_rows` is true for
            another number of rows than there are points.

    Example:
        >>> import numpy as np
        >>> scene = Scene("room", np.zeros((2, 3), np.float32), labels=np.array([0, -1]))
        >>> len(scene.points), scene.colors
        (2, None)
    """

    name: str
    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    superpoints: np.ndarray | None = None
    faces: np.ndarray | None = None
    boxes: np.ndarray | None = None
    frames: tuple[Frame, ...] | LazyFrames = ()
    label_set: LabelSet | None = None
    intensity: np.ndarray | None = None
    times: np.ndarray | None = None
    sensor_to_world: np.ndarray | None = None
    origin: np.ndarray | None = None
    valid_rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        owner = f"scene {self.name!r}"
        _check_arrays(owner, self, SCENE_ARRAYS)
        if len(self.points) == 0:
            raise ValueError(f"{owner}: points must hold at least one point, got 0")
        floats = ("points", "normals", "boxes", "intensity", "times", "sensor_to_world", "origin")
        for field in floats:
            if getattr(self, field) is not None:
                _check_finite(owner, field, getattr(self, field))
        _check_ids(owner, self, ("labels", "instances", "superpoints"))
        _check_faces(owner, self)
        if self.valid_rows is not None and self.valid_rows.sum() != len(self.points):
            raise ValueError(
                f"{owner}: valid_rows must be true for each of {len(self.points)} points, "
                f"got {self.valid_rows.sum()}"
            )
        if self.label_set is not None:
            _check_labels(owner, self, self.label_set)


def _check_arrays(
    owner: str, holder: Any, rules: dict[str, tuple[tuple[str | int, ...], type]]
) -> None:
    sizes: dict[str | int, int] = {}
    for field, (shape, dtype) in rules.items():
        array = getattr(holder, field)
        if array is None:
            continue
        expected = tuple(axis if isinstance(axis, int) else sizes.get(axis, axis) for axis in shape)
        fits = len(array.shape) == len(expected) and all(
            isinstance(want, str) or want == got
            for want, got in zip(expected, array.shape, strict=True)
        )
        if not fits:
            text = f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"
            raise ValueError(f"{owner}: {field} must have shape {text}, got {array.shape}")
        if not np.issubdtype(array.dtype, dtype):
            raise ValueError(f"{owner}: {field} must be {dtype.__name__}, got {array.dtype}")
        sizes.update(zip(shape, array.shape, strict=True))


def _check_finite(owner: str, field: str, array: np.ndarray) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argmin(finite.reshape(len(array), -1).all(axis=1)))
        raise ValueError(f"{owner}: {field} must be finite, got {array[row].tolist()} in row {row}")


def _check_ids(owner: str, holder: Any, fields: tuple[str, ...]) -> None:
    for field in fields:
        ids = getattr(holder, field)
        if ids is not None and ids.size and ids.min() < -1:
            raise ValueError(f"{owner}: {field} must be at least -1, got {ids.min()}")


def _check_faces(owner: str, scene: Scene) -> None:
    faces = scene.faces
    if faces is not None and faces.size and not 0 <= faces.min() <= faces.max() < len(scene.points):
        raise ValueError(
            f"{owner}: faces must lie in [0, {len(scene.points)}), "
            f"got [{faces.min()}, {faces.max()}]"
        )


def _check_labels(owner: str, scene: Scene, label_set: LabelSet) -> None:
    arrays = {"labels": scene.labels, "boxes": None if scene.boxes is None else scene.boxes[:, 7]}
    if isinstance(scene.frames, tuple):  # others are not read before somebody asks for them
        arrays |= {f"frames[{i}].labels": frame.labels for i, frame in enumerate(scene.frames)}
    for field, labels in arrays.items():
        if labels is not None and labels.size and labels.max() >= label_set.n_classes:
            raise ValueError(
                f"{owner}: {field} must lie in [-1, {label_set.n_classes}) of {label_set.name}, "
                f"got {labels.max():g}"
            )
