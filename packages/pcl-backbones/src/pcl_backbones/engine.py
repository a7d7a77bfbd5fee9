"""Sparse convolution of rows of features: out[u] = sum over slots k of x[u + offset_k] W_k.

`cpu_engine`, `triton_engine` and `device_engine` are parts of the engine "torch", each for some
devices and types; other engines are libraries that compute the same.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcl_backbones import cpu_engine, device_engine
from pcl_backbones.coordinates import KernelMap
from pcl_backbones.epilogue import Epilogue
from pcl_backbones.kernel_cache import place_for_triton


def use_engine(name: str) -> None:
    """Choose what computes sparse convolutions, for the whole process.

    Args:
        name: "torch", our own, which needs nothing else and is the default; "minkowski", the
            MinkowskiEngine 0.5 that is installed (float32 and float64); "spconv", the spconv 2
            that is installed (on a CPU without gradients).

    Raises:
        ValueError: if there is no such engine.
        ImportError: if the library of an engine cannot be imported.

    Example:
        >>> use_engine("torch")
    """
    global _engine
    if name not in ENGINES:
        raise ValueError(f"name must be one of {list(ENGINES)}, got {name!r}")
    if name == "torch":
        _engine = _Convolve.apply
        return
    try:
        _engine = import_module(f"pcl_backbones.{name}_engine").convolve
    except ImportError as error:
        raise ImportError(f"name {name!r} needs a library: {error}") from error


def engine_of(device: torch.device) -> str:
    """The engine in use, and which part of "torch" computes float32 on a device.

    Example:
        >>> engine_of(torch.device("cpu"))
        'torch (cpu_engine)'
    """
    if _engine != _Convolve.apply:
        return _engine.__module__.rpartition(".")[2].removesuffix("_engine")
    part = _functions(torch.empty(0, device=device)).__name__
    return f"torch ({part.rpartition('.')[2]})"


def convolve(
    features: Float[Tensor, "n a"],
    kernel: Float[Tensor, "slots a b"],
    kernel_map: KernelMap,
    epilogue: Epilogue | None = None,
) -> Float[Tensor, "m b"]:
    """Rows of the output of a convolution, by the engine in use.

    Under autocast rows and kernel are multiplied in its type, and the products summed in float32.
    With an epilogue there are no gradients.

    Raises:
        ValueError: if kernel is on another device, or (without autocast) of another type, or a
            size is not that of the kernel map.
    """
    _check_sizes(features, kernel, kernel_map, epilogue)
    if kernel.device != features.device:
        raise ValueError(f"kernel must be on {features.device} as x is, got {kernel.device}")
    device = features.device.type
    if torch.is_autocast_enabled(device):
        features = features.to(torch.get_autocast_dtype(device))
    elif kernel.dtype != features.dtype:
        raise ValueError(f"kernel must be {features.dtype} as x is, got {kernel.dtype}")
    with torch.autocast(device, enabled=False):
        if epilogue is None:
            return _engine(features, kernel, kernel_map)
        if _engine == _Convolve.apply and (functions := _functions(features)) is cpu_engine:
            return functions.sum_of_products(features, kernel, kernel_map, epilogue)
        return epilogue.finish(_engine(features, kernel * epilogue.scale, kernel_map))


def _check_sizes(
    features: Tensor, kernel: Tensor, kernel_map: KernelMap, epilogue: Epilogue | None
) -> None:
    """What the loops rely on, which read and write memory as the map says."""
    slots = len(kernel_map.pairs)
    if kernel.ndim != 3 or len(kernel) != slots:
        raise ValueError(f"kernel must have shape ({slots}, a, b), got {tuple(kernel.shape)}")
    _, n_in, n_out = kernel.shape
    if features.shape != (kernel_map.n_inputs, n_in):
        wanted = (kernel_map.n_inputs, n_in)
        raise ValueError(f"features must have shape {wanted}, got {tuple(features.shape)}")
    if epilogue is not None:
        epilogue.check(kernel_map.n_outputs, n_out)


class _Convolve(torch.autograd.Function):
    """Kernels may be of a wider type than features, and so are their gradients."""

    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, kernel_map: KernelMap) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.kernel_map = kernel_map
        return _functions(features).sum_of_products(features.detach(), kernel.detach(), kernel_map)

    @staticmethod
    @once_differentiable
    def backward(  # pyrefly: ignore  # torch's stub fits no function of one gradient
        ctx, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        gradient, functions = gradient.contiguous(), _functions(gradient)
        to_features = to_kernel = None
        if ctx.needs_input_grad[0]:
            transposed = kernel.detach().transpose(1, 2)
            to_features = functions.sum_of_products(gradient, transposed, ctx.kernel_map.transposed)
        if ctx.needs_input_grad[1]:
            to_kernel = functions.outer_products(features.detach(), gradient, ctx.kernel_map)
        return to_features, to_kernel, None


def _functions(values: Tensor) -> ModuleType:
    kind, dtype = values.device.type, values.dtype
    if kind == "cpu" and dtype in (torch.float32, torch.bfloat16):
        return cpu_engine
    halves = (torch.float16, torch.bfloat16)
    if kind == "cuda" and dtype in (torch.float32, *halves) and _has_triton(values.device):
        return import_module("pcl_backbones.triton_engine")
    return device_engine


@cache
def _has_triton(device: torch.device) -> bool:
    """Whether Triton is installed and compiles products of all types for this GPU."""
    if find_spec("triton") is None or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    place_for_triton()
    return True


ENGINES = ("torch", "minkowski", "spconv")
_engine = _Convolve.apply
