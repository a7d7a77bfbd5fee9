"""Stored states of optimisers: whether they are of the optimisers at hand."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# Of a group of parameters, what comes and goes with the version of torch and the schedule.
_PASSING = ("initial_lr", "param_names", "foreach", "maximize", "capturable", "differentiable")
_PASSING += ("fused", "decoupled_weight_decay")


def check_optimizer_state(name: str, state: Any, optimizer: Optimizer) -> None:
    """Return quietly if a stored state can be loaded into an optimiser and step it.

    Args:
        name: of the optimiser, for the message.
        state: as `Optimizer.state_dict` makes it, from a file.
        optimizer: of the same kind, over the same parameters.

    Raises:
        ValueError: naming the optimiser, and what of it does not fit.
    """
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(state, dict) or not all(
        isinstance(state.get(key), kind) for key, kind in (("param_groups", list), ("state", dict))
    ):
        raise ValueError(f"optimizer {name} does not fit: it is no state of an optimizer")
    groups = state["param_groups"]
    if [_form(group) for group in groups] != [_form(group) for group in own]:
        raise ValueError(f"optimizer {name} does not fit: its groups of parameters are others")
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for key, values in state["state"].items():
        if type(key) is not int or not 0 <= key < len(parameters) or not isinstance(values, dict):
            raise ValueError(f"optimizer {name} does not fit: it has no parameter {key!r}")
        for slot, value in values.items():
            shape = tuple(value.shape) if isinstance(value, Tensor) else ()
            if shape not in ((), tuple(parameters[key].shape)):
                raise ValueError(
                    f"optimizer {name} does not fit: {slot} of parameter {key} must have shape "
                    f"{tuple(parameters[key].shape)}, got {shape}"
                )
    slots = {tuple(sorted(map(str, values))) for values in state["state"].values()}
    if len(slots) > 1:
        raise ValueError(f"optimizer {name} does not fit: its parameters have other states each")


def tensors_of(name: str, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an optimiser's state, with names to tell them by."""
    for key, values in state["state"].items():
        for slot, value in values.items():
            if isinstance(value, Tensor):
                yield f"{slot} of parameter {key} of optimizer {name}", value


def first_not_finite(tensors: Iterator[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor with NaN or infinity, and such a value; None if all are finite.

    Example:
        >>> first_not_finite(
        ...     iter([("a", torch.ones(2)), ("b", torch.tensor([1, float("nan")]))])
        ... )
        'b has nan'
    """
    for name, tensor in tensors:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return f"{name} has {tensor[~torch.isfinite(tensor)].flatten()[0].item()}"
    return None


def _form(group: Any) -> Any:
    """What must be the same of two groups: parameters, and the names and types of settings."""
    if not isinstance(group, dict):
        return None
    number = {int: float, bool: bool}  # a rate of 1 is one of 1.0
    kinds = {
        str(key): number.get(type(value), type(value))
        for key, value in group.items()
        if key not in ("params", *_PASSING)
    }
    return group.get("params"), kinds
