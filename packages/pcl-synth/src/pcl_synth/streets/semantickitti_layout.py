"""Synthetic streets as files in the layout of SemanticKITTI.

Layout of Behley et al., "SemanticKITTI", ICCV 2019, on that of the KITTI odometry benchmark (Geiger
et al., CVPR 2012): `sequences/NN/` with `velodyne/*.bin` (float32 x, y, z, intensity),
`labels/*.label` (uint32, raw id in the low half, instance in the high one, 0 none), `image_2/*.png`
if there are images, `calib.txt`, `poses.txt` and `times.txt`. Camera 2 is the one that looks ahead;
camera 0, the frame of the poses, is 6 cm to its right.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from pcl_data.atomic_files import whole_file, whole_folder, write_whole
from pcl_data.scene import Scene
from pcl_synth.streets.cameras import CAMERAS
from pcl_synth.streets.dataset import SyntheticStreets
from pcl_synth.streets.lidar import MOUNT, PERIOD
from pcl_synth.streets.street import LABELS

BASELINES = (0.0, -0.54, 0.06, -0.48)  # metres: x in camera i is x in camera 0 plus this


def write_semantickitti_layout(streets: SyntheticStreets, root: str | os.PathLike[str]) -> None:
    """Write streets as a new folder that readers of SemanticKITTI read, whole or not at all.

    Sweeps of a sequence are numbered from 0 whatever their stride; labels tell what moves.

    Args:
        streets: what to write; missing sweeps are made.
        root: the folder to make.

    Raises:
        FileExistsError: if `root` exists.
    """
    scenes, n_sweeps = streets.with_labels(LABELS), len(streets.ticks)
    with whole_folder(root) as folder:
        for sequence in range(len(streets) // n_sweeps):
            place = folder / "sequences" / f"{sequence:02d}"
            poses = []
            for number in range(n_sweeps):
                scene = scenes[sequence * n_sweeps + number]
                _write_sweep(place, number, scene)
                assert scene.sensor_to_world is not None
                poses.append(scene.sensor_to_world)
            _write_text(place / "calib.txt", _calibration())
            _write_text(place / "poses.txt", [_numbers(p) for p in _camera_poses(np.stack(poses))])
            seconds = [f"{tick * PERIOD:.6e}" for tick in streets.ticks]
            _write_text(place / "times.txt", seconds)


def _write_sweep(place: Path, number: int, scene: Scene) -> None:
    assert scene.labels is not None
    assert scene.instances is not None
    assert scene.intensity is not None
    points = np.column_stack((scene.points, scene.intensity)).astype("<f4")
    ids = LABELS.to_raw(scene.labels) | (scene.instances + 1) << 16
    write_whole(place / "velodyne" / f"{number:06d}.bin", points.tobytes())
    write_whole(place / "labels" / f"{number:06d}.label", ids.astype("<u4").tobytes())
    if len(scene.frames):
        path = place / "image_2" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            Image.fromarray(scene.frames[0].image).save(file, format="PNG")


def _to_camera_0() -> Float[np.ndarray, "4 4"]:
    """From the frame of the LiDAR to that of camera 0."""
    lidar_to_camera = np.linalg.inv(CAMERAS[0].mount) @ MOUNT
    lidar_to_camera[0, 3] -= BASELINES[2]
    return lidar_to_camera


def _calibration() -> list[str]:
    intrinsics, lines = CAMERAS[0].intrinsics, []
    for number, baseline in enumerate(BASELINES):
        shift = np.array([[baseline], [0.0], [0.0]])
        projection = intrinsics @ np.hstack([np.eye(3), shift])
        lines.append(f"P{number}: {_numbers(projection)}")
    return [*lines, f"Tr: {_numbers(_to_camera_0())}"]


def _camera_poses(sensor_to_world: Float[np.ndarray, "k 4 4"]) -> Float[np.ndarray, "k 4 4"]:
    """Poses of camera 0 in its first frame."""
    camera = sensor_to_world @ np.linalg.inv(_to_camera_0())
    return np.linalg.inv(camera[0]) @ camera


def _numbers(matrix: Float[np.ndarray, "*rows 4"]) -> str:
    """The upper three rows of a matrix on one line."""
    return " ".join(f"{value:.12e}" for value in matrix[:3].ravel())


def _write_text(path: Path, lines: list[str]) -> None:
    write_whole(path, ("\n".join(lines) + "\n").encode())
