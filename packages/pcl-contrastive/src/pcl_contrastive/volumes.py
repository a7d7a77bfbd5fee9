"""A scene is split into volumes, which are told from each other by a small part of their points.

Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds" (SSPL), NeurIPS 2022,
sec. 3.1, 3.2 and Eq. 1. The paper leaves open how a volume is cropped; here a crop is the points
nearest to one drawn at random, so that it is a piece of surface as a crop of an image is.

In order: volumes of the scene as it is, two augmentations of its points, a crop of each (10 % of
a volume for the student, 50 % for the teacher), features, and one feature for each volume.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_contrastive.argument_shapes import checked
from pcl_contrastive.argument_values import check_finite
from pcl_contrastive.point_contrast import point_info_nce
from pcl_contrastive.random_rows import draw_below, draw_rows


@checked
def split_volumes(
    points: Float[Tensor, "n 3"],
    *,
    volume_size: float | tuple[float, float, float],
    max_volumes: int | None = None,
    min_points: int = 1,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " n"]:
    """The volume of each point: the cells of a regular grid, floor(points / volume_size).

    Args:
        points: metres, before augmentation, so that both views share the volumes.
        volume_size: edge, or edges along x, y and z, metres. The paper gives none, but some 300
            volumes a scene, and at most 400: about 0.65 indoors, 4.0 for LiDAR.
        max_volumes: where there are more, so many are drawn; None keeps all.
        min_points: volumes of fewer points are dropped.
        generator: source of the random numbers, on the device of the tensors.

    Returns:
        Volumes numbered by their first point; -1 for points of a volume that is not kept.

    Raises:
        ValueError: if there are neither one nor three edges, an edge is not positive, max_volumes
            or min_points is below 1, or a point is not finite.

    Example:
        >>> import torch
        >>> points = torch.tensor([[2.5, 0, 0], [0.5, 0, 0], [2.0, 0.5, 0], [-0.5, 0, 0]])
        >>> split_volumes(points, volume_size=1.0)
        tensor([0, 1, 0, 2])
    """
    size = torch.as_tensor(volume_size, dtype=points.dtype, device=points.device)
    if size.shape not in ((), (3,)):
        raise ValueError(f"volume_size must be one edge or three, got {volume_size}")
    if not (size > 0).all():
        raise ValueError(f"volume_size must be positive, got {volume_size}")
    if max_volumes is not None and max_volumes < 1:
        raise ValueError(f"max_volumes must be at least 1, got {max_volumes}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    if not points.isfinite().all():
        raise ValueError("points must be finite, got NaN or infinity")

    keys, cell, counts = _cell_keys(points / size).unique(return_inverse=True, return_counts=True)
    row = torch.arange(len(points), device=points.device)
    first = row.new_zeros(len(keys)).scatter_reduce(0, cell, row, "amin", include_self=False)
    kept = (counts >= min_points).nonzero().squeeze(1)
    if max_volumes is not None:
        kept = kept[draw_rows(len(kept), max_volumes, points.device, generator)]
    volume = torch.full_like(first, -1)
    volume[kept[first[kept].argsort()]] = row[: len(kept)]
    return volume[cell]


def _cell_keys(scaled: Float[Tensor, "n 3"]) -> Int[Tensor, " n"]:
    """One number for the cell of each point, ordered as the cells are: sorts faster than rows."""
    if len(scaled) == 0:
        return scaled.new_zeros(0, dtype=torch.long)
    cells = scaled.floor().double()
    cells = cells - cells.min(dim=0).values
    span = cells.max(dim=0).values + 1
    if span.prod() >= 2**63:
        raise ValueError(f"volume_size must leave fewer than 2^63 cells, got {span.prod():.3g}")
    x, y, z = cells.long().unbind(dim=1)
    return (x * span[1].long() + y) * span[2].long() + z


@checked
def crop_volumes(
    points: Float[Tensor, "n 3"],
    volumes: Int[Tensor, " n"],
    *,
    fraction: float,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " k"]:
    """Rows of a part of each volume: the points nearest to a random one of the same volume.

    Of a volume of m points, max(1, round(fraction * m)) are kept; of points equally near, those
    of lower row.

    Args:
        points: metres.
        volumes: volume of each point, from `split_volumes`; -1 is never kept.
        fraction: in (0, 1]; SSPL takes 0.1 for the student and 0.5 for the teacher.
        generator: source of the random numbers, on the device of the tensors.

    Returns:
        Rows of `points`, ascending.

    Raises:
        ValueError: if fraction is outside (0, 1], lengths differ, or (on a CPU) a point is not
            finite.

    Example:
        >>> import torch
        >>> points, volumes = torch.zeros(5, 3), torch.tensor([1, -1, 0, 1, 1])
        >>> crop_volumes(points, volumes, fraction=0.5)  # two of three, one of one
        tensor([0, 2, 3])
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must lie in (0, 1], got {fraction}")
    check_finite(points=points)
    rows = (volumes >= 0).nonzero().squeeze(1)
    _, volume, counts = volumes[rows].unique(return_inverse=True, return_counts=True)
    start = counts.cumsum(0) - counts
    center = rows[volume.argsort(stable=True)][start + draw_below(counts, generator)]
    distance = (points[rows] - points[center][volume]).square().sum(dim=1)
    # By volume, then by distance, then by row.
    order = distance.argsort(stable=True)
    order = order[volume[order].argsort(stable=True)]
    rank = torch.arange(len(rows), device=rows.device) - start[volume[order]]
    n_kept = (fraction * counts.double()).round().clamp(min=1)
    return rows[order[rank < n_kept[volume[order]]]].sort().values


@checked
def pool_volumes(
    features: Float[Tensor, "n c"], volumes: Int[Tensor, " n"], n_volumes: int
) -> Float[Tensor, "m c"]:
    """One feature for each volume: the largest value of its points, channel by channel.

    Args:
        features: of the points.
        volumes: volume of each point, below n_volumes; -1 is left out.
        n_volumes: how many volumes there are.

    Raises:
        ValueError: if lengths differ, a volume has no point, or a point another volume.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0, 5.0], [3.0, 4.0], [2.0, 2.0]])
        >>> pool_volumes(features, torch.tensor([0, 0, 1]), 2)
        tensor([[3., 5.],
                [2., 2.]])
    """
    if n_volumes < 0:
        raise ValueError(f"n_volumes must be at least 0, got {n_volumes}")
    inside = volumes >= 0
    features, volumes = features[inside], volumes[inside].long()
    counts = volumes.bincount(minlength=n_volumes)
    if len(counts) > n_volumes:
        raise ValueError(f"volumes must lie below n_volumes = {n_volumes}, got {len(counts) - 1}")
    if not counts.all():
        empty = int((counts == 0).nonzero()[0])
        raise ValueError(f"volumes must hold every number below {n_volumes}, got none of {empty}")
    pooled = features.new_zeros(n_volumes, features.shape[1])
    index = volumes[:, None].expand_as(features)
    return pooled.scatter_reduce(0, index, features, "amax", include_self=False)


@checked
def volume_info_nce(
    student: Float[Tensor, "m d"], teacher: Float[Tensor, "m d"], *, temperature: float = 0.1
) -> Float[Tensor, ""]:
    r"""Equation 1: each volume of the student finds that of the teacher in the same scene.

    .. math:: L_c = -\frac{1}{m} \sum_j \log
              \frac{\exp(f^1_j \cdot f^2_j / \tau)}{\sum_k \exp(f^1_j \cdot f^2_k / \tau)}

    with rows of length 1 and the temperature tau. The teacher is a constant. The sum of the paper
    is a mean, so that scenes of any number of volumes weigh the same.

    Args:
        student: projected features of the volumes of a scene; normalised here.
        teacher: those of the momentum encoder, row by row; normalised here.
        temperature: divisor of the cosines.

    Raises:
        ValueError: if shapes differ, there is no volume or temperature is not positive.

    Example:
        >>> import torch
        >>> volume_info_nce(torch.eye(2), torch.eye(2), temperature=1.0)  # log(1 + 1/e)
        tensor(0.3133)
    """
    if len(student) == 0:
        raise ValueError(f"student must have at least one row, got shape {tuple(student.shape)}")
    return point_info_nce(student, teacher.detach(), temperature=temperature)
