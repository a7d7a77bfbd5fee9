"""The frames of a ScanNet scan: the `.sens` stream, exported folders, or the 25k subset.

Ids of the subset are NYU40 labels, and label * 1000 + number for instances (BenchmarkScripts,
2d_helpers, of the ScanNet repository).
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import visible
from pcl_data.file_errors import errors_in
from pcl_data.label_set import IGNORE_INDEX, LabelSet
from pcl_data.readers.posed_frames import (
    FrameFiles,
    check_principal_point,
    is_lost,
    read_ids,
    read_posed_frame,
    resized_ids,
    tracked_poses,
)
from pcl_data.readers.records import read_matrix
from pcl_data.readers.sens import SensStream, open_sens
from pcl_data.scene import Frame, LazyFrames

FrameSource = Literal["none", "sens", "folders", "25k"]
# As the exporters of ScanNet name them, of either camera.
_INTRINSICS = ("intrinsic/intrinsic_{}.txt", "intrinsics_{}.txt", "intrinsic_{}.txt")


def scannet_frame_files(source: FrameSource, root: Path, scan: Path) -> tuple[Path, ...]:
    """The files that must be there before frames can be listed."""
    if source == "none":
        return ()
    if source == "sens":
        return (scan / f"{scan.name}.sens",)
    return (intrinsics_file(_frame_folder(source, root, scan)),)


def read_scannet_frames(
    source: FrameSource,
    root: Path,
    scan: Path,
    alignment: Float64[np.ndarray, "4 4"],
    label_set: LabelSet,
    *,
    step: int,
) -> LazyFrames:
    """The frames of a scan whose pose is known, in order; see `ScanNet`.

    Args:
        source: where they are; not "none".
        root: folder of the data set.
        scan: folder of the scan.
        alignment: from the world of the poses to that of the points.
        label_set: of the labels of "25k".
        step: of a stream, every step-th frame is taken.

    Raises:
        FileNotFoundError: if there is no frame.
        ValueError: naming the file that is broken.
    """
    if source == "sens":
        return _stream_frames(scan / f"{scan.name}.sens", alignment, step)
    labels = label_set if source == "25k" else None
    return read_exported_frames(_frame_folder(source, root, scan), alignment, labels)


def read_exported_frames(
    folder: Path,
    alignment: Float64[np.ndarray, "4 4"],
    label_set: LabelSet | None,
    *,
    step: int = 1,
) -> LazyFrames:
    """Every step-th frame of `color/ depth/ pose/` whose pose is known, in order.

    Without `depth/` the frames have no depth and the intrinsics are those of the colour camera.

    Args:
        folder: of one scene.
        alignment: from the world of the poses to that of the points.
        label_set: of `label/` and `instance/`; None reads neither.
        step: lost frames are counted.

    Raises:
        FileNotFoundError: if there is no frame.
        ValueError: naming the file that is broken.
    """
    files = exported_frame_files(folder, step)
    if not files:
        raise FileNotFoundError(f"{folder} must hold pose/*.txt, got none")
    aligned = {name: alignment @ pose for name, pose in tracked_poses(files).items()}
    return LazyFrames(tuple(aligned), partial(_folder_frame, folder, files, aligned, label_set))


def exported_frame_files(folder: Path, step: int = 1) -> dict[str, FrameFiles]:
    """The files of every step-th frame by name, in order."""
    poses = sorted(visible(folder, "pose/*.txt"), key=lambda path: (len(path.stem), path.stem))
    with_depth = has_depth(folder)
    return {path.stem: _files(folder, path, with_depth) for path in poses[::step]}


def _folder_frame(
    folder: Path,
    files: dict[str, FrameFiles],
    poses: dict[str, Float64[np.ndarray, "4 4"]],
    label_set: LabelSet | None,
    name: str,
) -> Frame:
    """A frame, with its labels where there is a label set."""
    file = intrinsics_file(folder)
    intrinsics = read_matrix(file, (4, 4))[:3, :3]
    of_color = "color" in file.name
    frame = read_posed_frame(files[name], poses[name], intrinsics, of_color=of_color)
    with errors_in(file):
        check_principal_point(frame.intrinsics, frame.image.shape[:2])
    return frame if label_set is None else _labeled(frame, folder, name, label_set)


def _stream_frames(file: Path, alignment: Float64[np.ndarray, "4 4"], step: int) -> LazyFrames:
    stream = open_sens(file)
    numbers = [i for i in range(0, len(stream), step) if not is_lost(stream.poses[i])]
    broken = [i for i in numbers if not np.isfinite(stream.poses[i]).all()]
    if broken:
        raise ValueError(f"{file}: poses must be finite or lost, got neither in frame {broken[0]}")
    return LazyFrames([str(i) for i in numbers], partial(_stream_frame, stream, alignment))


def _stream_frame(stream: SensStream, alignment: Float64[np.ndarray, "4 4"], name: str) -> Frame:
    frame = stream.read(int(name))
    return replace(frame, camera_to_world=alignment @ frame.camera_to_world)


def _frame_folder(source: FrameSource, root: Path, scan: Path) -> Path:
    if source == "25k":
        return root / "scannet_frames_25k" / scan.name
    folders = (root / "frames" / scan.name, scan)
    return next((folder for folder in folders if (folder / "pose").is_dir()), folders[0])


def has_depth(folder: Path) -> bool:
    """Whether the frames of a scene have depth images: not where there is `color/` alone."""
    return (folder / "depth").is_dir() or not (folder / "color").is_dir()


def intrinsics_file(folder: Path) -> Path:
    """Where the intrinsics are; where they should be, if they are nowhere."""
    cameras = ("depth", "color") if has_depth(folder) else ("color",)
    files = [folder / name.format(camera) for camera in cameras for name in _INTRINSICS]
    return next((file for file in files if file.is_file()), files[0])


def _files(folder: Path, pose: Path, with_depth: bool) -> FrameFiles:
    colors = [folder / "color" / f"{pose.stem}{suffix}" for suffix in (".jpg", ".png")]
    color = next((file for file in colors if file.is_file()), colors[0])
    depth = folder / "depth" / f"{pose.stem}.png" if with_depth else None
    return FrameFiles(color, depth, pose)


def _labeled(frame: Frame, folder: Path, name: str, label_set: LabelSet) -> Frame:
    label_file, instance_file = (folder / kind / f"{name}.png" for kind in ("label", "instance"))
    shape = frame.image.shape[:2]
    with errors_in(label_file):
        labels = label_set.to_train(resized_ids(read_ids(label_file), shape))
    instances = resized_ids(read_ids(instance_file), shape)
    has_instance = (instances % 1000 > 0) & np.isin(labels, label_set.things)
    return replace(frame, labels=labels, instances=np.where(has_instance, instances, IGNORE_INDEX))
