"""How many cores a process may use, and how its threads wait. Imports no torch by itself.

The threads of OpenMP wait for work by spinning. Beside other processes on the same cores they take
time from those that have work, so that two trainings fall to a tenth of their speed
(`benchmarks/busy_machine.py`).
"""

import math
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

THREADS, POLICY, SPINS = "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
CGROUP = Path("/sys/fs/cgroup")
DEFAULT_SPINS = "1000"  # measured: benchmarks/results/busy_machine.md

_given: dict[str, str] = {}  # what this process has set itself


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and at most the quota of its container."""
    quota = cpu_quota()
    return allowed_cores() if quota is None else max(1, min(allowed_cores(), math.ceil(quota)))


def allowed_cores() -> int:
    """Cores of the machine that the affinity of this process allows."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota() -> float | None:
    """Cores that the control groups of this process grant it over time; None without a limit."""
    quotas = [quota for folder in _groups() if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def set_up_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Before torch is imported: as many threads as cores may be used, which do not spin for long.

    What the user has set stays as it is. Commands that are started inherit it.
    """
    if "torch" in sys.modules:  # its threads have read the variables
        return
    if POLICY not in environment and SPINS not in environment:
        _give(environment, SPINS, DEFAULT_SPINS)
    if usable_cores() < allowed_cores() and THREADS not in environment:
        _give(environment, THREADS, str(usable_cores()))


def share_threads(n_processes: int) -> None:
    """Give each of so many processes of a machine its share of the cores, unless the user did."""
    import torch

    if os.environ.get(THREADS) == _given.get(THREADS):  # neither, or ours
        n_threads = max(1, usable_cores() // n_processes)
        _give(os.environ, THREADS, str(n_threads))
        torch.set_num_threads(n_threads)


def waiting_policy() -> str:
    """How threads wait, and who says so.

    Example:
        >>> "(" in waiting_policy()
        True
    """
    for name in (POLICY, SPINS):
        if value := os.environ.get(name):
            return f"{name}={value} ({'default' if _given.get(name) == value else 'yours'})"
    return "of the OpenMP library (nothing is set)"


def bad_settings(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """What the OpenMP variables say that slows down this process or its neighbours."""
    found, cores = [], usable_cores()
    threads = environment.get(THREADS, "").split(",")[0].strip()
    if threads and (not threads.isdigit() or int(threads) < 1):
        found.append(f"{THREADS} must be a number of threads, got {threads}")
    elif threads and int(threads) > cores:
        found.append(f"{THREADS} is {threads}, more than the {cores} cores that may be used")
    elif threads and int(threads) < cores and threads != _given.get(THREADS):
        found.append(f"{THREADS} is {threads}: torch uses as many of {cores} cores")
    spins = environment.get(SPINS, "").strip().lower()
    if environment.get(POLICY, "").strip().lower() == "active" or spins.startswith("infin"):
        found.append("OpenMP threads never stop spinning: processes beside this one starve")
    return found


def _give(environment: MutableMapping[str, str], name: str, value: str) -> None:
    environment[name] = _given[name] = value


def _groups() -> list[Path]:
    """Folders of the control groups that may hold a limit: those of this process and above."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:  # hierarchy:controllers:path
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUP if not controllers else CGROUP / "cpu"
        own = root / path.lstrip("/")
        folders += [one for one in (own, *own.parents) if one.is_relative_to(root)]
    return folders


def _quota_of(group: Path) -> float | None:
    """Cores that one control group grants, of version 2 or 1; None without a limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
