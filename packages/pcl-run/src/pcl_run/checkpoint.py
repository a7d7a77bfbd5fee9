"""Checkpoints: one folder each, renamed into place when it is whole.

checkpoints/round_0_step_000500/  model.safetensors  state.pt  meta.json

The newest is the one with the highest `number` in its `meta.json`: `newest_checkpoint`.
"""

import re
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn
from torch.optim import Optimizer

from pcl_run.checkpoint_files import (
    FORMAT,
    META,
    STATE,
    WEIGHTS,
    advice,
    check_state,
    dump_state,
    load_state,
    read_meta,
    read_part,
)
from pcl_run.files import (
    atomic_write,
    is_leftover,
    remove,
    sync_folder,
    temporary_name,
    write_json,
)
from pcl_run.optimizer_states import first_not_finite, tensors_of

FOLDER = "checkpoints"
KEPT = 2  # newest checkpoints that are kept, besides the last of each finished stage


class NotFiniteError(ValueError):
    """A training that left the numbers: what it would keep has NaN or infinity."""


def save_checkpoint(
    run_folder: Path,
    *,
    stage: str,
    stage_step: int,
    modules: Mapping[str, nn.Module] | nn.ModuleDict,
    optimizers: Mapping[str, Optimizer],
    n_steps: int | None = None,
) -> Path:
    """Write a checkpoint, and delete what is older than the newest two.

    Args:
        run_folder: the run.
        stage: letters, digits, `_`, `-` and `.`.
        stage_step: steps of the stage that are done.
        modules: saved under their names.
        optimizers: saved under their names.
        n_steps: steps of the stage; when all are done the checkpoint is final and kept.

    Raises:
        ValueError: if the stage's name is not fit for a folder.
        NotFiniteError: (a ValueError) naming the first weight, or value of an optimizer, that is
            NaN or infinite; the newest checkpoint stays the one before.
        OSError: if the disk is full; nothing half-written stays.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", stage):
        raise ValueError(f"stage must be letters, digits, `_`, `-` and `.`, got {stage!r}")
    tensors = _tensors(modules)
    _check_finite(f"{stage} step {stage_step}", tensors, optimizers)
    root = run_folder / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{stage}_step_{stage_step:06d}"
    parts = {WEIGHTS: lambda: dump_tensors(tensors), STATE: lambda: dump_state(optimizers)}
    meta = {
        "format": FORMAT,
        "stage": stage,
        "stage_step": stage_step,
        "n_steps": n_steps,
        "final": stage_step == n_steps,
        "number": 1 + max((one["number"] for _, one in _all(run_folder)), default=0),
        "modules": list(modules),
        "saved_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    temporary = temporary_name(target)
    try:
        temporary.mkdir()
        sums = {name: _write(temporary / name, dump()) for name, dump in parts.items()}
        write_json(temporary / META, meta | {"crc32": sums})
        if target.exists():
            target.rename(temporary_name(target))
        temporary.rename(target)
    finally:
        remove(temporary)
    sync_folder(root)
    tidy(run_folder)
    return target


def load_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module] | nn.ModuleDict,
    optimizers: Mapping[str, Optimizer] | None = None,
) -> dict[str, Any]:
    """Load a checkpoint into `modules`, and into `optimizers` and torch's RNG where given.

    Nothing is changed before everything has been checked.

    Args:
        path: a checkpoint folder.
        modules: all or some of the modules that were saved.
        optimizers: all optimisers that were saved; None to use the weights only.

    Returns:
        the checkpoint's `meta.json`.

    Raises:
        ValueError: if the checkpoint is missing, foreign, damaged, of another shape, or not finite.
        OSError: if a file cannot be read.
    """
    meta = read_meta(path)
    tensors = read_part(path, meta, WEIGHTS, load_tensors)
    states = {name: _select(path, tensors, name, module) for name, module in modules.items()}
    named = [(f"weight {name}", tensor) for name, tensor in tensors.items()]
    state: dict[str, Any] = {}
    if optimizers is not None:
        state = read_part(path, meta, STATE, load_state)
        check_state(path, state, optimizers)
        named += [one for name in optimizers for one in tensors_of(name, state["optimizers"][name])]
    if problem := first_not_finite(iter(named)):
        raise ValueError(f"{path}: {problem}, which no training goes on from; {advice(path)}")
    if optimizers is not None:
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"][: torch.cuda.device_count()])
    for name, module in modules.items():
        module.load_state_dict(states[name])
    return meta


def newest_checkpoint(run_folder: Path, stage: str | None = None) -> Path | None:
    """The checkpoint written last, of one stage or of all; None where there is none."""
    found = [path for path, meta in _all(run_folder) if stage in (None, meta["stage"])]
    return found[-1] if found else None


def tidy(run_folder: Path) -> None:
    """Prune, and remove what a killed writer left."""
    for leftover in (run_folder / FOLDER).glob(".*.tmp"):
        if is_leftover(leftover):
            remove(leftover)
    for path, meta in _all(run_folder)[:-KEPT]:
        if not meta["final"]:
            doomed = temporary_name(path)  # never a checkpoint with half of its files
            with suppress(OSError):
                path.rename(doomed)
            remove(doomed)


def _all(run_folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Whole checkpoints with their meta, oldest first."""
    paths = [p for p in (run_folder / FOLDER).glob("*_step_*") if not p.name.startswith(".")]
    return sorted(((p, read_meta(p)) for p in paths), key=lambda pair: pair[1]["number"])


def _write(path: Path, content: bytes) -> int:
    """Write a file; its CRC-32."""
    with atomic_write(path, "wb") as handle:
        handle.write(content)
    return zlib.crc32(content)


def _tensors(modules: Mapping[str, nn.Module] | nn.ModuleDict) -> dict[str, Tensor]:
    """Contiguous copies on the CPU (tied weights share memory, which safetensors refuses)."""
    return {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _check_finite(
    where: str, tensors: Mapping[str, Tensor], optimizers: Mapping[str, Optimizer]
) -> None:
    named = [(f"weight {name}", tensor) for name, tensor in tensors.items()]
    named += [one for name, o in optimizers.items() for one in tensors_of(name, o.state_dict())]
    if problem := first_not_finite(iter(named)):
        raise NotFiniteError(f"a checkpoint must hold finite numbers, got {where}: {problem}")


def _select(
    path: Path, tensors: Mapping[str, Tensor], name: str, module: nn.Module
) -> dict[str, Tensor]:
    """The tensors of one module, of the names, shapes and types it has."""
    start = f"{name}."
    held = {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}
    wanted = module.state_dict()
    for key in sorted(held.keys() ^ wanted.keys()):
        problem = "is missing" if key in wanted else "is not in this model"
        raise ValueError(f"{path}: weight {name}.{key} {problem}")
    for key, tensor in sorted(held.items()):
        have, want = _form(tensor), _form(wanted[key])
        if have != want:
            raise ValueError(f"{path}: weight {name}.{key} must be {want}, got {have}")
    return held


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
