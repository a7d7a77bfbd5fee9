"""The files of a checkpoint: what they hold, and whether they hold what was written."""

import io
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pcl_run.files import read_json
from pcl_run.optimizer_states import check_optimizer_state

FORMAT = "pcl_run checkpoint 1"
WEIGHTS, STATE, META = "model.safetensors", "state.pt", "meta.json"
_TYPES = {"stage": str, "stage_step": int, "final": bool, "number": int}  # in a meta.json


def read_meta(path: Path) -> dict[str, Any]:
    """The `meta.json` of a checkpoint folder.

    Raises:
        ValueError: naming it, if there is none or it is damaged.
    """
    try:
        meta = read_json(path / META)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path}: is no checkpoint: it has no {META}") from None
    except ValueError as error:
        raise ValueError(f"{error}; {advice(path)}") from None
    if meta.get("format") != FORMAT:
        raise ValueError(f"{path}: is no checkpoint of format {FORMAT!r}: see its {META}")
    wrong = [key for key, kind in _TYPES.items() if type(meta.get(key)) is not kind]
    if type(meta.get("n_steps", 0)) not in (int, type(None)):
        wrong.append("n_steps")
    if not isinstance(meta.get("crc32", {}), dict):
        wrong.append("crc32")
    if wrong:
        problem = f"has no {wrong[0]} as it must be, got {meta.get(wrong[0])!r}"
        raise ValueError(f"{path / META}: is damaged: {problem}; {advice(path)}")
    return meta


def read_part(path: Path, meta: Mapping[str, Any], name: str, parse: Callable[[bytes], Any]) -> Any:
    """What `parse` makes of one file of a checkpoint.

    Args:
        path: the checkpoint's folder.
        meta: its `meta.json`, with the CRC-32 of each file.
        name: of the file.
        parse: bytes to a value; whatever it raises is damage.

    Raises:
        ValueError: naming the file, if it is missing or damaged.
        OSError: if it cannot be read.
    """
    try:
        content = (path / name).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path / name}: is missing; {advice(path)}") from None
    crc = meta.get("crc32", {}).get(name)
    try:
        if crc not in (None, zlib.crc32(content)):
            raise ValueError("it is not what was written")
        return parse(content)
    except Exception as error:  # torch.load: anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path / name}: is damaged: {reason}; {advice(path)}") from None


def dump_state(optimizers: Mapping[str, Optimizer]) -> bytes:
    """Through memory: writing to a full disk, torch would hide the OSError."""
    buffer = io.BytesIO()
    state = {
        "optimizers": {name: one.state_dict() for name, one in optimizers.items()},
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def load_state(content: bytes) -> Any:
    """What the bytes of a `state.pt` hold, on the CPU; never a pickle that runs code."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def check_state(path: Path, state: Any, optimizers: Mapping[str, Optimizer]) -> None:
    """Return quietly if a `state.pt` holds what `dump_state` writes, of these optimisers.

    Raises:
        ValueError: naming what does not fit.
    """
    kinds = {"optimizers": dict, "rng": Tensor, "cuda_rng": list}
    if not isinstance(state, dict) or not all(
        isinstance(state.get(key), kind) for key, kind in kinds.items()
    ):
        raise ValueError(f"{path / STATE}: is damaged: it must hold {', '.join(kinds)}")
    try:
        torch.Generator().set_state(state["rng"])
    except (RuntimeError, TypeError):
        raise ValueError(f"{path / STATE}: is damaged: rng is no state of a generator") from None
    if not all(isinstance(one, Tensor) for one in state["cuda_rng"]):
        raise ValueError(f"{path / STATE}: is damaged: cuda_rng must hold tensors")
    if set(state["optimizers"]) != set(optimizers):
        held, wanted = sorted(map(str, state["optimizers"])), sorted(optimizers)
        raise ValueError(f"{path}: holds the optimizers {held}, not {wanted}")
    for name, optimizer in optimizers.items():
        try:
            check_optimizer_state(name, state["optimizers"][name], optimizer)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def advice(path: Path) -> str:
    """What to do about a checkpoint that cannot be used."""
    return f"delete the folder {path.name}, and --resume goes on from what was before it"
