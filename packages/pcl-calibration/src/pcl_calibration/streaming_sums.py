"""Sums over samples that arrive in batches, and are added over processes and files.

A score that is a function of such sums never needs the samples again: its memory does not grow
with them, and the sums of two parts are the sums of the whole.
"""

import copy
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

S = TypeVar("S", bound="StreamingSums")


class StreamingSums:
    """Tensors that add up, on a CPU, and the numbers that must agree before they may.

    A subclass names both kinds of attributes. `state_dict` holds them as a plain dict of tensors,
    for `torch.save` (read with `weights_only=True`) or safetensors.
    """

    _sums: ClassVar[tuple[str, ...]]
    _settings: ClassVar[tuple[str, ...]] = ()

    def merge(self: S, other: S) -> S:
        """This object, with the samples of the other added: those of another part of the data.

        Raises:
            TypeError: if other is of another class.
            ValueError: if other has other classes, bins or settings.
        """
        if type(other) is not type(self):
            wanted = type(self).__name__
            raise TypeError(f"other must be of class {wanted}, got {type(other).__name__}")
        return self._add("other", other.state_dict())

    def summed_over_processes(self: S) -> S:
        """A new object with the samples of all processes, the same in each of them.

        Every process of torch.distributed must call this; without it, the samples are the own
        ones. What each process goes on counting stays its own.

        Raises:
            ValueError: if another process has other classes, bins or settings.
        """
        states: list[Any] = [self.state_dict()]
        if distributed.is_available() and distributed.is_initialized():
            states *= distributed.get_world_size()
            distributed.all_gather_object(states, self.state_dict())
        total = copy.deepcopy(self)
        for name in self._sums:
            getattr(total, name).zero_()
        for rank, state in enumerate(states):
            total._add(f"process {rank}", state)
        return total

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the sums and of the settings, on a CPU."""
        sums = {name: getattr(self, name).clone() for name in self._sums}
        # Through numpy, which keeps the precision of a Python float.
        settings = {name: np.asarray(getattr(self, name)) for name in self._settings}
        return sums | {name: torch.from_numpy(value) for name, value in settings.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Replace the sums by those of a `state_dict`.

        Raises:
            ValueError: if it lacks a name or has an unknown one, or is of other classes, bins or
                settings.
        """
        self._check("state", state)
        for name in self._sums:
            getattr(self, name).copy_(state[name])

    def _add(self: S, owner: str, state: dict[str, Tensor]) -> S:
        self._check(owner, state)
        for name in self._sums:
            getattr(self, name).add_(state[name])
        return self

    def _check(self, owner: str, state: dict[str, Tensor]) -> None:
        """Raises ValueError if the state is not one of an object such as this."""
        wanted = sorted((*self._sums, *self._settings))
        if sorted(state) != wanted:
            raise ValueError(f"{owner} must have the tensors {wanted}, got {sorted(state)}")
        for name in self._settings:
            own = getattr(self, name)
            if state[name].item() != own:
                raise ValueError(f"{owner} must have {name} {own}, got {state[name].item()}")
        for name in self._sums:
            own = getattr(self, name)
            if state[name].shape != own.shape:
                shape, got = tuple(own.shape), tuple(state[name].shape)
                raise ValueError(f"{name} of {owner} must have shape {shape}, got {got}")
            if state[name].dtype != own.dtype:
                raise ValueError(
                    f"{name} of {owner} must be of {own.dtype}, got {state[name].dtype}"
                )
