"""A first-in first-out store of features to contrast with.

He et al., "Momentum Contrast", CVPR 2020, sec. 3.2; the global feature queue F_g of Zhang et al.,
"Self-Supervised Pretraining for Large-Scale Point Clouds", NeurIPS 2022, sec. 3.3. MoCo fills the
queue with random vectors and asks that its size be a multiple of the rows that arrive; here it
starts empty (the caller decides what to do until `is_full`) and rows wrap around.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn

from pcl_contrastive.argument_shapes import checked


class FeatureQueue(nn.Module):
    """The last `size` features that were put in, the same ones in every process.

    All of it is in the `state_dict`, so that a resumed run continues exactly. Keep the queue out of
    a module wrapped for data parallelism, which would send every buffer at every step: the queues
    of all processes are equal already.

    Args:
        size: features held; SSPL uses 300,000.
        dim: channels of a feature.

    Raises:
        ValueError: if size or dim is below 1.

    Example:
        >>> import torch
        >>> queue = FeatureQueue(3, 1)
        >>> queue.enqueue(torch.tensor([[1.0], [2.0]]))
        tensor([0, 1])
        >>> len(queue), queue.is_full
        (2, False)
        >>> queue.enqueue(torch.tensor([[3.0], [4.0]]))
        tensor([2, 0])
        >>> queue.filled.flatten()
        tensor([4., 2., 3.])
    """

    features: Float[Tensor, "size dim"]
    n_enqueued: Int[Tensor, ""]

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"size and dim must be at least 1, got {size} and {dim}")
        self.register_buffer("features", torch.zeros(size, dim))
        self.register_buffer("n_enqueued", torch.tensor(0))

    @torch.no_grad()
    @checked
    def enqueue(self, features: Float[Tensor, "m dim"]) -> Int[Tensor, " written"]:
        """Write the features of all processes, in the order of their ranks, over the oldest ones.

        Where torch.distributed is initialised every process must call this, with as many rows as
        it has. Of more rows than the queue holds, the last stay. A loss of this package may be
        differentiated after the queue it was computed with has moved on.

        Args:
            features: stored as given, without their graph.

        Returns:
            The row of the queue where each feature was written, for what is kept beside it.

        Raises:
            ValueError: if the width is not that of the queue, or a feature is not finite.
        """
        size, dim = self.features.shape
        if features.shape[1] != dim:
            raise ValueError(f"features must have shape (m, {dim}), got {tuple(features.shape)}")
        rows = _of_all_processes(features)
        if not rows.isfinite().all():  # one such row would spoil every loss until overwritten
            raise ValueError("features must be finite, got NaN or infinity")
        slots = (self.n_enqueued + torch.arange(len(rows), device=rows.device)) % size
        slots, kept = slots[-size:], rows[-size:]
        self.features[slots] = kept.to(self.features)
        self.n_enqueued += len(rows)
        return slots

    @property
    def filled(self) -> Float[Tensor, "filled dim"]:
        """The features held, a view; their order is that of the rows of the queue, not of age."""
        return self.features[: len(self)]

    @property
    def is_full(self) -> bool:
        """Whether every row has been written."""
        return len(self) == len(self.features)

    def __len__(self) -> int:
        return min(int(self.n_enqueued), len(self.features))


def _of_all_processes(rows: Tensor) -> Tensor:
    """The rows of every process, by rank; their number may differ."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    n_processes = distributed.get_world_size()
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(n_processes)]
    distributed.all_gather(counts, count)
    # Collectives want equal shapes: pad to the longest, and cut again.
    padded = rows.new_zeros(int(torch.cat(counts).max()), rows.shape[1])
    padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in range(n_processes)]
    distributed.all_gather(gathered, padded)
    return torch.cat([part[: int(n)] for part, n in zip(gathered, counts, strict=True)])
