"""Clusters of equal size by optimal transport, and the clusters of a feature queue.

Asano et al., "Self-labelling via simultaneous clustering and representation learning", ICLR 2020,
sec. 3 (hard labels); Caron et al., "SwAV", NeurIPS 2020, sec. 3.1 (soft codes); used on the feature
queue by Zhang et al. (SSPL), NeurIPS 2022, sec. 3.3.

The published programs raise probabilities to a power or take exp(scores), which underflows where
scores are sharp. Here scalings are kept as logarithms, or close to one beside a kernel whose rows
were normalised in logarithms, so that no sum becomes 0.
"""

import math
import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn
from torch.nn import functional

CHECK_EVERY = 10  # iterations between two looks at the stopping criterion, as Asano et al.
# The kernel is made anew where the logarithm of a scaling beside it exceeds this: with the growth
# of ten more iterations, at most n each, still far from the 745 at which float64 underflows.
FAR = 100.0
# Mean of the criterion over rows at which `QueueClusters` stops: 98 to 99.5 % of the labels are
# final (20,000 rows of 40 kinds, 64 clusters) after some 100 iterations, where a sum of 0.1 over
# 300,000 rows takes 400 to 2,300.
REFRESH_TOLERANCE = 0.01


@torch.no_grad()
def sinkhorn_assignment(
    scores: Float[Tensor, "n k"],
    *,
    sharpness: float = 25.0,
    tolerance: float = 0.1,
    max_iterations: int = 1000,
    across_processes: bool = False,
) -> Int[Tensor, " n"]:
    r"""The cluster of each row, such that every cluster receives the same mass.

    With A = softmax(scores)^sharpness, the plan diag(c) A diag(r) whose rows sum to 1/n and whose
    columns sum to 1/k is found by repeating

    .. math:: r = \frac{1}{k \, A^T c}, \qquad c' = \frac{1}{n \, A r}

    from c = 1/n until the sum over rows of |c / c' - 1|, looked at every 10 iterations, is below
    the tolerance; the label is the argmax of the row. The hard labels are balanced as far as rows
    differ: equal rows get equal labels.

    If max_iterations pass without that, a warning says so and the labels are those of the last
    iteration, whose plan is not balanced to the tolerance. Computed in float64: the criterion is a
    sum over n rows, which float32 cannot resolve for a queue of 300,000.

    Args:
        scores: logits of each cluster.
        sharpness: the lambda of Asano et al., an inverse temperature of the plan.
        tolerance: bound of the criterion, summed over all rows.
        max_iterations: rounded up to a multiple of 10.
        across_processes: share the marginals with the rows of all processes of torch.distributed,
            each of which must call this; for rows that are spread over processes, not for a
            `FeatureQueue`, which every process holds whole.

    Raises:
        ValueError: if there is no cluster, a score is not finite, sharpness or tolerance is not
            positive, or max_iterations is below 1.

    Example:
        >>> import torch
        >>> sinkhorn_assignment(torch.tensor([[2.0, 0.0], [1.0, 0.0]]))
        tensor([0, 1])
    """
    _check_scores(scores)
    if not (sharpness > 0 and tolerance > 0):
        raise ValueError(
            f"sharpness and tolerance must be positive, got {sharpness} and {tolerance}"
        )
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    log_a = sharpness * scores.double().log_softmax(dim=1)
    return _balance(log_a, tolerance, max_iterations, across_processes).argmax(dim=1)


@torch.no_grad()
def sinkhorn_codes(
    scores: Float[Tensor, "n k"],
    *,
    epsilon: float = 0.05,
    n_iterations: int = 3,
    across_processes: bool = False,
) -> Float[Tensor, "n k"]:
    """Soft clusters of each row after a fixed number of iterations, as SwAV computes its codes.

    exp(scores / epsilon) with every column, then every row, divided by its sum, n_iterations times.
    So rows sum to one, and columns to about n/k.

    Args:
        scores: cosines of features and prototypes.
        epsilon: softness, positive; small values give hard codes.
        n_iterations: pairs of divisions.
        across_processes: see `sinkhorn_assignment`.

    Raises:
        ValueError: if there is no cluster, a score is not finite, epsilon is not positive, or
            n_iterations is below 1.

    Example:
        >>> import torch
        >>> sinkhorn_codes(torch.tensor([[0.2, 0.0], [0.1, 0.0]])).argmax(dim=1)
        tensor([0, 1])
    """
    _check_scores(scores)
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    if n_iterations < 1:
        raise ValueError(f"n_iterations must be at least 1, got {n_iterations}")
    log_codes = scores / epsilon
    for _ in range(n_iterations):
        columns = _from_all(log_codes.logsumexp(dim=0), across_processes).logsumexp(dim=0)
        log_codes = (log_codes - columns).log_softmax(dim=1)
    return log_codes.exp()


class QueueClusters(nn.Module):
    """The clusters of a `FeatureQueue`: a label for each row, and a prototype for each cluster.

    The head h_g of SSPL, sec. 3.3, is linear without bias, its rows of unit norm: P is the softmax
    of the cosines to the prototypes. The paper does not say how the head learns. Here every
    `refresh` sets a prototype to the direction of the mean of its features, which is k-means on
    the sphere with clusters of equal size. It has no learning rate and no optimiser to resume, and
    `state_dict` holds all there is. Nothing has gradients.

    Args:
        dim: channels of a feature.
        n_clusters: K; 64 is best for SemanticKITTI (SSPL, sec. 5.5).
        queue_size: rows of the queue.
        seed: of the first prototypes, random directions. Processes must agree on it.

    Raises:
        ValueError: if dim, n_clusters or queue_size is below 1.

    Example:
        >>> import torch
        >>> from pcl_contrastive.feature_queue import FeatureQueue
        >>> queue, clusters = FeatureQueue(8, 2), QueueClusters(2, 2, queue_size=8)
        >>> _ = queue.enqueue(torch.eye(2).repeat(4, 1))
        >>> clusters.refresh(queue.filled)
        >>> clusters.labels
        tensor([0, 1, 0, 1, 0, 1, 0, 1])
        >>> slots = queue.enqueue(torch.eye(2).flip(0))  # between two refreshes
        >>> clusters.labels[slots] = clusters.assign(queue.features[slots])
        >>> clusters.labels
        tensor([1, 0, 0, 1, 0, 1, 0, 1])
    """

    prototypes: Float[Tensor, "k dim"]
    labels: Int[Tensor, " queue_size"]
    """The cluster of each row of the queue, -1 before the first refresh."""

    def __init__(self, dim: int, n_clusters: int, *, queue_size: int, seed: int = 0) -> None:
        super().__init__()
        if min(dim, n_clusters, queue_size) < 1:
            raise ValueError(
                "dim, n_clusters and queue_size must be at least 1, "
                f"got {dim}, {n_clusters} and {queue_size}"
            )
        directions = torch.randn(n_clusters, dim, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("prototypes", functional.normalize(directions, dim=1))
        self.register_buffer("labels", torch.full((queue_size,), -1))

    @torch.no_grad()
    def refresh(self, queue: Float[Tensor, "q dim"]) -> None:
        """Label the queue by `sinkhorn_assignment`, then move the prototypes to their features.

        The tolerance of the assignment grows with the queue, as the sum it bounds does; see
        `REFRESH_TOLERANCE`. A cluster that received nothing keeps its prototype. SSPL does not say
        how often to do this; every 100 steps is our choice. Processes compute the same from equal
        queues and do not communicate.

        Args:
            queue: all features held, `FeatureQueue.filled`.

        Raises:
            ValueError: if the queue is empty or larger than queue_size.
        """
        if not 1 <= len(queue) <= len(self.labels):
            raise ValueError(f"queue must hold 1 to {len(self.labels)} rows, got {len(queue)}")
        features = functional.normalize(queue.to(self.prototypes), dim=1)
        scores = features @ self.prototypes.T
        labels = sinkhorn_assignment(scores, tolerance=REFRESH_TOLERANCE * len(scores))
        self.labels[: len(queue)] = labels
        # A product with indicators rather than index_add_, whose order of summation varies on GPUs.
        members = functional.one_hot(labels, len(self.prototypes)).to(features)  # (q, k)
        sums = members.T @ features
        is_used = members.any(dim=0)[:, None]
        self.prototypes.copy_(
            torch.where(is_used, functional.normalize(sums, dim=1), self.prototypes)
        )

    def assign(self, features: Float[Tensor, "m dim"]) -> Int[Tensor, " m"]:
        """The argmax of P for each feature, for those that arrive between two refreshes.

        Sizes are not balanced here: that takes the whole queue.

        Args:
            features: of any length.
        """
        return (features.to(self.prototypes) @ self.prototypes.T).argmax(dim=1)


def _balance(
    log_a: Float[Tensor, "n k"], tolerance: float, max_iterations: int, across_processes: bool
) -> Float[Tensor, "n k"]:
    """A multiple, row by row, of the transport plan; see `sinkhorn_assignment`.

    Marginals are n times those of the docstring there: rows sum to 1 and columns to n/k.
    """
    n_rows = _from_all(log_a.new_tensor(len(log_a)), across_processes).sum()
    target = n_rows / log_a.shape[1]
    columns = _from_all(log_a.logsumexp(dim=0), across_processes).logsumexp(dim=0)
    log_r = target.log() - columns
    kernel = (log_a + log_r).softmax(dim=1)  # the first division by both sums
    r, c = torch.ones_like(log_r), log_a.new_ones(len(log_a))
    previous, error = c, math.inf
    for _ in range(0, max_iterations, CHECK_EVERY):
        for _ in range(CHECK_EVERY):
            r = target / _from_all(c @ kernel, across_processes).sum(dim=0)
            previous, c = c, 1 / (kernel @ r)
        error = float(_from_all((previous / c - 1).abs().sum(), across_processes).sum())
        if error < tolerance:
            break
        if r.log().abs().max() > FAR:
            log_r = log_r + r.log()
            kernel, c = (log_a + log_r).softmax(dim=1), torch.ones_like(c)
            r = torch.ones_like(r)
    else:
        warnings.warn(
            f"sinkhorn_assignment ends after {max_iterations} iterations with a criterion of "
            f"{error:.3g}, above the tolerance of {tolerance}",
            stacklevel=4,
        )
    return kernel * r


def _from_all(values: Tensor, across_processes: bool) -> Tensor:
    """The values of every process, stacked by rank."""
    if not (across_processes and distributed.is_available() and distributed.is_initialized()):
        return values[None]
    gathered = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, values)
    return torch.stack(gathered)


def _check_scores(scores: Tensor) -> None:
    if scores.shape[1] == 0:
        raise ValueError(f"scores must have a column for each cluster, got {tuple(scores.shape)}")
    if not scores.isfinite().all():
        raise ValueError("scores must be finite, got NaN or infinity")
