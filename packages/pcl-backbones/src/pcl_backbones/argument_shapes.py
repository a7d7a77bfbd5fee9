"""Shapes and types of arrays, checked against the annotations of a function at every call."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_args

P = ParamSpec("P")
R = TypeVar("R")
_NAMES = {"Float": "floating point", "Int": "signed integers", "Bool": "booleans"}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which refuses arrays that are not what its annotations say.

    Of `Float[Tensor, "n 3"]` the class, the type, the number of axes and their sizes are checked;
    an axis of the same letter has the same size in all arguments. Values are not looked at, so
    that nothing waits for a GPU. Raises ValueError, or TypeError for what is no array.
    """
    signature = inspect.signature(function)
    rules = {}
    for name, parameter in signature.parameters.items():
        for kind in (parameter.annotation, *get_args(parameter.annotation)):
            if hasattr(kind, "dim_str"):
                rules[name] = kind

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        sizes: dict[str, tuple[int, str]] = {}
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in rules and value is not None:
                _check(name, value, rules[name], sizes)
        return function(*args, **kwargs)

    return call


def _check(name: str, value: Any, kind: Any, sizes: dict[str, tuple[int, str]]) -> None:
    if not isinstance(value, kind.array_type):
        wanted = kind.array_type.__name__
        raise TypeError(f"{name} must be of class {wanted}, got {type(value).__name__}")
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in kind.dtypes:
        wanted = _NAMES.get(kind.dtype.__name__, kind.dtype.__name__.lower())
        raise ValueError(f"{name} must be of {wanted}, got {dtype}")
    axes, shape = kind.dim_str.split(), tuple(value.shape)
    if any(not axis.isalnum() for axis in axes):  # such as *shape
        return
    fits = len(axes) == len(shape)
    for axis, size in zip(axes, shape, strict=False):
        wanted = int(axis) if axis.isdigit() else sizes.setdefault(axis, (size, name))[0]
        fits &= size == wanted
    if not fits:
        known = [f"{a} = {sizes[a][0]} as of {sizes[a][1]}" for a in axes if _is_of(a, sizes, name)]
        told = f" with {', '.join(known)}" if known else ""
        raise ValueError(f"{name} must have shape {_text(axes)}{told}, got {shape}")


def _is_of(axis: str, sizes: dict[str, tuple[int, str]], name: str) -> bool:
    """Whether another argument gave the axis its size."""
    return axis in sizes and sizes[axis][1] != name


def _text(axes: list[str]) -> str:
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
