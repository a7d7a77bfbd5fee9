"""Activation checkpointing: less memory in training for one more forward pass of each block."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import nn
from torch.utils.checkpoint import checkpoint

from pcl_backbones.sparse_tensor import SparseTensor


def checkpoint_activations(network: nn.Module) -> None:
    """From now on the blocks of a network keep only their input for the backward pass.

    The rest is computed again there; outputs, gradients and running statistics are the same to the
    bit. For the networks of this package, and whatever is made of `Checkpointable` blocks.

    Raises:
        ValueError: if the network has no such block.

    Example:
        >>> from pcl_backbones import Res16UNet14A
        >>> checkpoint_activations(Res16UNet14A(3, 20, width=0.25))
    """
    blocks = [module for module in network.modules() if isinstance(module, Checkpointable)]
    if not blocks:
        raise ValueError(f"network must have Checkpointable blocks, got {type(network).__name__}")
    for block in blocks:
        block.is_checkpointed = True


class Checkpointable(nn.Module):
    """A block from one sparse tensor to another; nothing in it is random."""

    is_checkpointed = False

    def __call__(self, x: SparseTensor) -> SparseTensor:
        """What `forward` gives."""
        if not self.is_checkpointed:
            return super().__call__(x)
        return checkpoint(
            super().__call__,
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), _statistics_kept(self)),
        )


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """The second pass over a batch leaves the running statistics alone."""
    before = [(each, dict(each._buffers)) for each in module.modules()]
    for each, buffers in before:
        copies = {name: value.clone() for name, value in buffers.items() if value is not None}
        each._buffers.update(copies)
    try:
        yield
    finally:
        for each, buffers in before:
            each._buffers.update(buffers)
