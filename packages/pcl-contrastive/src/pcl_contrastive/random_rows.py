"""Rows drawn at random, on the device of the tensors they are for."""

import torch
from jaxtyping import Int
from torch import Tensor


def draw_rows(
    n_rows: int, n_drawn: int, device: torch.device, generator: torch.Generator | None
) -> Int[Tensor, " k"]:
    """At most `n_drawn` of the rows below `n_rows`, without replacement, in random order."""
    return torch.randperm(n_rows, device=device, generator=generator)[:n_drawn]


def draw_below(counts: Int[Tensor, " k"], generator: torch.Generator | None) -> Int[Tensor, " k"]:
    """A number from 0 to below each count, uniform."""
    # In double precision, which does not round up to the count.
    uniform = torch.rand(len(counts), dtype=torch.double, device=counts.device, generator=generator)
    return (uniform * counts).long()
