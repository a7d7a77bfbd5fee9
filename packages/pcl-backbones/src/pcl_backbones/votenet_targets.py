"""What VoteNet is to find in a scene: the votes of points and the boxes.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds" (VoteNet), ICCV 2019, sec.
4.1 and its data preparation. The vote of a point is the centre of its box minus the point. In
ScanNet a point belongs to the box of its instance. In SUN RGB-D, where there are no instances, it
belongs to every box that it lies in, of which three are kept.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.argument_values import check_finite, check_ids
from pcl_backbones.box_coding import check_boxes
from pcl_backbones.box_points import points_in_boxes

N_VOTES = 3  # of a point


class SceneTargets(NamedTuple):
    """The votes and the boxes of a scene; there may be no box.

    Attributes:
        votes: offsets from each point to the centres of up to three boxes that it belongs to, the
            last repeated where there are fewer; metres. 0 for points that are on no object.
        on_object: whether the point belongs to a box.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians).
        labels: class of each box.
    """

    votes: Float[Tensor, "n 3 3"]
    on_object: Bool[Tensor, " n"]
    boxes: Float[Tensor, "k 7"]
    labels: Int[Tensor, " k"]


class BatchTargets(NamedTuple):
    """The votes of the seeds and the boxes of a batch, padded to the scene with the most boxes.

    Attributes:
        votes: offsets from each seed to the centres of its boxes, metres.
        on_object: whether the seed belongs to a box.
        boxes: of each scene; 0 where there is none.
        labels: class of each box; 0 where there is none.
        is_box: whether there is one.
    """

    votes: Float[Tensor, "b m 3 3"]
    on_object: Bool[Tensor, "b m"]
    boxes: Float[Tensor, "b k 7"]
    labels: Int[Tensor, "b k"]
    is_box: Bool[Tensor, "b k"]


@checked
def targets_from_instances(
    points: Float[Tensor, "n 3"],
    instances: Int[Tensor, " n"],
    labels: Int[Tensor, " n"],
    *,
    n_classes: int,
) -> SceneTargets:
    """Targets of boxes along the axes, from the smallest to the largest coordinate of instances.

    The class of an instance is the most frequent label of its points; where that is -1, it has no
    box and its points are on no object. Flat instances have boxes of size 0 along an axis.

    Args:
        points: metres.
        instances: id of each point's instance; -1 is none.
        labels: class of each point, in [0, n_classes); -1 is a class without boxes, or unknown.
        n_classes: classes that have boxes.

    Raises:
        ValueError: if lengths differ, or (on a CPU) a point is not finite, or a label or an id is
            out of range.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [2.0, 4, 6], [9.0, 9, 9]])
        >>> instances, labels = torch.tensor([3, 3, -1]), torch.tensor([0, 0, -1])
        >>> targets_from_instances(points, instances, labels, n_classes=1).boxes
        tensor([[1., 2., 3., 2., 4., 6., 0.]])
    """
    check_finite(points=points)
    check_ids(-1, n_classes, labels=labels)
    check_ids(-1, 2**62, instances=instances)
    is_in = instances >= 0
    ids, row = instances[is_in].unique(return_inverse=True)
    inside = points[is_in]
    index = row.unsqueeze(1).expand(-1, 3)
    low, high = (
        points.new_zeros(len(ids), 3).scatter_reduce(0, index, inside, way, include_self=False)
        for way in ("amin", "amax")
    )
    counts = (row * (n_classes + 1) + labels[is_in] + 1).bincount(
        minlength=len(ids) * (n_classes + 1)
    )
    classes = counts.view(len(ids), n_classes + 1).argmax(dim=1) - 1
    is_object = classes >= 0
    centers = (low + high) / 2
    boxes = torch.cat([centers, high - low, centers.new_zeros(len(ids), 1)], dim=1)
    votes, on_object = torch.zeros_like(points), is_in.clone()
    on_object[is_in] = is_object[row]
    votes[on_object] = (centers[row] - inside)[is_object[row]]
    votes = votes.unsqueeze(1).repeat(1, N_VOTES, 1)
    return SceneTargets(votes, on_object, boxes[is_object], classes[is_object])


@checked
def targets_from_boxes(
    points: Float[Tensor, "n 3"],
    boxes: Float[Tensor, "k 7"],
    labels: Int[Tensor, " k"],
    *,
    n_classes: int,
) -> SceneTargets:
    """Targets of given boxes, which may be turned; a point votes for the first three around it.

    A box without volume is a target too; only points in its plane vote for it.

    Args:
        points: metres.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise).
        labels: class of each box, in [0, n_classes).
        n_classes: classes that have boxes.

    Raises:
        ValueError: if lengths differ, or (on a CPU) a number is not finite, a size is negative, or
            a label is out of range.

    Example:
        >>> import torch
        >>> points, box = torch.zeros(1, 3), torch.tensor([[0.5, 0, 0, 2, 1, 1, 0]])
        >>> targets_from_boxes(points, box, torch.tensor([0]), n_classes=1).votes[0, 0]
        tensor([0.5000, 0.0000, 0.0000])
    """
    check_finite(points=points)
    check_boxes(boxes, labels, n_classes)
    if len(boxes) == 0:
        on_object = torch.zeros_like(points[:, 0], dtype=torch.bool)
        return SceneTargets(points.new_zeros(len(points), N_VOTES, 3), on_object, boxes, labels)
    inside = points_in_boxes(points, boxes)
    rank = inside.cumsum(dim=1)
    on_object = rank[:, -1] > 0
    slot = torch.minimum(rank[:, -1:], torch.arange(1, N_VOTES + 1, device=points.device))
    box = torch.searchsorted(rank, slot)  # the first box up to which so many hold the point
    votes = boxes[box, :3] - points.unsqueeze(1)
    votes = torch.where(on_object[:, None, None], votes, 0)
    return SceneTargets(votes, on_object, boxes, labels)


def batch_targets(scenes: Sequence[SceneTargets], index: Int[Tensor, "b m"]) -> BatchTargets:
    """Targets of the seeds of several scenes, on the device of `index`.

    Args:
        scenes: one for each row of `index`.
        index: the point of its scene that each seed is, as `SetFeatures` has it.

    Raises:
        ValueError: if there is no scene, there are not as many as rows, or (on a CPU) an index is
            out of range.

    Example:
        >>> import torch
        >>> nothing = targets_from_boxes(
        ...     torch.zeros(4, 3), torch.zeros(0, 7), torch.zeros(0).long(), n_classes=1
        ... )
        >>> batch_targets([nothing], torch.tensor([[3, 0]])).is_box
        tensor([[False]])
    """
    if len(scenes) == 0 or len(scenes) != len(index):
        raise ValueError(f"scenes must be as many as index has rows, got {len(scenes)}")
    pairs = list(zip(scenes, index, strict=True))
    for scene, rows in pairs:
        check_ids(0, len(scene.votes), index=rows)
    votes = torch.stack([scene.votes.to(rows.device)[rows] for scene, rows in pairs])
    on_object = torch.stack([scene.on_object.to(rows.device)[rows] for scene, rows in pairs])
    most = max(1, *(len(scene.boxes) for scene in scenes))
    boxes = votes.new_zeros(len(scenes), most, 7)
    labels = index.new_zeros(len(scenes), most)
    is_box = torch.zeros_like(labels, dtype=torch.bool)
    for row, scene in enumerate(scenes):
        count = len(scene.boxes)
        boxes[row, :count], labels[row, :count] = scene.boxes.to(boxes), scene.labels.to(labels)
        is_box[row, :count] = True
    return BatchTargets(votes, on_object, boxes, labels, is_box)
