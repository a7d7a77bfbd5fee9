"""Rows of all processes that train together, with their gradients."""

from typing import NamedTuple

import torch
import torch.distributed as distributed
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from pcl_clip3d.argument_shapes import checked


class GatheredRows(NamedTuple):
    """`rows` (n, d) of all processes in the order of their ranks, and which are this one's."""

    rows: Tensor
    own: slice


@checked
def gather_rows(rows: Float[Tensor, "m d"]) -> GatheredRows:
    """The rows of every process; they have the gradients of all losses that use them.

    So attention may lead over the scenes of all processes (Kang et al., "Hierarchical Intra-modal
    Correlation Learning", CVPR 2024, Eq. 7). Alone, a process gets its own rows back.

    Args:
        rows: of this process; the number may differ from process to process, also 0.

    Example:
        >>> import torch
        >>> gather_rows(torch.ones(2, 3)).own
        slice(0, 2, None)
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return GatheredRows(rows, slice(0, len(rows)))
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    sizes = [int(one) for one in counts]
    padding = rows.new_zeros(max(sizes) - len(rows), rows.shape[1])
    padded = all_gather(torch.cat([rows, padding]))
    start = sum(sizes[: distributed.get_rank()])
    parts = [part[:size] for part, size in zip(padded, sizes, strict=True)]
    return GatheredRows(torch.cat(parts), slice(start, start + len(rows)))
