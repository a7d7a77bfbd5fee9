"""Which pixel of a view shows which point, and the pairs of a view that is cropped or mirrored.

As the loader of CLIP2Scene (Chen et al., CVPR 2023) pairs and crops, with three departures: depth
and pixel are both taken at the rounded place (there, the pixel at the truncated one); pixels move
by their centres when a crop is resized (there, by their corners); and the search for a crop that
keeps enough pairs ends, also where there are none.
"""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.argument_values import check_ids
from pcl_clip3d.projection import (
    check_principal_point,
    depth_buffer,
    nearest_pixels,
    project_points,
    visible_points,
)

Occlusion = Literal["none", "buffer"]
BUFFER_TOLERANCE = 0.05  # share of the depth, for surfaces that recede within the square of a point
Range = tuple[float | int, float | int]


class PixelPairs(NamedTuple):
    """Points and the pixels that show them, in ascending order of the points.

    `point_index` is the row of the point, `pixel_index` the row and the column of the pixel.
    """

    point_index: Int[Tensor, " m"]
    pixel_index: Int[Tensor, "m 2"]


class Crop(NamedTuple):
    """A part of an image: `image[top : top + height, left : left + width]`."""

    top: int
    left: int
    height: int
    width: int


@checked
def pair_pixels(
    points: Float[Tensor, "n 3"],
    intrinsics: Float[Tensor, "3 3"],
    camera_to_world: Float[Tensor, "4 4"],
    image_size: tuple[int, int],
    *,
    depth_image: Float[Tensor, "h w"] | None = None,
    occlusion: Occlusion = "buffer",
    point_size: float | int = 0.02,
    absolute_tolerance: float | int = 0.05,
    relative_tolerance: float | int | None = None,
    border: int = 0,
    near: float | int = 0.0,
) -> PixelPairs:
    """The points that a view sees, each with its pixel.

    A point has one pixel, the one it is projected to; a pixel may have several points, or none.
    Of nuScenes, `near=1.0` and `border=1` leave out what CLIP2Scene does.

    Args:
        points: world coordinates, metres.
        intrinsics: of the image, pixels; the principal point must lie inside it.
        camera_to_world: pose of the camera.
        image_size: height and width.
        depth_image: measured depth, metres, 0 where there is none.
        occlusion: what hides points where there is no depth image: "buffer", other points, as
            `depth_buffer` has them; "none", nothing.
        point_size: half the width of what a point hides, metres: about 0.7 of the distance between
            points.
        absolute_tolerance: of the depth, metres, as of `visible_points`.
        relative_tolerance: share of the depth; None is 0 for a depth image, 0.05 for the buffer.
        border: pixels.
        near: metres.

    Raises:
        ValueError: as `project_points` and `visible_points`, or if the principal point lies
            outside the image or occlusion is another word.

    Example:
        >>> import torch
        >>> intrinsics = torch.tensor([[10.0, 0, 4], [0, 10, 3], [0, 0, 1]])
        >>> points = torch.tensor([[0.0, 0, 1], [0.2, 0, 1], [0, 0, 2], [9, 0, 1]])
        >>> pairs = pair_pixels(points, intrinsics, torch.eye(4), (6, 8))
        >>> pairs.point_index.tolist(), pairs.pixel_index.tolist()
        ([0, 1], [[3, 4], [3, 6]])
    """
    if occlusion not in ("none", "buffer"):
        raise ValueError(f"occlusion must be 'none' or 'buffer', got {occlusion!r}")
    pixels, depth = project_points(points, intrinsics, camera_to_world)
    check_principal_point(intrinsics, image_size)
    tolerance = 0.0 if relative_tolerance is None else relative_tolerance
    if depth_image is None and occlusion == "buffer":
        splat = float(intrinsics[0, 0]) * point_size
        depth_image = depth_buffer(pixels, depth, image_size, splat=splat)
        tolerance = BUFFER_TOLERANCE if relative_tolerance is None else relative_tolerance
    is_visible = visible_points(
        pixels,
        depth,
        image_size,
        depth_image=depth_image,
        absolute_tolerance=absolute_tolerance,
        relative_tolerance=tolerance,
        border=border,
        near=near,
    )
    point_index = is_visible.nonzero().squeeze(1)
    return PixelPairs(point_index, nearest_pixels(pixels[point_index]))


def draw_crop(
    pairs: PixelPairs,
    image_size: tuple[int, int],
    *,
    area: Range = (0.3, 1.0),
    ratio: Range = (14 / 9, 17 / 9),
    min_pairs: int = 1024,
    min_share: float | int = 0.75,
    n_tries: int = 10,
    generator: torch.Generator | None = None,
) -> Crop:
    """A random part of the image that keeps enough pairs.

    The share of the area is uniform, the width over the height uniform in its logarithm, the place
    uniform; what would be wider or higher than the image is cut to it. The first crop with more
    than `min_pairs` pairs, or a larger share of them than `min_share`, is taken. If none of the
    tries has, it is the one with the most pairs.

    Args:
        pairs: of the image.
        image_size: height and width.
        area: least and largest share of the area, in (0, 1].
        ratio: least and largest width over height.
        min_pairs: pairs that are enough.
        min_share: share of the pairs that is enough.
        n_tries: crops that are drawn at most.
        generator: of the random numbers, on the CPU.

    Raises:
        ValueError: if image_size is not positive, area or ratio is no such range, or n_tries is
            below 1.
    """
    if min(image_size) < 1:
        raise ValueError(f"image_size must be positive, got {image_size}")
    if not 0 < area[0] <= area[1] <= 1:
        raise ValueError(f"area must be a range in (0, 1], got {area}")
    if not 0 < ratio[0] <= ratio[1] < math.inf:
        raise ValueError(f"ratio must be a range of positive numbers, got {ratio}")
    if n_tries < 1:
        raise ValueError(f"n_tries must be at least 1, got {n_tries}")
    best, most = Crop(0, 0, *image_size), -1
    for numbers in torch.rand(n_tries, 4, generator=generator, dtype=torch.float64).tolist():
        crop = _crop(numbers, image_size, area, ratio)
        n_kept = int(_is_in(pairs, crop).sum())
        if n_kept > most:
            best, most = crop, n_kept
        if n_kept > min(min_pairs, min_share * len(pairs.point_index)):
            break
    return best


def crop_pairs(pairs: PixelPairs, crop: Crop, output_size: tuple[int, int]) -> PixelPairs:
    """The pairs of a part of the image that is resized; those outside it are dropped.

    A pixel goes to the one that its centre lies on: floor((2 (x - left) + 1) W / (2 w)).

    Args:
        pairs: of the whole image.
        crop: the part, w wide.
        output_size: height and width W that it is resized to.

    Raises:
        ValueError: if crop or output_size is not positive.

    Example:
        >>> import torch
        >>> pairs = PixelPairs(torch.tensor([7, 8]), torch.tensor([[4, 5], [0, 0]]))
        >>> crop_pairs(pairs, Crop(2, 2, 4, 6), (8, 12))
        PixelPairs(point_index=tensor([7]), pixel_index=tensor([[5, 7]]))
    """
    if min(crop.height, crop.width, *output_size) < 1:
        raise ValueError(f"crop and output_size must be positive, got {crop} and {output_size}")
    is_in = _is_in(pairs, crop)
    pixels = pairs.pixel_index[is_in]
    corner, old, new = (pixels.new_tensor(pair) for pair in (crop[:2], crop[2:], output_size))
    moved = torch.div((2 * (pixels - corner) + 1) * new, 2 * old, rounding_mode="floor")
    return PixelPairs(pairs.point_index[is_in], moved)


def flip_pairs(pairs: PixelPairs, width: int) -> PixelPairs:
    """The pairs of the mirrored image, left for right.

    Args:
        pairs: of the image.
        width: of the image, pixels.

    Raises:
        ValueError: if a column lies outside the width.

    Example:
        >>> import torch
        >>> flip_pairs(PixelPairs(torch.tensor([3]), torch.tensor([[0, 1]])), 8)
        PixelPairs(point_index=tensor([3]), pixel_index=tensor([[0, 6]]))
    """
    rows, columns = pairs.pixel_index.unbind(1)
    check_ids(0, width, columns=columns)
    return PixelPairs(pairs.point_index, torch.stack([rows, width - 1 - columns], dim=1))


def _crop(
    numbers: list[float],
    image_size: tuple[int, int],
    area: Range,
    ratio: Range,
) -> Crop:
    """The crop of four numbers in [0, 1)."""
    share = area[0] + (area[1] - area[0]) * numbers[0]
    shape = math.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * numbers[1])
    pixels = share * math.prod(image_size)
    wanted = (math.sqrt(pixels / shape), math.sqrt(pixels * shape))
    height, width = (
        min(max(round(side), 1), size) for side, size in zip(wanted, image_size, strict=True)
    )
    top = int(numbers[2] * (image_size[0] - height + 1))
    left = int(numbers[3] * (image_size[1] - width + 1))
    return Crop(top, left, height, width)


def _is_in(pairs: PixelPairs, crop: Crop) -> Tensor:
    rows, columns = pairs.pixel_index.unbind(1)
    is_row = (rows >= crop.top) & (rows < crop.top + crop.height)
    return is_row & (columns >= crop.left) & (columns < crop.left + crop.width)
