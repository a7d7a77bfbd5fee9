"""What a process ran on: its versions, command and machine."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

FORMAT = "pcl_run run 1"
_OF_THE_BITS = ("processes", "threads", "device", "cpu")


def environment() -> dict[str, Any]:
    """Versions, command, machine, processes and git state, as in `env.json`."""
    import torch

    return {
        "format": FORMAT,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "argv": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": _n_processes(),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
        "versions": _versions(),
        "git": _git_state(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What decides the last bits of a result and is another in two environments, in words.

    Example:
        >>> changes({"threads": 1}, {"threads": 2, "processes": 1})
        ['threads 2 instead of 1']
    """
    old, new = _flat(before), _flat(now)
    return [
        f"{key} {new[key]} instead of {old[key]}"
        for key in old
        if key in new and old[key] != new[key]
    ]


def _flat(env: Mapping[str, Any]) -> dict[str, Any]:
    versions = env.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    known = {key: env[key] for key in _OF_THE_BITS if key in env}
    return known | {key: versions[key] for key in ("torch", "numpy") if key in versions}


def _n_processes() -> int:
    import torch.distributed as distributed

    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def _versions() -> dict[str, str]:
    """Of torch, numpy, our libraries (`pcl-*`) and every app built on this package."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        is_app = any(one.startswith("pcl-run") for one in distribution.requires or ())
        if name in ("torch", "numpy", "lightning-fabric") or name.startswith("pcl-") or is_app:
            found[name] = distribution.version
    return dict(sorted(found.items()))


def _git_state() -> dict[str, Any] | None:
    """Commit of the working folder and whether it has changes; None outside a repository."""
    outputs = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"]):
        try:
            done = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        outputs.append(done.stdout.strip())
    return {"commit": outputs[0], "changed": bool(outputs[1])}
