"""The edge of a command line: exit codes, JSON on stdout, devices. Imports no torch by itself."""

import errno
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from pcl_run.files import jsonable
from pcl_run.interrupts import Interrupted, handled
from pcl_run.peers import (
    casualty,
    end_peers,
    end_with_first,
    is_peer,
    lost_others,
    needed,
    start_peers,
)
from pcl_run.seeding import seed_everything
from pcl_run.threads import set_up_threads, share_threads

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

__all__ = [
    "PRECISIONS",
    "RunFailed",
    "boundary",
    "choose_device",
    "make_fabric",
    "print_json",
    "seed_everything",
]

PRECISIONS = ("32-true", "bf16-mixed")
_WRONG_PATH = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


class RunFailed(RuntimeError):  # noqa: N818 - reads as what happened
    """A run that cannot go on, for a reason its user can understand."""


@contextmanager
def boundary() -> Iterator[None]:
    """Turn expected failures of a command into one line on stderr and an exit code.

    | raised | exit |
    |---|---|
    | ValueError (ConfigError), and paths that are missing, there already, or not permitted | 2 |
    | OSError of a disk or file; RunFailed, a killed helper process, no memory | 1 |
    | Interrupted, KeyboardInterrupt, and SIGTERM at any moment | 130 |
    | anything else is a bug: its traceback shows | 1 |

    Of several processes that train together the first alone says why they end. Warnings of our
    libraries are lines on stderr too.

    Use it as `with boundary():` or as a decorator, `@boundary()`.
    """
    try:
        with handled(_terminate), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            set_up_threads()
            yield
            end_peers(patience=60.0)
    except BaseException as error:
        verdict = _verdict(error)
        if is_peer():
            _tell_first(*(verdict or (traceback.format_exc(), 1)))
        if verdict is None and isinstance(error, Exception):
            verdict = casualty()
            if verdict is None and lost_others(error):
                verdict = "error: another process of this run has ended; --resume goes on", 1
        with handled(signal.SIG_IGN):
            end_peers(patience=0.0)
        if verdict is None:
            raise
        print(verdict[0], file=sys.stderr)
        raise SystemExit(verdict[1]) from None


def _verdict(error: BaseException) -> tuple[str, int] | None:
    """The last line of a command and its exit code; None for a bug."""
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted", 130
    if isinstance(error, (ValueError, *_WRONG_PATH)):
        return f"error: {error}", 2
    if isinstance(error, (RunFailed, BrokenExecutor)):
        return f"error: {error}", 1
    if isinstance(error, MemoryError):
        return f"error: no memory left{f' ({error})' if str(error) else ''}", 1
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.EROFS, errno.ENAMETOOLONG):
        return f"error: {error}", 2
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return (f"error: {error}", 1) if error.filename else None
    where = f" for {error.filename}" if error.filename else ""
    return f"error: no space left on the disk{where}; free some and go on", 1


def _tell_first(words: str, code: int) -> None:
    """Leave; the first process says these words if they are the reason why all end."""
    print(words, flush=True)
    os._exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if category is UserWarning:
        print(f"warning: {message}", file=sys.stderr)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Interrupted("interrupted")


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    print(json.dumps(jsonable(value), indent=2, allow_nan=False))


def choose_device(name: str) -> "torch.device":
    """The device of a word; `auto` takes CUDA where there is a device.

    Raises:
        ValueError: if there is no such word or device.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, got {name}")
    if name == "cuda" and not has_cuda:
        raise ValueError("device must be cpu where there is no CUDA device, got cuda")
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def make_fabric(devices: int = 1, nodes: int = 1, precision: str = "32-true") -> "Fabric":
    """A launched Lightning Fabric: CUDA where there is a device, the CPU otherwise.

    Args:
        devices: processes of a node, one device each.
        nodes: machines; start the same command on each (torchrun, SLURM).
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: if there are not so many devices or no such precision.
    """
    if devices < 1 or nodes < 1:
        raise ValueError(f"devices and nodes must be at least 1, got {devices} and {nodes}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision}")
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    n_cuda = torch.cuda.device_count()
    if n_cuda and devices > n_cuda:
        raise ValueError(f"devices must be at most {n_cuda}, got {devices}")
    alone = devices * nodes == 1
    # One stage of a run may leave a head untrained, and others wait while the first one scores.
    together = DDPStrategy(find_unused_parameters=True, timeout=timedelta(hours=6))
    fabric = Fabric(
        accelerator="cuda" if n_cuda else "cpu",
        strategy="auto" if alone else together,
        devices=devices,
        num_nodes=nodes,
        precision=precision,  # pyrefly: ignore
    )
    if not alone:
        _gather(fabric, devices, nodes)
    with needed():
        fabric.launch()
    return fabric


def _gather(fabric: "Fabric", devices: int, nodes: int) -> None:
    """Start the processes of this node that nobody else has started."""
    share_threads(devices)
    environment: Any = fabric.strategy.cluster_environment  # pyrefly: ignore
    if is_peer():
        end_with_first()
    if environment.creates_processes_externally:
        return
    os.environ |= {
        "MASTER_ADDR": environment.main_address,
        "MASTER_PORT": str(environment.main_port),
        "NODE_RANK": str(environment.node_rank()),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(devices * nodes),
    }
    start_peers(devices)
