"""What pairs of features say about a contrastive pre-training, and why its loss does not move.

Effective rank: Roy and Vetterli, "The effective rank", EUSIPCO 2007. Alignment and uniformity:
Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity
on the Hypersphere", ICML 2020, with alpha = 2 and t = 2.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, pdist

from pcl_contrastive.argument_shapes import checked

COLLAPSED_RANK = 1.5
COLLAPSED_UNIFORMITY = -0.1  # squared distances are 0.05 on average, of 2 between random rows
CHANCE_RANK = 0.45  # mean rank of a positive; 0.5 is what unrelated features give
NEAR_FLOOR = 0.95  # share of the way from chance to the floor
ROUNDING = 1e-12  # of a scalar product of unit vectors in float64


@dataclass(frozen=True)
class RepresentationHealth:
    """Figures of n pairs of rows, scaled to unit length; see `representation_health`."""

    effective_rank: float
    """exp of the entropy of the queries' singular values over their sum: 1 to min(n, c)."""
    uniformity: float
    """log of the mean of exp(-2 |q_i - q_j|^2), i < j: 0 where all are equal, near -4 at best."""
    alignment: float
    """Mean of |q_i - k_i|^2, in [0, 4]; 0 where each query equals its key."""
    mean_rank: float
    """Mean share of the other keys that are nearer than the positive: 0 best, 0.5 chance."""
    accuracy: float
    """Share of the rows whose positive is nearer than every other key."""
    loss: float
    """InfoNCE of the rows at the temperature, in nats."""
    chance: float
    """log n: the loss of equal features."""
    floor: float
    """No n pairs of unit vectors have a lower loss at the temperature."""

    @property
    def progress(self) -> float:
        """How far the loss has come from chance (0) to the floor (1); negative above chance."""
        return (self.chance - self.loss) / (self.chance - self.floor)

    def verdict(self) -> str:
        """One sentence on why the loss does not move, or that it has room to.

        In this order: the queries are collapsed where they point one way (effective rank below
        1.5, or uniformity above -0.1); the loss is at its floor after 95 % of the way there;
        positives cannot be told from other keys where their mean rank is above 0.45; all else is
        learning.
        """
        if self.effective_rank < COLLAPSED_RANK or self.uniformity > COLLAPSED_UNIFORMITY:
            return (
                f"collapsed: the queries point one way (effective rank {self.effective_rank:.1f}, "
                f"uniformity {self.uniformity:.2f}); the loss is {self.loss:.2f} where "
                f"chance is {self.chance:.2f}"
            )
        if self.progress >= NEAR_FLOOR:
            return (
                f"at its floor: the loss {self.loss:.2f} can hardly fall below {self.floor:.2f} "
                "at this temperature with so many rows; there is nothing left to learn"
            )
        if self.mean_rank > CHANCE_RANK:
            return (
                "positives cannot be told from other keys: "
                f"{self.mean_rank:.0%} of those are nearer, and the loss is {self.loss:.2f} where "
                f"chance is {self.chance:.2f}; the pairs may be wrong, or training has just begun"
            )
        return (
            f"learning: {self.mean_rank:.0%} of the other keys are nearer than the positive, and "
            f"the loss {self.loss:.2f} lies between {self.floor:.2f} and chance {self.chance:.2f}"
        )


@checked
@torch.no_grad()
def representation_health(
    queries: Float[Tensor, "n c"],
    keys: Float[Tensor, "n c"],
    *,
    temperature: float,
    max_rows: int = 4096,
    generator: torch.Generator | None = None,
) -> RepresentationHealth:
    r"""Rank, spread and closeness of pairs, and where the InfoNCE loss stands between its bounds.

    Row i of the keys is the positive of row i of the queries, the other keys are its negatives;
    all rows are scaled to unit length. The bounds of the loss are

    .. math:: \log n \quad\text{and}\quad
              \log\left(1 + (n - 1) \exp\frac{-n}{(n - 1)\,T}\right)

    at temperature T. The second holds for any unit vectors: by convexity the loss is at least that
    of n - 1 equal differences q_i k_j - q_i k_i, whose mean is at least -n / (n - 1), because
    n sum q_i k_i - sum q_i sum k_i = n sum (q_i - mean q)(k_i - mean k) <= n^2. The corners of a
    regular simplex reach it, which takes c >= n - 1 channels. With fewer the loss stays above: 4096
    random directions, queries equal to keys, by 0.1 with 96 channels at T = 0.1, by 1.2 with 16.
    Ties count half in `mean_rank` and as failures in `accuracy`.

    Args:
        queries: features of one view; rank and uniformity are theirs.
        keys: features of the other view, row by row.
        temperature: of the loss.
        max_rows: with more rows, so many pairs are drawn without replacement; the bounds are
            those of that number.
        generator: of that draw, on any device.

    Raises:
        ValueError: if shapes differ, there are fewer than 2 rows or max_rows < 2, the temperature
            is not positive and finite, or a value is not finite.

    Example:
        >>> import torch
        >>> health = representation_health(torch.eye(4), torch.eye(4), temperature=0.05)
        >>> round(health.effective_rank, 6), health.accuracy, health.verdict()[:12]
        (4.0, 1.0, 'at its floor')
    """
    _check(queries, keys, temperature, max_rows)
    if len(queries) > max_rows:
        device = None if generator is None else generator.device
        chosen = torch.randperm(len(queries), generator=generator, device=device)[:max_rows]
        chosen = chosen.to(queries.device)
        queries, keys = queries[chosen], keys[chosen]
    queries, keys = normalize(queries.double()), normalize(keys.double())
    n, similarity = len(queries), queries @ keys.T
    rank = _rank_of_positive(similarity)
    positives = torch.arange(n, device=similarity.device)
    return RepresentationHealth(
        effective_rank=_effective_rank(queries),
        uniformity=float(pdist(queries).square().mul(-2).exp().mean().log()),
        alignment=float((queries - keys).square().sum(dim=1).mean()),
        mean_rank=float(rank.mean()) / (n - 1),
        accuracy=float((rank == 0).double().mean()),
        loss=float(cross_entropy(similarity / temperature, positives)),
        chance=math.log(n),
        floor=math.log1p((n - 1) * math.exp(-n / ((n - 1) * temperature))),
    )


def _check(queries: Tensor, keys: Tensor, temperature: float, max_rows: int) -> None:
    if len(queries) < 2:
        raise ValueError(f"queries must have at least 2 rows, got {len(queries)}")
    if max_rows < 2:
        raise ValueError(f"max_rows must be at least 2, got {max_rows}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    for name, rows in {"queries": queries, "keys": keys}.items():
        if not rows.isfinite().all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")


def _effective_rank(rows: Float[Tensor, "n c"]) -> float:
    values = torch.linalg.svdvals(rows)
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)  # all may be 0
    return float(torch.special.entr(shares).sum().exp())


def _rank_of_positive(similarity: Float[Tensor, "n n"]) -> Float[Tensor, " n"]:
    """How many other keys are nearer than the positive; a tie counts half."""
    excess = similarity - similarity.diagonal()[:, None]
    is_tie = excess.abs() <= ROUNDING
    return (excess > ROUNDING).sum(dim=1) + (is_tie.sum(dim=1) - 1).double() / 2
