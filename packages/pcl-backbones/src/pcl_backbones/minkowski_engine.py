"""Sparse convolution by MinkowskiEngine 0.5, as a peer of our own engine.

Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019. How to build it: the package's README.
"""

import collections
import collections.abc

import torch
from jaxtyping import Float
from torch import Tensor

collections.Sequence = collections.abc.Sequence  # MinkowskiEngine 0.5 wants what Python 3.10 lost

import MinkowskiEngine as Me  # noqa: E402  # pyrefly: ignore
from MinkowskiEngineBackend._C import ConvolutionMode  # noqa: E402  # pyrefly: ignore

from pcl_backbones.coordinates import KernelMap, Level  # noqa: E402


def convolve(
    features: Float[Tensor, "n a"], kernel: Float[Tensor, "slots a b"], kernel_map: KernelMap
) -> Float[Tensor, "m b"]:
    """out[j] = sum of features[i] W_s over the pairs (i, j) of every slot s.

    Raises:
        TypeError: if features are neither float32 nor float64.
        ValueError: if the map was not searched for a convolution of sparse tensors.
    """
    if features.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"features must be float32 or float64 here, got {features.dtype}")
    if kernel_map.search is None:
        raise ValueError("kernel_map must come from voxels, got one made of pairs")
    transposed, generator, *where = kernel_map.kept(_prepared)
    function = (
        Me.MinkowskiConvolutionTransposeFunction if transposed else Me.MinkowskiConvolutionFunction
    )
    mode = ConvolutionMode.DEFAULT
    return function.apply(features.contiguous(), kernel.contiguous(), generator, mode, *where)


def _prepared(kernel_map: KernelMap) -> tuple:
    """Its own coordinate manager with the rows of both sides in our order."""
    search = kernel_map.search
    assert search is not None  # checked above
    manager = Me.CoordinateManager(D=3)

    def insert(level: Level, stride: int):
        key, _ = manager.insert_and_map(level.coords, [stride] * 3, f"stride {stride}")
        return key

    keys = [insert(search.fine, search.stride)]
    same = search.factor == 1
    keys.append(keys[0] if same else insert(search.coarse, search.stride * search.factor))
    if search.is_transposed:
        keys.reverse()
    generator = Me.KernelGenerator(search.kernel_size, search.factor, dimension=3)
    return search.is_transposed, generator, *keys, manager
