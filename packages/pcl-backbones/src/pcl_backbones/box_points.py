"""Points seen from boxes, and which of them lie inside."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pcl_backbones.argument_shapes import checked

BOXES_AT_ONCE = 32  # memory stays that of a few (points, 32) arrays


@checked
def points_in_boxes(
    points: Float[Tensor, "n 3"], boxes: Float[Tensor, "k 7"]
) -> Bool[Tensor, "n k"]:
    """Whether each point lies in each box, faces included; never where a number is not finite.

    Args:
        points: metres.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise).

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0.9, 0], [0.9, 0, 0]])
        >>> points_in_boxes(
        ...     points, torch.tensor([[0.0, 0, 0, 2, 1, 1, torch.pi / 2]])
        ... ).tolist()
        [[True], [False]]
    """
    return torch.cat([_inside(points, part) for part in boxes.split(BOXES_AT_ONCE)], dim=1)


@checked
def boxes_with_points(
    boxes: Float[Tensor, "k 7"], points: Float[Tensor, "n 3"], *, at_least: int = 5
) -> Bool[Tensor, " k"]:
    """Whether each box holds so many points; VoteNet's evaluation drops those of fewer than 5.

    Args:
        boxes: as for `points_in_boxes`.
        points: of the scene, metres.
        at_least: points of a box that stays.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0], [9.0, 0, 0, 1, 1, 1, 0]])
        >>> boxes[boxes_with_points(boxes, torch.zeros(5, 3))].tolist()
        [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]]
    """
    return points_in_boxes(points, boxes).sum(dim=0) >= at_least


def in_frame(offsets: Float[Tensor, "*n 3"], heading: Float[Tensor, "*m"]) -> Float[Tensor, "*n 3"]:
    """Vectors seen from boxes: turned about z by minus the heading.

    Example:
        >>> in_frame(torch.tensor([-1.0, 2, 5]), torch.tensor(torch.pi / 2))
        tensor([2.0000, 1.0000, 5.0000])
    """
    cos, sin = heading.cos(), heading.sin()
    x, y, z = offsets.unbind(dim=-1)
    return torch.stack([cos * x + sin * y, cos * y - sin * x, z], dim=-1)


def _inside(points: Float[Tensor, "n 3"], boxes: Float[Tensor, "k 7"]) -> Bool[Tensor, "n k"]:
    offsets = in_frame(points[:, None] - boxes[:, :3], boxes[:, 6])
    return (offsets.abs() <= boxes[:, 3:6] / 2).all(dim=2)
