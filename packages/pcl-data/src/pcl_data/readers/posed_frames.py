"""Posed images in folders: one colour image, one pose file and mostly one depth image a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Shaped, UInt8
from PIL import Image

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.readers.records import open_image, read_depth, read_image, read_matrix
from pcl_data.scene import Frame

NO_DEPTH = 65535  # besides 0; 7-Scenes marks with it what was not measured


@dataclass(frozen=True)
class FrameFiles:
    """Where a frame is: a colour image, a 16-bit depth image in millimetres, a (4, 4) pose.

    `depth` is None where none was measured.
    """

    color: Path
    depth: Path | None
    pose: Path

    def all(self) -> tuple[Path, ...]:
        """The files that there are."""
        return tuple(file for file in (self.color, self.depth, self.pose) if file is not None)


def tracked_poses(frames: Mapping[str, FrameFiles]) -> dict[str, Float64[np.ndarray, "4 4"]]:
    """Camera to world of each frame whose pose is known; lost ones are left out.

    Raises:
        FileNotFoundError: if a pose file is missing.
        ValueError: naming the file that holds no (4, 4) matrix, or one that is neither finite nor
            marked as lost.
    """
    poses = {name: read_matrix(files.pose, (4, 4)) for name, files in frames.items()}
    tracked = {name: pose for name, pose in poses.items() if not is_lost(pose)}
    for name, pose in tracked.items():
        if not np.isfinite(pose).all():
            raise ValueError(
                f"{frames[name].pose}: must hold finite numbers, or -inf alone for a lost pose, "
                f"got {pose.tolist()}"
            )
    return tracked


def is_lost(pose: Float[np.ndarray, "4 4"]) -> bool:
    """Whether the pose says that the camera was lost: ScanNet's mark, -inf everywhere."""
    return bool(np.isneginf(pose[:3]).all())


def read_posed_frame(
    files: FrameFiles,
    camera_to_world: Float64[np.ndarray, "4 4"],
    intrinsics: Float64[np.ndarray, "3 3"],
    *,
    of_color: bool = False,
) -> Frame:
    """The frame with its colour image on the grid of its depth image, if it has one.

    Args:
        files: where it is.
        camera_to_world: its pose.
        intrinsics: of the depth camera, pixels; or, with
        of_color: of the colour camera, and then scaled to the size of the depth image.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: naming the image that is broken.
    """
    image = read_image(files.color)
    if files.depth is None:
        return Frame(image, None, intrinsics, camera_to_world)
    depth = read_depth(files.depth)
    depth[depth >= np.float32(NO_DEPTH / 1000)] = 0
    if of_color:
        intrinsics = scaled_intrinsics(intrinsics, image.shape[:2], depth.shape)
    with errors_in(files.depth):
        return frame_on_depth_grid(image, depth, intrinsics, camera_to_world)


def frame_on_depth_grid(
    image: UInt8[np.ndarray, "a b 3"],
    depth: Float32[np.ndarray, "h w"],
    intrinsics: Float64[np.ndarray, "3 3"],
    camera_to_world: Float64[np.ndarray, "4 4"],
) -> Frame:
    """The frame of a depth image and a colour image that is resized to it.

    The two cameras are taken for one, as Hou et al. (Contrastive Scene Contexts) and most others
    do with ScanNet; they are some 4 cm apart.
    """
    if image.shape[:2] != depth.shape:
        size = (depth.shape[1], depth.shape[0])
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return Frame(image, depth, intrinsics, camera_to_world)


def check_principal_point(intrinsics: Float64[np.ndarray, "3 3"], size: tuple[int, ...]) -> None:
    """Return quietly if the principal point lies in the middle half of the image, both ways.

    Lenses look through the middle of their image. Intrinsics of an image that is half as large, or
    twice as large, do not pass.

    Raises:
        ValueError: if it does not.
    """
    x, y = intrinsics[:2, 2]
    height, width = size
    if not (0.25 < (x + 0.5) / width < 0.75 and 0.25 < (y + 0.5) / height < 0.75):
        raise ValueError(
            f"intrinsics must have their principal point near the middle of the image of "
            f"{height} x {width} pixels, got ({x:g}, {y:g}): are they those of another size?"
        )


def scaled_intrinsics(
    intrinsics: Float64[np.ndarray, "3 3"], old: tuple[int, ...], new: tuple[int, ...]
) -> Float64[np.ndarray, "3 3"]:
    """Intrinsics of an image that is resized; pixel centres lie at whole numbers.

    Args:
        intrinsics: of the image before.
        old: its height and width.
        new: height and width after.

    Example:
        >>> import numpy as np
        >>> matrix = np.array(
        ...     [[4.0, 0, 3.5], [0, 4, 2.5], [0, 0, 1]]
        ... )  # the centre of 6 x 8
        >>> scaled_intrinsics(matrix, (6, 8), (3, 4)).tolist()
        [[2.0, 0.0, 1.5], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]]
    """
    y, x = new[0] / old[0], new[1] / old[1]
    resize = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return resize @ intrinsics


def resized_ids(ids: Shaped[np.ndarray, "a b"], shape: tuple[int, ...]) -> np.ndarray:
    """An image of ids at another height and width: the nearest id of each pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old // new).astype(np.int64)
        for old, new in zip(ids.shape, shape, strict=True)
    )
    return ids[rows[:, None], columns]


def read_ids(path: Path) -> Int64[np.ndarray, "h w"]:
    """The ids in an image of one channel, 8 or 16 bits.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is broken, too large, or has more than one channel.
    """
    with errors_in(path), library_errors("id image"), open_image(path) as image:
        if image.mode not in ("L", "P", "I;16", "I"):
            raise ValueError(f"mode {image.mode}, not one channel of 8 or 16 bits")
        return np.array(image).astype(np.int64)
