"""Matched points are told from the other points of each region around them.

Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene Contexts",
CVPR 2021, sec. 3: every anchor divides the scene around it into partitions by direction and
distance, as the descriptor ShapeContext does, and has a PointInfoNCE loss in each (Eq. 3).

The text defines the angle by an expression that lacks a direction (Eq. 2) and gives no radius, so
the partition is that of the published code.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from pcl_contrastive.argument_shapes import checked
from pcl_contrastive.point_contrast import check_pairs, unit_rows

PARTITION_COUNTS = (1, 2, 4, 8, 16, 32, 64)
CPU_CHUNK = 2**17  # elements of a chunk of rows, so that the passes over it stay in the cache
DEVICE_CHUNK = 2**21  # enough to fill a GPU, and a small part of the whole


@checked
def scene_context_loss(
    queries: Float[Tensor, "n c"],
    keys: Float[Tensor, "n c"],
    points: Float[Tensor, "n 3"],
    *,
    temperature: float = 0.4,
    n_partitions: int = 8,
    inner_radius: float = 0.05,
    outer_radius: float = 0.5,
) -> Float[Tensor, ""]:
    r"""Equation 3: PointInfoNCE in each partition, averaged over rows and partitions.

    .. math:: L = \frac{1}{P n} \sum_p \sum_i -\log \frac{\exp(q_i \cdot k_i / \tau)}
              {\exp(q_i \cdot k_i / \tau) + \sum_{j \in par_p(i)} \exp(q_i \cdot k_j / \tau)}

    with rows of length 1, the temperature tau and par_p(i) the points of partition p around point
    i. A row without points in a partition adds log 1 = 0 there and still counts. With one
    partition this is `point_info_nce` of the same rows, whatever the points are.

    Rows are treated in chunks, whose gradient is taken along the way: the loss is one number, so
    that the backward pass only scales it. Memory is linear in n; there is no second derivative.
    Computed in single precision at least, also under autocast; exact at any temperature.

    Args:
        queries: features of the matched points of view 0; normalised here.
        keys: features of their matches in view 1, row by row; normalised here.
        points: the matched points of view 0, metres, z up, not rotated by augmentation.
        temperature: divisor of the cosines.
        n_partitions: see `scene_context_partition`.
        inner_radius: metres.
        outer_radius: metres.

    Raises:
        ValueError: if there is no row, temperature is not positive, or as
            `scene_context_partition`, save that points are not looked at.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])
        >>> scene_context_loss(torch.ones(3, 2), torch.ones(3, 2), points, n_partitions=1)
        tensor(1.0986)
    """
    check_pairs(queries, temperature)
    regions = _Regions(n_partitions, inner_radius, outer_radius)
    regions.check()
    with torch.autocast(queries.device.type, enabled=False):
        rows = unit_rows(queries), unit_rows(keys)
        return _PartitionedInfoNce.apply(*rows, points, temperature, regions)


@checked
def scene_context_partition(
    points: Float[Tensor, "n 3"],
    *,
    n_partitions: int = 8,
    inner_radius: float = 0.05,
    outer_radius: float = 0.5,
) -> Int8[Tensor, "n n"]:
    """The partition of every point (column) around every anchor (row); -1 is none.

    1: all other points. 2: up (0) and down (1), without those of equal height. Neither has radii.

    4, the published "fast" version: up and near (0), down and near (1), up and far (2), down and
    far (3), with near meaning inner < distance <= outer. Points of equal height, or no further
    than `inner_radius`, are in none.

    8, the published full version, and 16, 32, 64: near (inner <= distance < outer), then far;
    within either by the angle atan2(y, x), in `n_xy` equal sectors of the circle, and within those
    by atan2(y, z) modulo pi, in `n_zy` equal sectors of the half circle. 8 has 2 x 2 sectors;
    each doubling splits xy and zy in turn, so 16 has 4 x 2, 32 has 4 x 4 and 64 has 8 x 4.

    Up to four, the partition does not change when the scene turns about z; beyond, the sectors
    are fixed to the axes of the world.

    Args:
        points: metres, z up.
        n_partitions: one of 1, 2, 4, ..., 64.
        inner_radius: metres; closer points are too much alike to be negatives.
        outer_radius: metres; from near to far.

    Raises:
        ValueError: if n_partitions is another number, the radii are not 0 < inner < outer, or a
            point is not finite.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0, 0, 0], [0, 0, 0.25], [0, 0, -1]])
        >>> scene_context_partition(points, n_partitions=4)
        tensor([[-1,  0,  3],
                [ 1, -1,  3],
                [ 2,  2, -1]], dtype=torch.int8)
    """
    regions = _Regions(n_partitions, inner_radius, outer_radius)
    regions.check()
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")
    n = len(points)
    partition = torch.empty(n, n, dtype=torch.int8, device=points.device)
    for rows in _chunks(n, points.device):
        partition[rows] = regions.around(points, rows)
    return partition


class _Regions(NamedTuple):
    """How the space around an anchor is divided."""

    n_partitions: int
    inner_radius: float
    outer_radius: float

    def check(self) -> None:
        if self.n_partitions not in PARTITION_COUNTS:
            raise ValueError(
                f"n_partitions must be one of {PARTITION_COUNTS}, got {self.n_partitions}"
            )
        if not 0 < self.inner_radius < self.outer_radius:
            raise ValueError(
                "inner_radius must be positive and below outer_radius, "
                f"got {self.inner_radius} and {self.outer_radius}"
            )

    def around(self, points: Float[Tensor, "n 3"], rows: slice) -> Int8[Tensor, "r n"]:
        """The rows of the partition."""
        x, y, z = (axis - axis[rows, None] for axis in points.detach().T.contiguous())
        if self.n_partitions == 1:
            partition = torch.zeros_like(x, dtype=torch.int8)
            partition.diagonal(rows.start).fill_(-1)
            return partition
        if self.n_partitions == 2:
            return _up_or_down(z)
        distance = (x * x + y * y + z * z).sqrt()
        if self.n_partitions == 4:
            partition, is_far = _up_or_down(z), distance > self.outer_radius
            is_none = (partition < 0) | (distance <= self.inner_radius)
        else:
            partition, is_far = self._sectors(x, y, z), distance >= self.outer_radius
            is_none = distance < self.inner_radius
        partition.add_(is_far.to(torch.int8), alpha=self.n_partitions // 2)
        return partition.masked_fill_(is_none, -1)

    def _sectors(
        self, x: Float[Tensor, "r n"], y: Float[Tensor, "r n"], z: Float[Tensor, "r n"]
    ) -> Int8[Tensor, "r n"]:
        doublings = (self.n_partitions // 2).bit_length() - 1
        n_xy, n_zy = 2 ** ((doublings + 1) // 2), 2 ** (doublings // 2)
        xy = _sector(torch.atan2(y, x), n_xy, 2 * math.pi)
        return xy.mul_(n_zy).add_(_sector(torch.atan2(y, z), n_zy, math.pi))


def _up_or_down(z: Float[Tensor, "r n"]) -> Int8[Tensor, "r n"]:
    """0 above, 1 below, -1 at equal height."""
    partition = (z < 0).to(torch.int8)
    return partition.masked_fill_(z == 0, -1)


def _sector(angle: Float[Tensor, "r n"], n_sectors: int, period: float) -> Int8[Tensor, "r n"]:
    """floor(angle modulo period, over the width of a sector).

    The modulo is taken of whole numbers, by masking the lower bits: that of the angle may round up
    to the period, which is one sector too far.
    """
    return angle.mul_(n_sectors / period).floor_().to(torch.int8).bitwise_and_(n_sectors - 1)


def _chunks(n: int, device: torch.device) -> list[slice]:
    size = max(1, (CPU_CHUNK if device.type == "cpu" else DEVICE_CHUNK) // max(n, 1))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


class _PartitionedInfoNce(torch.autograd.Function):
    """The loss for rows of length 1, with its gradient made chunk by chunk in the forward pass."""

    @staticmethod
    def forward(
        ctx,
        queries: Float[Tensor, "n c"],
        keys: Float[Tensor, "n c"],
        points: Float[Tensor, "n 3"],
        temperature: float,
        regions: _Regions,
    ) -> Float[Tensor, ""]:
        n, wants_grad = len(queries), any(ctx.needs_input_grad)
        total = queries.new_zeros(())
        grad_queries, grad_keys = torch.zeros_like(queries), torch.zeros_like(keys)
        for rows in _chunks(n, queries.device):
            logits = (queries[rows] / temperature) @ keys.T
            partition = regions.around(points, rows)
            loss, slope = _partitioned_rows(logits, partition, regions.n_partitions, rows.start)
            total += loss
            if wants_grad:
                grad_queries[rows] = slope @ keys
                grad_keys.addmm_(slope.T, queries[rows])
        n_terms = n * regions.n_partitions
        if wants_grad:
            scale = 1 / (n_terms * temperature)
            ctx.save_for_backward(grad_queries.mul_(scale), grad_keys.mul_(scale))
        return total / n_terms

    @staticmethod
    def backward(  # pyrefly: ignore  # torch's stub fits no function of one gradient
        ctx, grad: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        # once_differentiable would not do: it takes the saved gradients for constants.
        if torch.is_grad_enabled():
            raise RuntimeError("scene_context_loss has no second derivative (create_graph=True)")
        grad_queries, grad_keys = ctx.saved_tensors
        return grad * grad_queries, grad * grad_keys, None, None, None


def _partitioned_rows(
    logits: Float[Tensor, "r n"], partition: Int8[Tensor, "r n"], n_partitions: int, first: int
) -> tuple[Float[Tensor, ""], Float[Tensor, "r n"]]:
    """Sum over rows and partitions of the loss, and its derivative by the logits.

    Both arguments are overwritten. Column i + first is the positive of row i.
    """
    # Points of no partition are one partition more, which is left out in the end.
    index = partition.masked_fill_(partition < 0, n_partitions).long()
    positive = logits.diagonal(first)[:, None]
    start = positive.repeat(1, n_partitions + 1)
    # Each partition has its own largest logit: by that of the row, all its terms may vanish.
    largest = start.scatter_reduce(1, index, logits, "amax")
    positive_term = (start - largest).exp_()
    terms = logits.sub_(largest.gather(1, index)).exp_()
    sums = positive_term.scatter_add(1, index, terms)
    loss = (largest + sums.log() - start)[:, :-1].sum()

    weight = 1 / sums
    weight[:, -1] = 0
    slope = terms.mul_(weight.gather(1, index))
    slope.diagonal(first).add_((positive_term * weight).sum(1) - n_partitions)
    return loss, slope
