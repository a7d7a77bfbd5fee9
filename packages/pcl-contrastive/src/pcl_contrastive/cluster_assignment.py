"""Clusters of equal size by optimal transport, and the clusters of a feature queue.

Asano et al., "Self-labelling via simultaneous clustering and representation learning", ICLR 2020,
sec. 3 (hard labels); Caron et al., "SwAV", NeurIPS 2020, sec. 3.1 (soft codes); used on the feature
queue by Zhang et al. (SSPL), NeurIPS 2022, sec. 3.3.

Both published programs work on exp(scores), which underflows for sharp scores. Here cluster sums
start from logarithms and can be neither 0 nor infinite.
"""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn
from torch.nn import functional

CHECK_EVERY = 10  # iterations between two looks at the stopping criterion, as Asano et al.


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
    raise NotImplementedError


@torch.no_grad()
def sinkhorn_codes(
    scores: Float[Tensor, "n k"],
    *,
    epsilon: float = 0.05,
    n_iterations: int = 3,
    across_processes: bool = False,
) -> Float[Tensor, "n k"]:
    """Soft cluster of each row."""
    raise NotImplementedError


class QueueClusters(nn.Module):
    """Clusters of the entries of a queue."""

    def __init__(self, dim: int, n_clusters: int, *, queue_size: int, seed: int = 0) -> None:
        super().__init__()

    def refresh(self, queue: Float[Tensor, "q dim"]) -> None:
        """Cluster the queue anew."""

    def assign(self, features: Float[Tensor, "m dim"]) -> Int[Tensor, " m"]:
        """Argmax of P."""
        raise NotImplementedError
