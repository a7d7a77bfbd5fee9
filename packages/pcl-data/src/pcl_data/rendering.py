"""Pictures of point clouds: a software splatter with a depth buffer."""

from itertools import product
from os import PathLike

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pcl_data.atomic_files import whole_file

BACKGROUND = 255


def render_points(
    points: Float[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
    *,
    width: int = 800,
    height: int = 600,
    azimuth: float = 0.7,
    elevation: float = 0.8,
    cut_above: float | None = None,
    normals: Float[np.ndarray, "n 3"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Image of a cloud seen from outside, in parallel projection, fitted to the image.

    Every point is a square about as wide as the gap to its neighbours; the nearest one wins.

    Args:
        points: world coordinates, metres, z up.
        colors: RGB.
        width: of the image, pixels.
        height: of the image, pixels.
        azimuth: radians about z from which the camera looks at the cloud; 0 is from +x.
        elevation: radians above the horizon; pi / 2 looks straight down.
        cut_above: leave out points higher than this many metres, to look into a room.
        normals: if given, points that face away are left out, so near walls do not hide the room.

    Returns:
        RGB image on white.

    Raises:
        ValueError: if there is no point to show, or the image has no pixel.

    Example:
        >>> import numpy as np
        >>> red = np.array([[255, 0, 0]], dtype=np.uint8)
        >>> render_points(np.zeros((1, 3)), red, width=5, height=5)[2, 2].tolist()
        [255, 0, 0]
    """
    if width < 1 or height < 1:
        raise ValueError(f"width and height must be at least 1, got {width} and {height}")
    axes = _view_axes(azimuth, elevation)
    kept = np.ones(len(points), dtype=bool)
    if cut_above is not None:
        kept &= points[:, 2] <= cut_above
    if normals is not None:
        kept &= normals @ axes[:, 2] < 0
    if not kept.any():
        raise ValueError(f"points must hold a visible one, got {len(points)}, all cut away")
    points, colors = points[kept], colors[kept]
    view = points.astype(np.float64) @ axes
    low, high = view[:, :2].min(axis=0), view[:, :2].max(axis=0)
    scale = 0.95 * np.min((width, height) / np.maximum(high - low, 1e-9))
    pixels = (view[:, :2] - (low + high) / 2) * scale + (width / 2, height / 2)
    reach = int(np.clip(np.ceil(0.6 * np.sqrt(np.prod((high - low) * scale) / len(points))), 0, 3))
    return _splat(np.floor(pixels).astype(np.int64), view[:, 2], colors, (width, height), reach)


def write_png(image: UInt8[np.ndarray, "h w 3"], path: str | PathLike[str]) -> None:
    """Write an RGB image as a PNG file, whole or not at all."""
    with whole_file(path) as file:
        Image.fromarray(image).save(file, format="PNG")


def _view_axes(azimuth: float, elevation: float) -> Float[np.ndarray, "3 3"]:
    """Columns: right, down and away in the image, as world directions."""
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    return np.array([[-sa, se * ca, -ce * ca], [ca, se * sa, -ce * sa], [0.0, -ce, -se]])


def _splat(
    pixels: np.ndarray, depth: np.ndarray, colors: np.ndarray, size: tuple[int, int], reach: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Paint squares from far to near: the last write of a pixel wins."""
    order = np.argsort(-depth, kind="stable")
    front = np.full(size[0] * size[1], -1)
    for offset in product(range(-reach, reach + 1), repeat=2):
        x, y = (pixels[order] + offset).T
        rank = np.flatnonzero((x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1]))
        np.maximum.at(front, y[rank] * size[0] + x[rank], rank)
    image = np.append(colors[order], np.full((1, 3), BACKGROUND, np.uint8), axis=0)[front]
    return image.reshape(size[1], size[0], 3)
