"""Checkpoints: one folder each, renamed into place when it is whole.

checkpoints/round_0_step_000500/  model.safetensors  state.pt  meta.json
checkpoints/last -> round_0_step_000500
"""

import io
import json
import os
import pickle
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn
from torch.optim import Optimizer

from pcl_run.files import LEFTOVER, atomic_write, sync_folder, temporary_name, write_json

FOLDER = "checkpoints"
FORMAT = "pcl_run checkpoint 1"
KEPT = 2  # newest checkpoints that are kept, besides the last of each finished stage


def save_checkpoint(
    run_folder: Path,
    *,
    stage: str,
    stage_step: int,
    modules: Mapping[str, nn.Module] | nn.ModuleDict,
    optimizers: Mapping[str, Optimizer],
    n_steps: int | None = None,
) -> Path:
    """Write a checkpoint, point `last` at it and delete what is older than the newest two.

    Args:
        run_folder: the run.
        stage: letters, digits, `_`, `-` and `.`.
        stage_step: steps of the stage that are done.
        modules: saved under their names.
        optimizers: saved under their names.
        n_steps: steps of the stage; when all are done the checkpoint is final and kept.

    Raises:
        ValueError: if the stage's name is not fit for a folder.
        OSError: if the disk is full; nothing half-written stays.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", stage):
        raise ValueError(f"stage must be letters, digits, `_`, `-` and `.`, got {stage!r}")
    root = run_folder / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{stage}_step_{stage_step:06d}"
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
        _write(temporary / "model.safetensors", dump_tensors(_tensors(modules)))
        _write(temporary / "state.pt", _dump_state(optimizers))
        write_json(temporary / "meta.json", meta)
        if target.exists():
            target.rename(temporary_name(target))
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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
        path: a checkpoint folder, or a link such as `checkpoints/last`.
        modules: all or some of the modules that were saved.
        optimizers: all optimisers that were saved; None to use the weights only.

    Returns:
        the checkpoint's `meta.json`.

    Raises:
        ValueError: if the checkpoint is missing, foreign, truncated or of another shape.
    """
    meta = _read_meta(path)
    try:
        tensors = load_tensors((path / "model.safetensors").read_bytes())
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: model.safetensors is damaged: {error}") from None
    states = {name: _select(path, tensors, name, module) for name, module in modules.items()}
    if optimizers is not None:
        state = _read_state(path)
        if set(state["optimizers"]) != set(optimizers):
            held, wanted = sorted(state["optimizers"]), sorted(optimizers)
            raise ValueError(f"{path}: holds the optimizers {held}, not {wanted}")
        for name, optimizer in optimizers.items():
            try:
                optimizer.load_state_dict(state["optimizers"][name])
            except (ValueError, KeyError) as error:
                raise ValueError(f"{path}: optimizer {name} does not fit: {error}") from None
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
    """Point `last` at the newest checkpoint, prune, and remove what a killed writer left."""
    root, found = run_folder / FOLDER, _all(run_folder)
    for leftover in root.glob(LEFTOVER):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    if not found:
        return
    _link(root / "last", found[-1][0].name)
    for path, meta in found[:-KEPT]:
        if not meta["final"]:
            doomed = temporary_name(path)  # never a checkpoint with half of its files
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _all(run_folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Whole checkpoints with their meta, oldest first."""
    paths = [p for p in (run_folder / FOLDER).glob("*_step_*") if not p.name.startswith(".")]
    return sorted(((p, _read_meta(p)) for p in paths), key=lambda pair: pair[1]["number"])


def _link(link: Path, target: str) -> None:
    temporary = temporary_name(link)
    temporary.symlink_to(target)
    os.replace(temporary, link)


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path, "wb") as handle:
        handle.write(content)


def _tensors(modules: Mapping[str, nn.Module] | nn.ModuleDict) -> dict[str, Tensor]:
    """Contiguous copies on the CPU (tied weights share memory, which safetensors refuses)."""
    return {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _dump_state(optimizers: Mapping[str, Optimizer]) -> bytes:
    """Through memory: writing to a full disk, torch would hide the OSError."""
    buffer = io.BytesIO()
    state = {
        "optimizers": {name: one.state_dict() for name, one in optimizers.items()},
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / "meta.json").read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: is no checkpoint: it has no meta.json") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: meta.json is damaged: {error}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ValueError(f"{path}: is no checkpoint of format {FORMAT!r}")
    return meta


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path}: state.pt is damaged: {reason}") from None


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
