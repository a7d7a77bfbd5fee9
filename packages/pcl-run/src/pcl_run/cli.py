"""The edge of a command line: exit codes, JSON on stdout, devices. Imports no torch by itself."""

import errno
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from pcl_run.files import jsonable
from pcl_run.interrupts import Interrupted, handled
from pcl_run.seeding import seed_everything

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
    | OSError of a full disk, or one that names its file, RunFailed | 1 |
    | Interrupted, KeyboardInterrupt, and SIGTERM at any moment | 130 |
    | anything else is a bug: its traceback shows | 1 |

    Warnings of our libraries are lines on stderr too.

    Use it as `with boundary():` or as a decorator, `@boundary()`.
    """
    try:
        with handled(_terminate), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except KeyboardInterrupt as error:
        _leave(str(error) or "interrupted", 130)
    except (ValueError, *_WRONG_PATH) as error:
        _leave(f"error: {error}", 2)
    except RunFailed as error:
        _leave(f"error: {error}", 1)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.ENAMETOOLONG):
            _leave(f"error: {error}", 2)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            if error.filename is None:
                raise
            _leave(f"error: {error}", 1)
        where = f" for {error.filename}" if error.filename else ""
        _leave(f"error: no space left on the disk{where}; free some and go on", 1)


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


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(code) from None


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

    n_cuda = torch.cuda.device_count()
    if n_cuda and devices > n_cuda:
        raise ValueError(f"devices must be at most {n_cuda}, got {devices}")
    alone = devices * nodes == 1
    fabric = Fabric(
        accelerator="cuda" if n_cuda else "cpu",
        # One stage of a run may leave a head untrained.
        strategy="auto" if alone else "ddp_find_unused_parameters_true",
        devices=devices,
        num_nodes=nodes,
        precision=precision,  # pyrefly: ignore
    )
    fabric.launch()
    return fabric
