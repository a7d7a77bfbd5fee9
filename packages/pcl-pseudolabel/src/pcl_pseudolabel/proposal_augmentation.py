"""Five augmentations of a proposal: crop, expand, rotate, translate, scale.

Chu et al., "TWIST", CVPR 2022, sec. 4.2. The paper gives the range [0.7, 1.3] of the box; that
a box changes with probability 1/2, and by one ratio on all axes, is ours, as are the ranges of
the geometric transformation (those of the usual scene augmentation, 10 cm for translation).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_finite, check_ids

TILT = 5 * math.pi / 180  # radians about x and about y
SCALE = (0.8, 1.2)  # factor on each axis
TRANSLATION = 0.1  # metres on each axis


@checked
def mutate_proposals(
    points: Float[Tensor, "n 3"],
    batch_index: Int[Tensor, " n"],
    proposals: Int[Tensor, " n"],
    *,
    ratio: tuple[float, float] = (0.7, 1.3),
    probability: float = 0.5,
    min_points: int = 50,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """The (point, proposal) pairs after cropping or expanding some proposals.

    The axis-aligned box of a mutated proposal shrinks or grows about its centre, and every point
    of the scene within the new box, whatever its class, becomes its content. A proposal left
    with fewer than min_points keeps its own points, as does one that is not drawn.

    Args:
        points: metres.
        batch_index: the scene of each point.
        proposals: the proposal of each point, -1 none.
        ratio: range of the box's size relative to the old one.
        probability: how often a proposal is mutated, in [0, 1].
        min_points: least content of a mutated proposal.
        generator: source of the random numbers, on the device of `points`.

    Returns:
        point_index and proposal_index, sorted by proposal and then by point; overlaps are allowed.

    Raises:
        ValueError: if lengths differ, the ratios are not 0 < low <= high, probability is outside
            [0, 1], min_points < 1, or (on a CPU) a proposal is not in [-1, n) or a point not
            finite.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1.1, 1, 1]])
        >>> scene, proposals = torch.zeros(3, dtype=torch.long), torch.tensor([0, 0, -1])
        >>> mutate_proposals(
        ...     points, scene, proposals, ratio=(1.3, 1.3), probability=1.0, min_points=1
        ... )
        (tensor([0, 1, 2]), tensor([0, 0, 0]))
    """
    if not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"ratio must be (low, high) with 0 < low <= high, got {ratio}")
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must lie in [0, 1], got {probability}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    check_finite(points=points)
    check_ids(-1, len(points), proposals=proposals)
    n_proposals = int(proposals.max()) + 1 if len(proposals) else 0
    low, high = _boxes(points, proposals, n_proposals)
    draws = torch.rand(2, n_proposals, generator=generator, device=points.device)
    is_drawn = draws[0] < probability
    half = (high - low) / 2 * (ratio[0] + (ratio[1] - ratio[0]) * draws[1, :, None])
    center = (low + high) / 2

    pairs = []
    for scene in batch_index.unique():
        rows = (batch_index == scene).nonzero()[:, 0]
        own_proposal = proposals[rows]
        ids = own_proposal[own_proposal >= 0].unique()
        own = own_proposal == ids[:, None]
        inside = torch.ones_like(own)
        for axis in range(3):  # one axis at a time: (m, n) and not (m, n, 3) in memory
            distance = (points[rows, axis] - center[ids, axis, None]).abs()
            inside &= distance <= half[ids, axis, None]
        mutated = is_drawn[ids] & (inside.sum(1) >= min_points)
        row, column = torch.where(mutated[:, None], inside, own).nonzero().T
        pairs.append(torch.stack([rows[column], ids[row]]))
    point_index, proposal_index = torch.cat(pairs, 1) if pairs else proposals.new_zeros(2, 0)
    order = proposal_index.argsort(stable=True)
    return point_index[order], proposal_index[order]


@checked
def transform_proposals(
    points: Float[Tensor, "k 3"],
    proposal_index: Int[Tensor, " k"],
    n_proposals: int,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k 3"]:
    """Each proposal scaled, rotated and translated at random about the mean of its points.

    Factors in [0.8, 1.2] on each axis, then up to 5 degrees about x and y, any angle about z,
    then up to 10 cm on each axis.

    Args:
        points: points of the proposals, metres.
        proposal_index: the proposal of each, below n_proposals.
        n_proposals: how many proposals there are.
        generator: source of the random numbers, on the device of `points`.

    Returns:
        New coordinates, metres; the mean of a proposal moves by its translation only.

    Raises:
        ValueError: if lengths differ, n_proposals is negative, or (on a CPU) an index is not in
            [0, n_proposals) or a point not finite.

    Example:
        >>> import torch
        >>> points, one = torch.tensor([[0.0, 0, 0], [2, 0, 0]]), torch.tensor([0, 0])
        >>> moved = transform_proposals(
        ...     points, one, 1, generator=torch.Generator().manual_seed(0)
        ... )
        >>> 1.6 <= (moved[1] - moved[0]).norm() <= 2.4
        tensor(True)
    """
    if n_proposals < 0:
        raise ValueError(f"n_proposals must be at least 0, got {n_proposals}")
    check_finite(points=points)
    check_ids(0, n_proposals, proposal_index=proposal_index)
    draws = torch.rand(
        n_proposals, 9, generator=generator, device=points.device, dtype=points.dtype
    )
    angle = (2 * draws[:, :3] - 1) * points.new_tensor([TILT, TILT, math.pi])
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * draws[:, 3:6]
    shift = (2 * draws[:, 6:] - 1) * TRANSLATION
    matrix = _rotations(angle) * scale[:, None]  # columns scaled: scale first, then rotate

    counts = proposal_index.bincount(minlength=n_proposals).clamp(min=1)
    sums = points.new_zeros(n_proposals, 3).index_add(0, proposal_index, points)
    mean = sums / counts[:, None]
    centred = points - mean[proposal_index]
    rotated = (matrix[proposal_index] @ centred[:, :, None])[:, :, 0]
    return rotated + (mean + shift)[proposal_index]


def _boxes(
    points: Float[Tensor, "n 3"], proposals: Int[Tensor, " n"], n_proposals: int
) -> tuple[Float[Tensor, "m 3"], Float[Tensor, "m 3"]]:
    """Lowest and highest coordinate of each proposal; infinite where one has no point."""
    members = proposals >= 0
    index = proposals[members][:, None].expand(-1, 3)
    low = points.new_full((n_proposals, 3), math.inf)
    low = low.scatter_reduce(0, index, points[members], "amin")
    high = points.new_full((n_proposals, 3), -math.inf)
    return low, high.scatter_reduce(0, index, points[members], "amax")


def _rotations(angle: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3 3"]:
    """Rotation about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = angle.cos().T, angle.sin().T
    zero, one = torch.zeros_like(cx), torch.ones_like(cx)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
    return about_z @ about_y @ about_x
