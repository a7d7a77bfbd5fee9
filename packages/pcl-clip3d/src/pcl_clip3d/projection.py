"""Where points fall in an image, and which of them its camera sees.

The pinhole camera is that of Hartley and Zisserman, "Multiple View Geometry in Computer Vision",
2nd ed., 2004, section 6.1. The visibility tests are those of CLIP2Scene (Chen et al., "CLIP2Scene:
Towards Label-efficient 3D Scene Understanding by CLIP", CVPR 2023: 5 cm) and of OpenScene (Peng et
al., "OpenScene: 3D Scene Understanding with Open Vocabularies", CVPR 2023: a quarter of the depth).

Everywhere: the camera looks along +z, x right, y down; pixel centres lie at whole numbers, so that
pixel i covers [i - 0.5, i + 0.5); sizes of images are (height, width).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_clip3d.argument_shapes import checked

_SPLATS = (0, 1, 2, 4, 8, 16, 32, 64)  # half widths of the squares of points, pixels
_ROTATION_TOLERANCE = 1e-3  # poses in files are rounded; those of 7-Scenes are off by 4e-4


class Projection(NamedTuple):
    """Places of points in an image.

    `pixels` are (x, y); `depth` is along the optical axis, metres, 0 or less beside and behind the
    camera, where `pixels` mean nothing.
    """

    pixels: Float[Tensor, "n 2"]
    depth: Float[Tensor, " n"]


@checked
def project_points(
    points: Float[Tensor, "n 3"],
    intrinsics: Float[Tensor, "3 3"],
    camera_to_world: Float[Tensor, "4 4"],
) -> Projection:
    r"""The pixel and the depth of each point.

    .. math:: z (u, v, 1)^T = K R^{-1} (p - c)

    with the intrinsics K and the pose (R, c) of the camera. R is inverted and multiplied with K in
    double precision. The difference p - c is taken in the precision of the points, but twice: with
    c rounded to it, and with what rounding left over. So its error grows with the distance of a
    point from its camera, and not with the distance of both from the origin of the world.

    Args:
        points: world coordinates, metres.
        intrinsics: pinhole matrix, pixels.
        camera_to_world: rigid transform; its rotation to 0.001.

    Raises:
        ValueError: if a point, the intrinsics or the pose is not finite, a focal length is not
            positive, the last row of the intrinsics is not 0 0 1, or the pose is not rigid.

    Example:
        >>> import torch
        >>> intrinsics = torch.tensor([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])
        >>> point = torch.tensor([[0.5, -0.25, 2]])
        >>> pixels, depth = project_points(point, intrinsics, torch.eye(4))
        >>> pixels.tolist(), depth.tolist()
        ([[57.0, 11.5]], [2.0])
    """
    camera, pose = (each.detach().double().cpu() for each in (intrinsics, camera_to_world))
    _check_intrinsics(camera)
    _check_pose(pose)
    points = points.to(torch.promote_types(points.dtype, torch.float32))
    _check_range("points", points, low=-torch.inf)
    matrix = (camera @ torch.linalg.inv(pose[:3, :3])).to(points)
    centre = pose[:3, 3].to(points)
    left_over = (pose[:3, 3] - centre.double().cpu()).to(points)
    # Axes are rows from here on: whole rows are added and compared several times faster.
    rays = torch.stack([axis - at for axis, at in zip(points.unbind(1), centre, strict=True)])
    homogeneous = matrix @ rays.sub_(left_over[:, None])
    return Projection((homogeneous[:2] / homogeneous[2]).T, homogeneous[2])


@checked
def visible_points(
    pixels: Float[Tensor, "n 2"],
    depth: Float[Tensor, " n"],
    image_size: tuple[int, int],
    *,
    depth_image: Float[Tensor, "h w"] | None = None,
    absolute_tolerance: float | int = 0.05,
    relative_tolerance: float | int = 0.0,
    border: int = 0,
    near: float | int = 0.0,
) -> Bool[Tensor, " n"]:
    r"""Whether the camera sees each point: in front of it, in the image, and not behind a surface.

    .. math:: z > near, \quad b \le round(u) < W - b, \quad b \le round(v) < H - b, \quad
              |d - z| \le t_a + t_r d

    with the border b and the measured depth d of the rounded pixel. A pixel without a measurement
    (0) sees nothing. CLIP2Scene has t_a = 0.05 m, t_r = 0; OpenScene t_a = 0, t_r = 0.25, b = 10.

    Args:
        pixels: (x, y), as of `project_points`.
        depth: metres.
        image_size: height and width.
        depth_image: metres, 0 where nothing was measured; that of a camera or of `depth_buffer`.
            None leaves out the last test.
        absolute_tolerance: t_a, metres.
        relative_tolerance: t_r, share of the measured depth.
        border: pixels at the edges of the image that see nothing.
        near: metres; a point must lie beyond.

    Raises:
        ValueError: if image_size is not positive, depth_image has another size or a value that is
            negative or not finite, or one of the other numbers is negative.

    Example:
        >>> import torch
        >>> wall = torch.full((2, 2), 3.0)
        >>> pixels, depth = (
        ...     torch.tensor([[1.0, 0], [1, 0], [5, 0]]),
        ...     torch.tensor([3.01, 4, 3]),
        ... )
        >>> visible_points(pixels, depth, (2, 2), depth_image=wall).tolist()
        [True, False, False]
    """
    _check_size(image_size)
    numbers = {"absolute_tolerance": absolute_tolerance, "relative_tolerance": relative_tolerance}
    for name, value in (numbers | {"border": border, "near": near}).items():
        if not value >= 0:  # NaN too
            raise ValueError(f"{name} must be at least 0, got {value}")
    is_visible = _inside(pixels, image_size, border) & (depth > near)
    if depth_image is None:
        return is_visible
    if tuple(depth_image.shape) != tuple(image_size):
        shape = tuple(depth_image.shape)
        raise ValueError(f"depth_image must have shape {image_size} as of image_size, got {shape}")
    _check_range("depth_image", depth_image, low=0)
    rows = is_visible.nonzero().squeeze(1)
    measured = depth_image[nearest_pixels(pixels[rows]).unbind(1)]
    gap = (measured - depth[rows]).abs()
    is_near = gap <= absolute_tolerance + relative_tolerance * measured
    is_visible[rows] = is_near & (measured > 0)
    return is_visible


@checked
def depth_buffer(
    pixels: Float[Tensor, "n 2"],
    depth: Float[Tensor, " n"],
    image_size: tuple[int, int],
    *,
    splat: float | int = 10.0,
) -> Float[Tensor, "h w"]:
    r"""The depth of the nearest point on each pixel, where no camera measured one; 0 where none is.

    A point in front of the camera covers the square of (2 r + 1)^2 pixels around its rounded pixel,
    also if that lies outside the image. As a piece of surface does, it covers more from near:

    .. math:: r = 2^{round(\log_2 (s / z))}, \text{ at most } 64, \text{ and } 0 \text{ below } 1

    A surface that recedes has points of several depths on a pixel; where the nearest is to hide no
    other of them, `visible_points` must tolerate it: a `relative_tolerance` of 0.05 does mostly.

    Args:
        pixels: (x, y), as of `project_points`.
        depth: metres.
        image_size: height and width.
        splat: s, half the width of a point at a depth of 1 m, pixels: the focal length times about
            0.7 of the distance between points. 0 is a pixel a point.

    Raises:
        ValueError: if image_size is not positive, or splat negative or not finite.

    Example:
        >>> import torch
        >>> pixels, depth = torch.tensor([[0.0, 0], [2, 0]]), torch.tensor([5.0, 3])
        >>> depth_buffer(pixels, depth, (1, 4), splat=3)
        tensor([[5., 3., 3., 3.]])
    """
    _check_size(image_size)
    if not 0 <= splat < torch.inf:
        raise ValueError(f"splat must be finite and at least 0, got {splat}")
    rows = (_inside(pixels, image_size, -_SPLATS[-1]) & (depth > 0)).nonzero().squeeze(1)
    places, depth = nearest_pixels(pixels[rows]), depth[rows]
    level = (splat / depth).log2().round().clamp(-1, len(_SPLATS) - 2) + 1
    nearest = depth.new_full(image_size, torch.inf)
    for number in level.unique().int().tolist():
        is_level = level == number
        squares = _squares(places[is_level], depth[is_level], image_size, _SPLATS[number])
        nearest = torch.minimum(nearest, squares)
    return nearest.nan_to_num(posinf=0)


def _squares(
    places: Int[Tensor, "n 2"],
    depth: Float[Tensor, " n"],
    image_size: tuple[int, int],
    half: int,
) -> Float[Tensor, "h w"]:
    """The least depth whose square, `half` to each side, covers a pixel; infinity where none is."""
    height, width = (size + 2 * half for size in image_size)  # with the squares at the edges
    row, column = (places + half).unbind(1)
    is_on = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    nearest = depth.new_full((height * width,), torch.inf)
    place = (row * width + column)[is_on]
    image = nearest.scatter_reduce_(0, place, depth[is_on], "amin").view(height, width)
    for axis in (0, 1):
        steps = [step for step in _SPLATS[1:] if step <= half]
        for step in [*steps, *steps[:1]]:  # windows of 2, 4, ..., 2 half, 2 half + 1 pixels
            size = image.shape[axis] - step
            image = torch.minimum(image.narrow(axis, 0, size), image.narrow(axis, step, size))
    return image


def nearest_pixels(pixels: Float[Tensor, "n 2"]) -> Int[Tensor, "n 2"]:
    """Row and column of the pixel that each place (x, y) lies on."""
    return (pixels.flip(1) + 0.5).floor().long()


def check_principal_point(intrinsics: Float[Tensor, "3 3"], image_size: tuple[int, int]) -> None:
    """Return quietly if the principal point lies inside the image: the intrinsics may be its own.

    Raises:
        ValueError: if it does not.
    """
    _check_size(image_size)
    height, width = image_size
    x, y = intrinsics[:2, 2].tolist()
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise ValueError(
            f"intrinsics must have their principal point inside the image of {height} x {width} "
            f"pixels, got ({x:g}, {y:g}); scale them to the size of the image"
        )


def _inside(
    pixels: Float[Tensor, "n 2"], image_size: tuple[int, int], border: int
) -> Bool[Tensor, " n"]:
    """Whether `nearest_pixels` lies inside the border; not for NaN."""
    height, width = image_size
    x, y = (pixels + 0.5).unbind(1)
    is_column = (x >= border) & (x < width - border)
    return is_column & (y >= border) & (y < height - border)


def _check_size(image_size: tuple[int, int]) -> None:
    if min(image_size) < 1:
        raise ValueError(f"image_size must be positive, got {image_size}")


def _check_range(name: str, values: Tensor, *, low: float | int) -> None:
    """Raise if values on a CPU are not finite or below; one pass, where others take several."""
    if values.device.type == "cpu" and values.numel():
        least, most = values.aminmax()  # NaN if there is one
        if not (least >= low and -torch.inf < least and most < torch.inf):
            rule = "finite" if low < 0 else f"finite and at least {low:g}"
            raise ValueError(f"{name} must be {rule}, got [{least:g}, {most:g}]")


def _check_intrinsics(intrinsics: Float[Tensor, "3 3"]) -> None:
    if not intrinsics.isfinite().all():
        raise ValueError(f"intrinsics must be finite, got {intrinsics.tolist()}")
    if not (intrinsics.diagonal()[:2] > 0).all():
        focal = intrinsics.diagonal()[:2].tolist()
        raise ValueError(f"intrinsics must have positive focal lengths, got {focal}")
    if intrinsics[2].tolist() != [0, 0, 1]:
        raise ValueError(f"intrinsics must have the last row 0 0 1, got {intrinsics[2].tolist()}")


def _check_pose(pose: Float[Tensor, "4 4"]) -> None:
    if not pose.isfinite().all():
        raise ValueError(
            f"camera_to_world must be finite, got {pose.tolist()}; leave out frames without a pose"
        )
    rotation = pose[:3, :3]
    deviation = (rotation @ rotation.T - torch.eye(3, dtype=pose.dtype)).abs().max()
    is_rigid = deviation <= _ROTATION_TOLERANCE and torch.linalg.det(rotation) > 0
    if not is_rigid or pose[3].tolist() != [0, 0, 0, 1]:
        raise ValueError(f"camera_to_world must be a rigid transform, got {pose.tolist()}")
