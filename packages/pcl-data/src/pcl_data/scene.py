"""A scene: one reconstructed point cloud with its annotations and camera frames.

World coordinates are metres with z up; labels are train ids of a `LabelSet`, -1 where unlabelled.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from pcl_data.label_set import LabelSet

# Shape and type of each array; a letter is any length, the same for the same letter.
SCENE_ARRAYS: dict[str, tuple[tuple[str | int, ...], type]] = {
    "points": (("n", 3), np.float32),
    "colors": (("n", 3), np.uint8),
    "normals": (("n", 3), np.float32),
    "labels": (("n",), np.int64),
    "instances": (("n",), np.int64),
    "superpoints": (("n",), np.int64),
    "faces": (("f", 3), np.int64),
    "boxes": (("k", 8), np.float32),
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
    """One posed colour and depth image, both of the same size and camera.

    Args:
        image: RGB.
        depth: metres along the optical axis, 0 where there is no measurement.
        intrinsics: pinhole matrix in pixels.
        camera_to_world: rigid transform; the camera looks along +z, x right, y down.
        labels: train id of each pixel, -1 unlabelled.
        instances: instance id of each pixel, -1 none.

    Raises:
        ValueError: if an array has the wrong shape or type, the pose or the intrinsics are not
            finite, or a depth is negative or not finite.
    """

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    intrinsics: Float[np.ndarray, "3 3"]
    camera_to_world: Float[np.ndarray, "4 4"]
    labels: Int64[np.ndarray, "h w"] | None = None
    instances: Int64[np.ndarray, "h w"] | None = None

    def __post_init__(self) -> None:
        _check_arrays("frame", self, FRAME_ARRAYS)
        for field in ("intrinsics", "camera_to_world", "depth"):
            _check_finite("frame", field, getattr(self, field))
        if self.depth.size and self.depth.min() < 0:
            raise ValueError(f"frame: depth must be at least 0, got {self.depth.min()}")
        _check_ids("frame", self, ("labels", "instances"))


@dataclass(frozen=True, eq=False)
class Scene:
    """Points of one reconstruction and what is known about them.

    Arrays are kept as they are given: memory-mapped ones stay memory-mapped.

    Args:
        name: unique name of the scene in its data set.
        points: world coordinates, metres, z up; at least one.
        colors: RGB.
        normals: unit normals.
        labels: train ids of `label_set`, -1 unlabelled.
        instances: instance ids, unique in the scene, -1 none.
        superpoints: geometric set of each point.
        faces: triangles of the mesh whose vertices are the points.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise), train id.
        frames: posed images of the scene.
        label_set: meaning of the labels.

    Raises:
        ValueError: naming scene, field, rule and value, if an array has the wrong shape or type,
            there is no point, a coordinate is not finite, an id is below -1, a label is outside
            the label set, or a face names a point that does not exist.

    Example:
        >>> import numpy as np
        >>> scene = Scene("room", np.zeros((2, 3), np.float32), labels=np.array([0, -1]))
        >>> len(scene.points), scene.colors
        (2, None)
    """

    name: str
    points: Float32[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"] | None = None
    normals: Float32[np.ndarray, "n 3"] | None = None
    labels: Int64[np.ndarray, " n"] | None = None
    instances: Int64[np.ndarray, " n"] | None = None
    superpoints: Int64[np.ndarray, " n"] | None = None
    faces: Int64[np.ndarray, "f 3"] | None = None
    boxes: Float32[np.ndarray, "k 8"] | None = None
    frames: tuple[Frame, ...] = ()
    label_set: LabelSet | None = None

    def __post_init__(self) -> None:
        owner = f"scene {self.name!r}"
        _check_arrays(owner, self, SCENE_ARRAYS)
        if len(self.points) == 0:
            raise ValueError(f"{owner}: points must hold at least one point, got 0")
        for field in ("points", "normals", "boxes"):
            if getattr(self, field) is not None:
                _check_finite(owner, field, getattr(self, field))
        _check_ids(owner, self, ("labels", "instances", "superpoints"))
        _check_faces(owner, self)
        if self.label_set is not None:
            _check_labels(owner, self, self.label_set)


def _check_arrays(
    owner: str, holder: Any, rules: dict[str, tuple[tuple[str | int, ...], type]]
) -> None:
    sizes: dict[str | int, int] = {}
    for field, (shape, dtype) in rules.items():
        array = getattr(holder, field)
        if array is None and holder.__dataclass_fields__[field].default is None:
            continue
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{owner}: {field} must be a numpy array, got {type(array).__name__}")
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
    arrays |= {f"frames[{i}].labels": frame.labels for i, frame in enumerate(scene.frames)}
    for field, labels in arrays.items():
        if labels is not None and labels.size and labels.max() >= label_set.n_classes:
            raise ValueError(
                f"{owner}: {field} must lie in [-1, {label_set.n_classes}) of {label_set.name}, "
                f"got {labels.max():g}"
            )
