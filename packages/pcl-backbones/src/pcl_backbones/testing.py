"""Contract that every sparse backbone keeps; each backbone's tests call it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from pcl_backbones.sparse_tensor import SparseTensor


def surface_scene(size: int = 12, *, scene: int = 0, seed: int = 0) -> Tensor:
    """Voxels of a floor, a wall and a box, (v, 4) int32, in random row order.

    Example:
        >>> surface_scene(4).shape
        torch.Size([32, 4])
    """
    step = torch.arange(size)
    grid = torch.cartesian_prod(step, step, step)
    x, y, z = grid.unbind(1)
    box = (x >= size // 2) & (y >= size // 2) & (z == size // 3)
    voxels = grid[(z == 0) | (y == 0) | box] - size // 3  # some coordinates are negative
    generator = torch.Generator().manual_seed(seed)
    voxels = voxels[torch.randperm(len(voxels), generator=generator)]
    return torch.cat([torch.full((len(voxels), 1), scene), voxels], dim=1).int()


def check_backbone(
    factory: Callable[[], nn.Module], *, in_channels: int = 3, total_stride: int = 16
) -> None:
    """Raise AssertionError if a backbone breaks the contract.

    It maps a SparseTensor to one on the same rows, and: the order of rows changes nothing; scenes
    of a batch do not mix in eval mode; a shift by the total stride changes nothing; every
    parameter gets a finite gradient, not all zero; two runs agree bit for bit.

    Args:
        factory: makes the network, the same weights under the same seed.
        in_channels: channels it takes.
        total_stride: edge of its coarsest voxels, in units of the finest.

    Example:
        >>> from pcl_backbones import Res16UNet14A
        >>> check_backbone(lambda: Res16UNet14A(3, 2, width=0.125))
    """
    torch.manual_seed(0)
    network = factory()
    coords = torch.cat([surface_scene(12), surface_scene(9, scene=1, seed=1)])
    features = torch.randn(len(coords), in_channels)
    _check_gradients(network, coords, features)
    _check_determinism(network, coords, features)
    network.eval()
    with torch.no_grad():
        out = network(SparseTensor(coords, features))
        if not torch.equal(out.coords, coords):
            raise AssertionError("the output must have the rows of the input")
        _check_order(network, coords, features, out.features)
        _check_batch(network, coords, features, out.features)
        _check_shift(network, coords, features, out.features, total_stride)


def _check_order(network: nn.Module, coords: Tensor, features: Tensor, out: Tensor) -> None:
    order = torch.randperm(len(coords))
    permuted = network(SparseTensor(coords[order], features[order])).features
    assert_close(permuted, out[order], msg=lambda text: f"row order matters: {text}")


def _check_batch(network: nn.Module, coords: Tensor, features: Tensor, out: Tensor) -> None:
    rows = coords[:, 0] == 1
    scene_0 = coords[rows] * torch.tensor([0, 1, 1, 1], dtype=torch.int32)
    alone = network(SparseTensor(scene_0, features[rows])).features
    # matrix products round differently with the number of rows
    assert_close(alone, out[rows], rtol=1e-4, atol=1e-4, msg=lambda t: f"scenes mix: {t}")


def _check_shift(
    network: nn.Module, coords: Tensor, features: Tensor, out: Tensor, total_stride: int
) -> None:
    shift = torch.tensor([0, 3, -2, 1], dtype=torch.int32) * total_stride
    shifted = network(SparseTensor(coords + shift, features)).features
    assert_close(shifted, out, msg=lambda text: f"a shift by the stride matters: {text}")


def _gradients(network: nn.Module, coords: Tensor, features: Tensor) -> dict[str, Tensor | None]:
    network.train()
    network.zero_grad()
    network(SparseTensor(coords, features)).features.square().sum().backward()
    return {name: p.grad for name, p in network.named_parameters()}


def _check_gradients(network: nn.Module, coords: Tensor, features: Tensor) -> None:
    for name, gradient in _gradients(network, coords, features).items():
        if gradient is None or not gradient.isfinite().all() or not gradient.any():
            raise AssertionError(f"{name} must get a finite gradient that is not zero")


def _check_determinism(network: nn.Module, coords: Tensor, features: Tensor) -> None:
    first = {
        n: g.clone() for n, g in _gradients(network, coords, features).items() if g is not None
    }
    for name, gradient in _gradients(network, coords, features).items():
        if gradient is not None and not torch.equal(gradient, first[name]):
            raise AssertionError(f"the gradient of {name} must be the same in every run")
