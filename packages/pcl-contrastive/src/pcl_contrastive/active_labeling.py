"""Which points of a scene to label: those nearest to the centres of k-means on its features.

Hou et al., "Contrastive Scene Contexts", CVPR 2021, sec. 5.1 (active labeling), 5.4 and appendix
(Active Labeling): one cluster for each point the annotator can label, on the features of the
pre-trained network beside the coordinates, 50 iterations. k-means is that of faiss (the extra
`select`).

Three departures from the published code, whose vector is coordinates, colours in 0-255 and raw
features side by side, whose centres begin at the first points, and which may name a point twice:
features have unit length and no colour stands beside them, as in the paper, so that neither
drowns the rest; centres begin at random points, since the first ones of a scan lie together;
and a centre whose nearest point is taken gets the nearest that is not. What the published code
chooses, `select_points_csc_reference` tells.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from pcl_contrastive.argument_shapes import checked

FAR = 1e15  # squares of distances stay finite in the float32 of faiss, which ends the process else


@checked
def select_points_to_label(
    features: Float[Tensor, "n c"],
    points: Float[Tensor, "n 3"],
    n_labels: int,
    *,
    position_weight: float = 1.0,
    n_iterations: int = 50,
    seed: int = 0,
) -> Int[Tensor, " n_labels"]:
    """Rows of the points nearest to the centres of k-means on [f / |f|, w x].

    f is the feature of a point, x its position relative to the mean of the scene, and w the weight.
    A feature of zeros stays zero. Every point takes part in every iteration; on one machine equal
    input and seed give equal rows.

    Args:
        features: of the pre-trained network, before its last layer.
        points: world coordinates, metres.
        n_labels: how many points to label.
        position_weight: how much a metre counts, where two features differ by at most 2.
        n_iterations: of k-means.
        seed: of the points that the centres begin at.

    Returns:
        Distinct rows in ascending order, on the device of the features.

    Raises:
        ImportError: if faiss is not installed.
        ValueError: if lengths differ, n_labels is below 1 or above n, n_iterations < 1, the weight
            is negative or not finite, or a value is not finite or a point, times the weight,
            10^15 or more from the mean.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0, 0.0], [9.0, 0.0], [0.0, 2.0]])
        >>> select_points_to_label(features, torch.zeros(3, 3), 2)[1]
        tensor(2)
    """
    if not 0 <= position_weight < math.inf:
        raise ValueError(f"position_weight must be finite and not negative, got {position_weight}")
    if not features.float().norm(dim=1).isfinite().all():
        raise ValueError("features must be finite, and their lengths in float32, got others")
    rows = torch.cat([normalize(features.float()), position_weight * _centred(points)], dim=1)
    return _nearest_to_centres(rows, n_labels, n_iterations, seed)


@checked
def select_points_by_input(
    colors: Float[Tensor, "n 3"],
    points: Float[Tensor, "n 3"],
    n_labels: int,
    *,
    n_iterations: int = 50,
    seed: int = 0,
) -> Int[Tensor, " n_labels"]:
    """The baseline without a network: `select_points_to_label` on colours and coordinates.

    k-means on [RGB, x] as they are (sec. 5.1), colours in [0, 1] and metres.

    Args:
        colors: RGB in [0, 1].
        points: world coordinates, metres.
        n_labels: how many points to label.
        n_iterations: of k-means.
        seed: of the points that the centres begin at.

    Returns:
        Distinct rows in ascending order, on the device of the colours.

    Raises:
        ImportError: if faiss is not installed.
        ValueError: if a colour lies outside [0, 1], or as in `select_points_to_label`.
    """
    _check_colors(colors)
    rows = torch.cat([colors.float(), _centred(points)], dim=1)
    return _nearest_to_centres(rows, n_labels, n_iterations, seed)


@checked
def select_points_csc_reference(
    features: Float[Tensor, "n c"],
    colors: Float[Tensor, "n 3"],
    points: Float[Tensor, "n 3"],
    n_labels: int,
    *,
    n_iterations: int = 50,
) -> Int[Tensor, " m"]:
    """The choice of the published program (`sampling_points.py`), to compare with.

    Lloyd's algorithm on [x, 255 RGB, f] as they are, in which colours drown the rest. Centres begin
    at the first rows, one without points stays where it is, and the row nearest to each centre
    before its last step is taken: two centres may take the same, so that there may be fewer rows
    than asked for. Computed in float64, about the mean.

    Args:
        features: of the pre-trained network, before its last layer.
        colors: RGB in [0, 1].
        points: world coordinates, metres.
        n_labels: how many points to label at most.
        n_iterations: of k-means.

    Returns:
        Distinct rows in ascending order, at most n_labels, on the device of the features.

    Raises:
        ValueError: if lengths differ, a colour lies outside [0, 1], n_labels is below 1 or above n,
            n_iterations < 1, or a value is not finite.

    Example:
        >>> import torch
        >>> alike = torch.ones(3, 3)
        >>> select_points_csc_reference(alike, alike, alike, 2)
        tensor([0])
    """
    _check_colors(colors)
    _check_sizes(len(features), n_labels, n_iterations)
    parts = (points.double(), 255 * colors.double(), features.detach().double())
    rows = torch.cat(parts, dim=1)
    rows = rows - rows.mean(dim=0)
    _check_finite(rows)
    centres = rows[:n_labels]
    for _ in range(n_iterations - 1):  # the last step moves centres that nobody asks for
        owner = torch.cdist(rows, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, owner, rows)
        counts = owner.bincount(minlength=n_labels)[:, None]
        centres = torch.where(counts > 0, sums / counts, centres)
    return torch.cdist(rows, centres).argmin(dim=0).unique()


def select_points_at_random(
    n_points: int, n_labels: int, *, seed: int = 0
) -> Int[Tensor, " n_labels"]:
    """The baseline without any input: distinct rows drawn uniformly, in ascending order.

    Raises:
        ValueError: if n_labels is below 1 or above n_points.

    Example:
        >>> select_points_at_random(3, 3)
        tensor([0, 1, 2])
    """
    _check_count(n_labels, n_points)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n_points, generator=generator)[:n_labels].sort().values


@checked
def object_coverage(selected: Int[Tensor, " m"], instances: Int[Tensor, " n"]) -> float:
    """Share of a scene's instances on which a selected point lies, in [0, 1] (Fig. 7).

    Args:
        selected: rows of the selected points.
        instances: instance of each point, -1 = none, which does not count.

    Returns:
        The share; NaN for a scene without instances.

    Raises:
        ValueError: if a row is not one of the instances.

    Example:
        >>> import torch
        >>> object_coverage(torch.tensor([0, 1, 4]), torch.tensor([7, 7, 9, 3, -1, 5]))
        0.25
    """
    if len(selected) and not 0 <= selected.min() <= selected.max() < len(instances):
        low, high = (int(row) for row in selected.aminmax())
        raise ValueError(f"selected must lie in [0, {len(instances)}), got [{low}, {high}]")
    hit, present = (ids[ids >= 0].unique() for ids in (instances[selected], instances))
    return len(hit) / len(present) if len(present) else math.nan


def _centred(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Relative to the mean: float32 has no millimetres left at 100 km from the origin."""
    points = points.double()
    return (points - points.mean(dim=0)).float()


def _nearest_to_centres(
    rows: Float[Tensor, "n d"], n_labels: int, n_iterations: int, seed: int
) -> Int[Tensor, " n_labels"]:
    _check_sizes(len(rows), n_labels, n_iterations)
    _check_finite(rows)
    if rows.abs().max() >= FAR:
        raise ValueError(f"points must lie within {FAR:g} of their mean, got {rows.abs().max():g}")
    on_cpu = rows.detach().cpu()
    centres = _k_means(on_cpu, n_labels, n_iterations, seed)
    return _distinct_nearest(on_cpu, centres).to(rows.device)


def _check_count(n_labels: int, n_points: int) -> None:
    if not 1 <= n_labels <= n_points:
        raise ValueError(f"n_labels must lie in [1, {n_points}], got {n_labels}")


def _check_sizes(n_points: int, n_labels: int, n_iterations: int) -> None:
    _check_count(n_labels, n_points)
    if n_iterations < 1:
        raise ValueError(f"n_iterations must be at least 1, got {n_iterations}")


def _check_finite(rows: Float[Tensor, "n d"]) -> None:
    if not rows.isfinite().all():
        raise ValueError("features and points must be finite, got NaN or infinity")


def _check_colors(colors: Float[Tensor, "n 3"]) -> None:
    if len(colors) and not ((colors >= 0) & (colors <= 1)).all():
        low, high = colors.aminmax()
        raise ValueError(f"colors must lie in [0, 1], got [{low:.3g}, {high:.3g}]")


def _k_means(
    rows: Float[Tensor, "n d"], n_centres: int, n_iterations: int, seed: int
) -> Float[Tensor, "k d"]:
    try:
        import faiss
    except ImportError as error:
        raise ImportError("k-means needs faiss: pip install 'pcl-contrastive[select]'") from error
    # faiss would draw 256 rows for each centre, and warn below 39
    k_means = faiss.Kmeans(
        rows.shape[1],
        n_centres,
        niter=n_iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    k_means.train(rows.numpy())
    return torch.from_numpy(k_means.centroids)


def _distinct_nearest(
    rows: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]
) -> Int[Tensor, " k"]:
    """The nearest row to each centre in turn that no centre before it took; ascending."""
    is_free = torch.ones(len(rows), dtype=torch.bool)
    for centre in centres.split(1):
        distance = torch.cdist(centre, rows, compute_mode="donot_use_mm_for_euclid_dist")[0]
        is_free[distance.masked_fill_(~is_free, math.inf).argmin()] = False
    return (~is_free).nonzero()[:, 0]
