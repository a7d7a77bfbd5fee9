"""Boxes as VoteNet predicts them: a class of size and of heading, and what is left of each.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds" (VoteNet), ICCV 2019, sec.
4.2, after Qi et al., "Frustum PointNets", CVPR 2018, sec. 4.4. With mean sizes s_c of the classes
and NH equal bins of the full turn, the first of them around 0:

    heading class    j = floor((heading + pi / NH) mod 2 pi / (2 pi / NH))
    heading residual (heading - 2 pi j / NH) / (pi / NH), in [-1, 1)
    size residual    (size - s_c) / s_c, by component, of the class c of the box
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.argument_values import check_finite, check_ids

TURN = 2 * math.pi


class BoxCode(NamedTuple):
    """Boxes in the parts that are predicted; any leading axes.

    Attributes:
        centers: x, y, z, metres.
        heading_class: bin of the heading, in [0, n_headings).
        heading_residual: from the middle of the bin, in half bins.
        size_class: class of the box.
        size_residual: from the mean size of the class, in mean sizes.
    """

    centers: Float[Tensor, "*k 3"]
    heading_class: Int[Tensor, "*k"]
    heading_residual: Float[Tensor, "*k"]
    size_class: Int[Tensor, "*k"]
    size_residual: Float[Tensor, "*k 3"]


@dataclass(frozen=True, eq=False)
class BoxCoding:
    """Mean sizes of the classes and the bins of the heading, and the coding of boxes by them.

    Args:
        mean_sizes: length, width and height of each class, metres; see `mean_box_sizes`.
        n_headings: bins of the full turn; 1 is for boxes along the axes, whose heading is 0.

    Raises:
        ValueError: if there is no class, a mean size is not above 0, or n_headings is below 1.

    Example:
        >>> import torch
        >>> box = torch.tensor([[0.0, 0, 0, 3, 1, 1, 0.6]])
        >>> code = SUNRGBD_CODING.encode(box, torch.tensor([2]))  # a sofa
        >>> (
        ...     code.heading_class.item(),
        ...     round(code.heading_residual.item(), 2),
        ... )  # 0.6 = pi/6 + 0.08
        (1, 0.29)
        >>> SUNRGBD_CODING.decode(code)
        tensor([[0.0000, 0.0000, 0.0000, 3.0000, 1.0000, 1.0000, 0.6000]])
    """

    mean_sizes: Float[Tensor, "c 3"]
    n_headings: int = 1

    def __post_init__(self) -> None:
        sizes = self.mean_sizes
        if sizes.ndim != 2 or sizes.shape[1] != 3 or len(sizes) == 0:
            raise ValueError(f"mean_sizes must have shape (c, 3), c > 0, got {tuple(sizes.shape)}")
        if not bool(((sizes > 0) & sizes.isfinite()).all()):
            raise ValueError(f"mean_sizes must be above 0 and finite, got {sizes.tolist()}")
        if self.n_headings < 1:
            raise ValueError(f"n_headings must be at least 1, got {self.n_headings}")

    @property
    def n_classes(self) -> int:
        """Classes of boxes."""
        return len(self.mean_sizes)

    @checked
    def encode(self, boxes: Float[Tensor, "*k 7"], labels: Int[Tensor, "*k"]) -> BoxCode:
        """The parts of boxes; `decode` is the inverse, up to whole turns.

        Args:
            boxes: centre x, y, z, length, width, height (metres, full, at least 0), heading
                (radians about z, counter-clockwise).
            labels: class of each box, in [0, c).

        Raises:
            ValueError: if the shapes do not fit, or (on a CPU) a box is not finite, has a negative
                size or, with one bin, a heading other than 0, or a label is out of range.
        """
        check_boxes(boxes, labels, self.n_classes)
        heading, turn = boxes[..., 6], TURN / self.n_headings
        if self.n_headings == 1 and boxes.device.type == "cpu" and bool((heading != 0).any()):
            got = heading[heading != 0][0].item()
            raise ValueError(f"boxes must have heading 0 where n_headings is 1, got {got}")
        shifted = (heading + turn / 2) % TURN
        bins = (shifted / turn).floor()
        mean = self.mean_sizes.to(boxes)[labels]
        return BoxCode(
            centers=boxes[..., :3],
            heading_class=bins.long() % self.n_headings,  # rounding may make it n_headings
            heading_residual=(shifted - turn * (bins + 0.5)) / (turn / 2),
            size_class=labels,
            size_residual=(boxes[..., 3:6] - mean) / mean,
        )

    def decode(self, code: BoxCode) -> Float[Tensor, "*k 7"]:
        """Boxes of such parts, the heading within [-pi, pi]; 0 where there is one bin."""
        turn = TURN / self.n_headings
        heading = turn * (code.heading_class + code.heading_residual / 2)
        heading = torch.where(heading > math.pi, heading - TURN, heading)
        if self.n_headings == 1:
            heading = torch.zeros_like(heading)
        sizes = self.mean_sizes.to(code.size_residual)[code.size_class] * (1 + code.size_residual)
        return torch.cat([code.centers, sizes, heading.unsqueeze(-1)], dim=-1)


@checked
def mean_box_sizes(
    boxes: Float[Tensor, "k 7"], labels: Int[Tensor, " k"], n_classes: int
) -> Float[Tensor, "c 3"]:
    """Mean length, width and height of the boxes of each class, for `BoxCoding`.

    A class without a box, as there are with few labels, gets the mean of all boxes.

    Args:
        boxes: of the training scenes.
        labels: class of each, in [0, n_classes).
        n_classes: c.

    Raises:
        ValueError: if there is no box, n_classes is below 1, (on a CPU) a box or a label is none,
            or a mean is 0.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0, 0, 1, 2, 3, 0], [5.0, 0, 0, 3, 2, 1, 0]])
        >>> mean_box_sizes(boxes, torch.tensor([0, 0]), 2)
        tensor([[2., 2., 2.],
                [2., 2., 2.]])
    """
    if len(boxes) == 0:
        raise ValueError("boxes must hold at least one box, got 0")
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, got {n_classes}")
    check_boxes(boxes, labels, n_classes)
    sizes, counts = boxes[:, 3:6], labels.bincount(minlength=n_classes).unsqueeze(1)
    sums = sizes.new_zeros(n_classes, 3).index_add_(0, labels, sizes)
    means = torch.where(counts > 0, sums / counts.clamp(min=1), sizes.mean(dim=0))
    if not bool((means > 0).all()):
        flat = (means <= 0).any(dim=1).nonzero()[:, 0].tolist()
        raise ValueError(f"boxes must have mean sizes above 0 in every class, got 0 in {flat}")
    return means


def check_boxes(boxes: Tensor, labels: Tensor, n_classes: int) -> None:
    """Return quietly if these are boxes and their labels; values on a GPU are not looked at.

    Raises:
        ValueError: if there are not 7 columns or not as many labels, or (on a CPU) a box is not
            finite or has a negative size, or a label is outside [0, n_classes).
    """
    if boxes.shape[-1:] != (7,):
        raise ValueError(f"boxes must have 7 columns, got shape {tuple(boxes.shape)}")
    if labels.shape != boxes.shape[:-1]:
        wanted, got = tuple(boxes.shape[:-1]), tuple(labels.shape)
        raise ValueError(f"labels must have shape {wanted} as the boxes have, got {got}")
    check_finite(boxes=boxes)
    check_ids(0, n_classes, labels=labels)
    sizes = boxes[..., 3:6]
    if boxes.device.type == "cpu" and bool((sizes < 0).any()):
        raise ValueError(f"boxes must have sizes of at least 0, got {sizes.min().item()}")


# Cabinet, bed, chair, sofa, table, door, window, bookshelf, picture, counter, desk, curtain,
# refrigerator, shower curtain, toilet, sink, bathtub, other furniture.
_SCANNET_SIZES = [
    [0.769667, 0.811602, 0.925737],
    [1.876858, 1.842560, 1.193157],
    [0.613280, 0.614861, 0.718270],
    [1.395501, 1.512155, 0.834436],
    [0.979496, 1.067515, 0.632969],
    [0.531663, 0.595558, 1.750015],
    [0.962471, 0.724623, 1.148187],
    [0.832219, 1.049094, 1.687566],
    [0.211322, 0.420616, 0.537285],
    [1.444007, 1.897083, 0.269857],
    [1.029426, 1.404080, 0.875543],
    [1.376641, 0.655218, 1.681313],
    [0.665082, 0.711119, 1.298853],
    [0.419992, 0.379069, 1.751397],
    [0.593596, 0.591249, 0.739190],
    [0.508676, 0.506561, 0.301362],
    [1.151153, 1.054630, 0.497068],
    [0.475353, 0.492495, 0.580212],
]
# Bed, table, sofa, chair, toilet, desk, dresser, night stand, bookshelf, bathtub.
_SUNRGBD_SIZES = [
    [2.114256, 1.620300, 0.927272],
    [0.791118, 1.279516, 0.718182],
    [0.923508, 1.867419, 0.845495],
    [0.591958, 0.552978, 0.827272],
    [0.699104, 0.454178, 0.756250],
    [0.695190, 1.346299, 0.736364],
    [0.528526, 1.002642, 1.172878],
    [0.500618, 0.632163, 0.683424],
    [0.404671, 1.071108, 1.688889],
    [0.765840, 1.398258, 0.472728],
]

SCANNET_CODING = BoxCoding(torch.tensor(_SCANNET_SIZES))
"""ScanNet's 18 classes in VoteNet's order, boxes along the axes."""
SUNRGBD_CODING = BoxCoding(torch.tensor(_SUNRGBD_SIZES), n_headings=12)
"""SUN RGB-D's 10 classes in VoteNet's order, 12 bins of the heading."""
