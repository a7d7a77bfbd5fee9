"""The Waymo Open Dataset in its parquet layout (version 2), with the labels of 3D segmentation.

Sun et al., "Scalability in Perception for Autonomous Driving: Waymo Open Dataset", CVPR 2020;
components and columns as in `v2/perception` of its code at commit 9d0be7c.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.datasets.waymo_parquet import Row, key_values
from pcl_data.datasets.waymo_range_image import range_image_points, uniform_inclinations
from pcl_data.file_errors import errors_in
from pcl_data.label_set import WAYMO22
from pcl_data.readers.lidar_labels import thing_instances
from pcl_data.readers.records import decode_image
from pcl_data.scene import Frame, LazyFrames, Scene

CAMERAS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "SIDE_LEFT", "SIDE_RIGHT")  # from 1
SPLITS = ("training", "validation", "testing")
_TOP = 1  # the LiDAR on the roof, the only one with labels
_LIDAR = ("lidar", "lidar_calibration", "lidar_pose", "vehicle_pose")
# Waymo's cameras look along x, with y left and z up.
_AXES = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
_INCLINATIONS = ("beam_inclination.min", "beam_inclination.max", "beam_inclination.values")
_INTRINSICS = ("intrinsic.f_u", "intrinsic.f_v", "intrinsic.c_u", "intrinsic.c_v")


class Waymo(FileDataset):
    """Sweeps of the top LiDAR of Waymo, named `training/SEGMENT/MICROSECONDS`.

    `points` are in the frame of the vehicle: x forward, y left, z up, the road at about 0. Each is
    corrected by the pose of its pixel, since the vehicle moves while the LiDAR turns.
    `sensor_to_world` is the pose of the vehicle. Intensity has no unit and no bound in the files;
    here it is the tanh of theirs, as in public detectors. Instances are objects of the things.

    Scenes of `training` and `validation` are the frames that have labels, about one in seven, those
    of `testing` are all frames, without labels. `intrinsics` leave out the distortion of the
    lenses, and an image has one pose, although its columns are exposed one after the other.

    Needed are `root/SPLIT/COMPONENT/SEGMENT.parquet` for the components `lidar`,
    `lidar_calibration`, `lidar_pose`, `vehicle_pose`, `lidar_segmentation` (but for `testing`) and,
    for cameras, `camera_image` and `camera_calibration`. pyarrow reads them (the extra `waymo`).

    Args:
        root: folder that holds the splits.
        split: `training`, `validation`, `testing`, a segment (`training/SEGMENT`), names of scenes
            or a pattern of them.
        n_returns: 1 for the first return of each laser pulse; 2 appends the points of the second.
        cameras: whether scenes have the five images as frames.
        **options: as of `FileDataset`.

    Raises:
        ImportError: if pyarrow is not installed.
        ValueError: if `split` or an option is none of the above, or `n_returns` is neither 1 nor 2.
        FileNotFoundError: if files are missing.
    """

    title = "the Waymo Open Dataset, version 2"
    source = "waymo.com/open"
    splits = SPLITS
    label_sets = (WAYMO22,)
    name_form = rf"({'|'.join(SPLITS)})/[^/]+/\d+"

    def __init__(
        self,
        root: str | PathLike[str],
        split: str | Sequence[str] = "training",
        *,
        n_returns: int = 1,
        cameras: bool = False,
        **options: Any,
    ) -> None:
        if n_returns not in (1, 2):
            raise ValueError(f"n_returns must be 1 or 2, got {n_returns}")
        self.n_returns = n_returns
        self.cameras = cameras
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Frames of a split that have labels, or all where there are none."""
        folder = self.root / split / ("lidar" if split == "testing" else "lidar_segmentation")
        return _frames(self.listed([folder], "*.parquet"))

    def every_name(self) -> Sequence[str]:
        """Such frames of all splits that are there."""
        parts = [f"{split}/lidar_segmentation" for split in SPLITS[:2]] + ["testing/lidar"]
        return _frames([path for p in parts for path in visible(self.root / p, "*.parquet")])

    def files(self, name: str) -> tuple[Path, ...]:
        """Files of the components that are needed."""
        components = (*_LIDAR, *(("lidar_segmentation",) if self._is_labeled(name) else ()))
        components += ("camera_image", "camera_calibration") if self.cameras else ()
        return tuple(self._path(name, component) for component in components)

    def read(self, name: str) -> Scene:
        """The sweep of a name.

        Raises:
            ValueError: naming the file that is broken and the rule it breaks.
        """
        vehicle_to_world = self._vehicle_to_world(name)
        images = [f"range_image_return{number}" for number in range(1, self.n_returns + 1)]
        sweep = self._row(name, "lidar", "LiDARComponent", images)
        ranges = [sweep.image(image, 4, np.float32) for image in images]
        points = self._points(name, ranges, vehicle_to_world)
        strengths = np.concatenate([image[image[..., 0] > 0, 1] for image in ranges])
        labels = instances = None
        if self._is_labeled(name):
            labels, instances = self._labels(name, images, ranges)
        return Scene(
            name,
            points,
            labels=labels,
            instances=instances,
            frames=LazyFrames(CAMERAS, partial(self._frame, name)) if self.cameras else (),
            label_set=self.label_set,
            intensity=np.tanh(strengths),
            sensor_to_world=vehicle_to_world,
        )

    def _is_labeled(self, name: str) -> bool:
        return self.has_labels and not name.startswith("testing")

    def _points(
        self, name: str, ranges: list[np.ndarray], vehicle_to_world: np.ndarray
    ) -> np.ndarray:
        path = self._path(name, "lidar_calibration")
        fields = ("extrinsic.transform", *_INCLINATIONS)
        calibration = Row(path, "LiDARCalibrationComponent", fields, laser_name=_TOP)
        lidar_to_vehicle = calibration.transform("extrinsic")
        pose = self._row(name, "lidar_pose", "LiDARPoseComponent", ["range_image_return1"])
        pixel_poses = pose.image("range_image_return1", 6, np.float32)
        inclinations = _inclinations(calibration, len(pixel_poses))
        with errors_in(self._path(name, "lidar")):
            _check_sizes(ranges, pixel_poses)
        poses = (lidar_to_vehicle, pixel_poses, vehicle_to_world)
        parts = [range_image_points(image[..., 0], inclinations, *poses) for image in ranges]
        return np.concatenate(parts).astype(np.float32)

    def _labels(
        self, name: str, images: list[str], ranges: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Train ids and instances; the channels are instance and class."""
        component = "LiDARSegmentationLabelComponent"
        row = self._row(name, "lidar_segmentation", component, images)
        pairs = [row.image(image, 2, np.int32) for image in images]
        with errors_in(row.path):
            _check_sizes(pairs, ranges[0])
            returned = zip(pairs, ranges, strict=True)
            numbers, raw = np.concatenate([pair[image[..., 0] > 0] for pair, image in returned]).T
            labels = WAYMO22.to_train(raw)
        return labels, thing_instances(labels, numbers, WAYMO22, n_bits=32)

    def _vehicle_to_world(self, name: str) -> Float64[np.ndarray, "4 4"]:
        field = "world_from_vehicle"
        path = self._path(name, "vehicle_pose")
        row = Row(path, "VehiclePoseComponent", (f"{field}.transform",), **_frame_key(name))
        return row.transform(field)

    def _frame(self, name: str, camera: str) -> Frame:
        number = CAMERAS.index(camera) + 1
        fields = (*_INTRINSICS, "extrinsic.transform")
        path = self._path(name, "camera_calibration")
        calibration = Row(path, "CameraCalibrationComponent", fields, camera_name=number)
        f_u, f_v, c_u, c_v = (calibration.value(field) for field in _INTRINSICS)
        path = self._path(name, "camera_image")
        keys = _frame_key(name) | {"camera_name": number}
        row = Row(path, "CameraImageComponent", ("image", "pose.transform"), **keys)
        to_vehicle = np.linalg.inv(self._vehicle_to_world(name)) @ row.transform("pose")
        with errors_in(path):
            image = decode_image(row.value("image"))
        intrinsics = np.array([[f_u, 0, c_u], [0, f_v, c_v], [0, 0, 1]], np.float64)
        return Frame(
            image, None, intrinsics, to_vehicle @ calibration.transform("extrinsic") @ _AXES
        )

    def _row(self, name: str, tag: str, component: str, images: list[str]) -> Row:
        """The row of the top LiDAR in a component of range images."""
        fields = tuple(f"{image}.{part}" for image in images for part in ("values", "shape"))
        keys = _frame_key(name) | {"laser_name": _TOP}
        return Row(self._path(name, tag), component, fields, **keys)

    def _path(self, name: str, component: str) -> Path:
        split, segment, _ = name.split("/")
        return self.root / split / component / f"{segment}.parquet"


def _frames(paths: Sequence[Path]) -> list[str]:
    """`training/SEGMENT/MICROSECONDS` of the rows of each file."""
    return [
        f"{path.parent.parent.name}/{path.stem}/{time}"
        for path in paths
        for time in np.unique(key_values(path, "frame_timestamp_micros"))
    ]


def _frame_key(name: str) -> dict[str, int]:
    return {"frame_timestamp_micros": int(name.split("/")[2])}


def _inclinations(calibration: Row, n_rows: int) -> Float64[np.ndarray, " h"]:
    """Of the rows from the lowest; evenly spread where the calibration lists none."""
    lowest, highest, listed = _INCLINATIONS
    values = calibration.optional(listed)
    if values is None:
        return uniform_inclinations(calibration.value(lowest), calibration.value(highest), n_rows)
    if len(values) != n_rows or not np.isfinite(np.array(values, np.float64)).all():
        raise ValueError(
            f"{calibration.path}: {listed} must be {n_rows} angles, one a row of the range image, "
            f"got {values}"
        )
    return np.array(values, np.float64)


def _check_sizes(images: list[np.ndarray], reference: np.ndarray) -> None:
    for image in images:
        if image.shape[:2] != reference.shape[:2]:
            raise ValueError(
                f"the images of a frame must have the same size, got {image.shape[:2]} and "
                f"{reference.shape[:2]}"
            )
