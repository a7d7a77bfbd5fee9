"""What a machine has, and what would be slow on it."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import time

import torch
import typer

from pcl_backbones.engine import engine_of
from pcl_run.cli import choose_device, print_json
from pcl_run.threads import allowed_cores, bad_settings, cpu_quota, usable_cores, waiting_policy

LIBRARIES = (
    "pcl-data",
    "pcl-backbones",
    "pcl-pseudolabel",
    "pcl-run",
    "pcl-synth",
    "pcl-methods",
    "twist-cli",
    "torch",
)
OPTIONAL = {
    "embreex": "SyntheticRooms (pip install embreex trimesh)",
    "laspy": "LAS and LAZ scans (pip install pcl-data[las])",
}
SIDE = 1536  # of the dense product that is timed


def examine() -> dict:
    """Versions, device, optional parts, the speed of a dense product, and warnings."""
    has_cuda = torch.cuda.is_available()
    missing = {name: use for name, use in OPTIONAL.items() if not importlib.util.find_spec(name)}
    findings = {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "engine": engine_of(choose_device("auto")),
        "device": torch.cuda.get_device_name() if has_cuda else "cpu",
        "cores": {
            "machine": os.cpu_count(),
            "affinity": allowed_cores(),
            "quota": cpu_quota(),
            "usable": usable_cores(),
        },
        "threads": torch.get_num_threads(),
        "waiting": waiting_policy(),
        "dense_gflops": round(_dense_gflops(), 1),
        "free_disk_gb": round(shutil.disk_usage(".").free / 1e9, 1),
        "missing": missing,
    }
    return findings | {"warnings": _warnings(findings, has_cuda)}


def _dense_gflops() -> float:
    """Float32 product of two square matrices, best of three."""
    a = torch.randn(SIDE, SIDE)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(seconds) / 1e9


def _warnings(findings: dict, has_cuda: bool) -> list[str]:
    warnings = [f"{name} is not installed: no {use}" for name, use in findings["missing"].items()]
    if not has_cuda:
        warnings.append("no CUDA device: preset `paper` would take weeks; use preset `quick`")
    warnings += bad_settings()
    if findings["free_disk_gb"] < 2:
        warnings.append("less than 2 GB of disk: a run's checkpoints may not fit")
    return warnings


def print_findings(findings: dict, *, as_json: bool) -> None:
    """One line a fact, or JSON."""
    if as_json:
        return print_json(findings)
    versions = " ".join(f"{name}={version}" for name, version in findings["versions"].items())
    typer.echo(f"python     {findings['python']}\nversions   {versions}")
    typer.echo(f"engine     {findings['engine']}\ndevice     {findings['device']}")
    typer.echo(f"cores      {_cores(findings['cores'])}")
    typer.echo(f"threads    {findings['threads']} in torch; waiting: {findings['waiting']}")
    typer.echo(f"speed      {findings['dense_gflops']} GFLOP/s (dense float32 product)")
    typer.echo(f"disk       {findings['free_disk_gb']} GB free")
    for warning in findings["warnings"]:
        typer.echo(f"slow or missing: {warning}")
    return None


def _cores(found: dict) -> str:
    """Cores that may be used, of how many, and what says so.

    Example:
        >>> _cores({"machine": 64, "affinity": 64, "quota": 1.5, "usable": 2})
        '2 of 64 (quota 1.5)'
    """
    reasons = [f"quota {found['quota']:g}"] if found["quota"] is not None else []
    if found["affinity"] != found["machine"]:
        reasons.insert(0, f"affinity {found['affinity']}")
    return f"{found['usable']} of {found['machine']}" + (
        f" ({', '.join(reasons)})" if reasons else ""
    )
