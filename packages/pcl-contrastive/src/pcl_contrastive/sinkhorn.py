"""Clusters of equal size by optimal transport (Sinkhorn and Knopp's iteration).

Asano et al., "Self-labelling via simultaneous clustering and representation learning", ICLR 2020,
sec. 3 (hard labels); used on a queue of features by SSPL (Zhang et al., NeurIPS 2022), sec. 3.3.

The published program raises probabilities to a power, which underflows where scores are sharp. Here
scalings are kept as logarithms, or close to one beside a kernel whose rows were normalised in
logarithms, so that no sum becomes 0.
"""

import math
import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed

from pcl_contrastive.argument_shapes import checked

CHECK_EVERY = 10  # iterations between two looks at the stopping criterion, as Asano et al.
# The kernel is made anew where the logarithm of a scaling beside it exceeds this: with the growth
# of ten more iterations, at most n each, still far from the 745 at which float64 underflows.
FAR = 100.0


@checked
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
