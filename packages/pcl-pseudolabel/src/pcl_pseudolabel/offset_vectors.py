"""Instance centroid minus point, and the loss that learns it.

Chu et al., "TWIST: Two-Way Inter-label Self-Training for Semi-supervised 3D Instance
Segmentation", CVPR 2022, sec. 3. The paper divides Eq. 2 by all points; a point without an
instance has no offset, so the mean here runs over the points that have one, as in PointGroup.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_finite, check_ids

EPSILON = 1e-8  # metres; keeps the direction of a zero vector finite (it becomes zero)


@checked
def centroid_offsets(
    points: Float[Tensor, "n 3"], instances: Int[Tensor, " n"], batch_index: Int[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    """Centroid of each point's instance minus the point, zero where there is no instance.

    An instance is the points of one scene with one id, so ids need to be unique in a scene only.

    Args:
        points: metres.
        instances: instance ids, -1 = none.
        batch_index: the scene of each point.

    Returns:
        Offsets in metres, of the type of `points`.

    Raises:
        ValueError: if lengths differ, or (on a CPU) a point is not finite, an instance has more
            than 40 bits or a scene is not in [0, 2^20).

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [2, 0, 0], [9, 9, 9]])
        >>> centroid_offsets(points, torch.tensor([4, 4, -1]), torch.tensor([0, 0, 0]))
        tensor([[ 1.,  0.,  0.],
                [-1.,  0.,  0.],
                [ 0.,  0.,  0.]])
    """
    check_finite(points=points)
    check_ids(-(2**40), 2**40, instances=instances)  # so that keys have 63 bits
    check_ids(0, 2**20, batch_index=batch_index)
    offsets = torch.zeros_like(points)
    inside = instances >= 0
    if not inside.any():
        return offsets
    points, instances = points[inside], instances[inside].long()
    key = batch_index[inside].long() * (instances.max() + 1) + instances
    _, instance, counts = key.unique(return_inverse=True, return_counts=True)
    # Summed in double precision: a float sum over a large instance drifts by millimetres.
    sums = points.new_zeros(len(counts), 3, dtype=torch.float64).index_add(
        0, instance, points.double()
    )
    offsets[inside] = ((sums / counts[:, None])[instance] - points).to(points.dtype)
    return offsets


@checked
def offset_loss(
    predicted: Float[Tensor, "n 3"],
    target: Float[Tensor, "n 3"],
    valid: Bool[Tensor, " n"],
    *,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Distance and direction of predicted offsets, Eq. 2 of TWIST.

    .. math:: L_o = \frac{1}{|V|} \sum_{i \in V} \left( \|o_i - \hat o_i\|_1
              - \frac{o_i}{\|o_i\|_2} \cdot \frac{\hat o_i}{\|\hat o_i\|_2} \right)

    V are the valid points. A zero vector has no direction and adds nothing to the second term.
    Without a valid point the loss is 0, still attached to `predicted`.

    Args:
        predicted: predicted offsets, metres.
        target: true or pseudo offsets, metres.
        valid: points that have a target.
        reduction: `mean` over the valid points, their `sum`, or `none`: the term of every point,
            zero where it is not valid.

    Returns:
        A scalar, with `none` (n,); a term is at least -1, and -1 is perfect where the target is
        not zero.

    Raises:
        ValueError: if lengths differ, or there is no such reduction.

    Example:
        >>> import torch
        >>> target = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
        >>> valid = torch.tensor([True, False])
        >>> offset_loss(target, target, valid)
        tensor(-1.)
        >>> offset_loss(target, target, valid, reduction="none")
        tensor([-1.,  0.])
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be mean, sum or none, got {reduction}")
    predicted, target = predicted[valid], target[valid]
    distance = (target - predicted).abs().sum(1)
    direction = (_unit(target) * _unit(predicted)).sum(1)
    terms = distance - direction
    if reduction == "none":
        return terms.new_zeros(len(valid)).masked_scatter(valid, terms)
    return terms.sum() / (max(len(terms), 1) if reduction == "mean" else 1)


def _unit(vectors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    return vectors / (vectors.norm(dim=1, keepdim=True) + EPSILON)
