"""Losses of a one-stage detector: focal loss of classes, distance-IoU of boxes, turn of headings.

Rukhovich et al., "TR3D", ICIP 2023, sec. 3, adds the first two with equal weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pcl_backbones.argument_shapes import checked
from pcl_backbones.box_points import in_frame
from pcl_backbones.location_assignment import assign_locations, check_volumes
from pcl_backbones.sparse_detector import LocationPredictions

ALPHA, GAMMA = 0.25, 2.0


class DetectionLoss(NamedTuple):
    """Terms of the loss of a batch, each a number of at least 0.

    Attributes:
        classes: focal loss, summed over locations and classes, over the number of locations that
            learn a box (or 1).
        boxes: mean distance-IoU loss of these locations; 0 if there are none.
        headings: mean `heading_loss` of these locations; 0 without headings.
    """

    classes: Float[Tensor, ""]
    boxes: Float[Tensor, ""]
    headings: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """Their sum."""
        return self.classes + self.boxes + self.headings


def detection_loss(
    predictions: LocationPredictions,
    boxes: Sequence[Float[Tensor, "_ 7"]],
    labels: Sequence[Int[Tensor, " _"]],
) -> DetectionLoss:
    """The loss of a batch of scenes.

    A location learns the box of `assign_locations`; everywhere else every class is wrong. A
    scene without a box thus has negatives only.

    Args:
        predictions: of a `SparseDetector`.
        boxes: (k, 7) of each scene: centre x, y, z, length, width, height (metres, full), heading
            (radians about z, counter-clockwise); k may be 0.
        labels: class of each box, in [0, n_classes).

    Raises:
        ValueError: if there are not as many of them as scenes, a shape is wrong, a box is not
            finite, has no volume, or has a heading that the detector does not predict, or a label
            is out of range.

    Example:
        >>> rows = (
        ...     torch.zeros(1, 3),
        ...     torch.ones(1),
        ...     torch.zeros(1).long(),
        ...     torch.zeros(1, 2),
        ... )
        >>> box = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])
        >>> predictions = LocationPredictions(*rows, boxes=box, has_heading=False)
        >>> loss = detection_loss(predictions, [box], [torch.tensor([1])])
        >>> round(loss.classes.item(), 3), loss.boxes.item()  # (0.25 + 0.75) 0.5^2 ln 2
        (0.173, 0.0)
    """
    owner = _owners(predictions, boxes, labels)
    learns = owner >= 0
    truth = torch.cat(list(boxes)).to(predictions.boxes)[owner[learns]]
    classes = torch.cat(list(labels)).to(owner)[owner[learns]]
    is_class = torch.zeros_like(predictions.logits, dtype=torch.bool)
    is_class[learns.nonzero()[:, 0], classes] = True
    count = max(len(truth), 1)
    predicted = predictions.boxes[learns]
    return DetectionLoss(
        classes=focal_loss(predictions.logits.float(), is_class).sum() / count,
        boxes=box_loss(predicted, truth).sum() / count,
        headings=heading_loss(predicted[:, 6], truth[:, 6]).sum() / count,
    )


@checked
def focal_loss(logits: Float[Tensor, "n c"], is_class: Bool[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Focal loss of independent classes: -a (1 - q)^2 ln q, unreduced.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 5 with gamma = 2: q is the
    probability given to what is true (p of a true class, 1 - p of another), a is 0.25 for true
    classes and 0.75 for others.

    Args:
        logits: of each class.
        is_class: whether the class is true; a row may have none.

    Raises:
        ValueError: if a shape or type is wrong.

    Example:
        >>> focal_loss(
        ...     torch.zeros(1, 2), torch.tensor([[True, False]])
        ... )  # 0.5^2 ln 2 = 0.1733
        tensor([[0.0433, 0.1300]])
    """
    error = torch.where(is_class, -logits, logits).sigmoid()  # 1 - q
    entropy = binary_cross_entropy_with_logits(logits, is_class.to(logits), reduction="none")
    return torch.where(is_class, ALPHA, 1 - ALPHA) * error**GAMMA * entropy


@checked
def box_loss(boxes: Float[Tensor, "n 7"], truth: Float[Tensor, "n 7"]) -> Float[Tensor, " n"]:
    """Distance-IoU loss in the frame of the true box: 1 - IoU + (d / c)^2.

    Zheng et al., "Distance-IoU Loss", AAAI 2020, eq. 7: d is the distance of the centres, c the
    diagonal of the smallest box around both. Both boxes are taken to have the heading of the true
    one, which is exact along the axes; a difference is for `heading_loss` to remove. (TR3D takes
    the IoU of turned boxes.)

    Args:
        boxes: predicted, as in `detection_loss`.
        truth: the box that each should be.

    Raises:
        ValueError: if a shape is wrong.

    Example:
        >>> truth = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])
        >>> box_loss(truth + torch.tensor([0.5, 0, 0, 0, 0, 0, 0]), truth)  # 2/3 + 1/17
        tensor([0.7255])
    """
    center = in_frame(boxes[:, :3] - truth[:, :3], truth[:, 6])
    half, true_half = boxes[:, 3:6] / 2, truth[:, 3:6] / 2
    low, high = center - half, center + half
    shared = (torch.minimum(high, true_half) - torch.maximum(low, -true_half)).clamp(min=0)
    around = torch.maximum(high, true_half) - torch.minimum(low, -true_half)
    volume = shared.prod(dim=1)
    union = boxes[:, 3:6].prod(dim=1) + truth[:, 3:6].prod(dim=1) - volume
    return 1 - volume / union + center.square().sum(dim=1) / around.square().sum(dim=1)


@checked
def heading_loss(headings: Float[Tensor, " n"], truth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """sin^2 of the difference, in [0, 1]: 0 at the same heading and at the opposite one.

    The sine of the difference is the angle term of Yan et al., "SECOND", Sensors 2018, sec. 3.2.

    Args:
        headings: predicted, radians.
        truth: radians.

    Raises:
        ValueError: if a shape is wrong.

    Example:
        >>> heading_loss(torch.tensor([0.0, 3.2]), torch.tensor([0.5, 3.2]))
        tensor([0.2298, 0.0000])
    """
    return (headings - truth).sin().square()


def _owners(
    predictions: LocationPredictions, boxes: Sequence[Tensor], labels: Sequence[Tensor]
) -> Int64[Tensor, " v"]:
    """Row of the box of each location among the boxes of all scenes, or -1."""
    n_scenes = int(predictions.scene.max()) + 1
    for name, found in (("boxes", boxes), ("labels", labels)):
        if len(found) != n_scenes:
            raise ValueError(f"{name} must be of {n_scenes} scenes, got {len(found)}")
    owner, first = torch.full_like(predictions.scene, -1), 0
    for i, (of_scene, classes) in enumerate(zip(boxes, labels, strict=True)):
        _check_truth(of_scene, classes, predictions)
        rows = (predictions.scene == i).nonzero()[:, 0]
        truth = of_scene.to(predictions.boxes)
        found = assign_locations(predictions.locations[rows], predictions.cell_sizes[rows], truth)
        owner[rows] = torch.where(found < 0, -1, found + first)
        first += len(of_scene)
    return owner


@checked
def _check_truth(
    boxes: Float[Tensor, "k 7"], labels: Int[Tensor, " k"], predictions: LocationPredictions
) -> None:
    check_volumes(boxes)
    n_classes = predictions.logits.shape[1]
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        got = [int(label) for label in labels.aminmax()]
        raise ValueError(f"labels must lie in [0, {n_classes}), got {got}")
    if not predictions.has_heading and bool((boxes[:, 6] != 0).any()):
        heading = float(boxes[boxes[:, 6] != 0][0, 6])
        raise ValueError(
            f"boxes must have heading 0 for a detector without has_heading, got {heading:g}"
        )
