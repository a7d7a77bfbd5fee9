"""`pretrain-cli pairs`: camera frames to pairs of clouds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcl_run.config import load_config
from pcl_run.counting import counting
from pretrain_cli.config import DataConfig
from pretrain_cli.frame_pairs import write_frame_pairs
from pretrain_cli.worlds import open_world


def write_pairs(
    overrides: Sequence[str],
    out: Path,
    *,
    voxel_size: float,
    min_overlap: float,
    n_workers: int,
) -> dict[str, Any]:
    """Write the frames of every scene and say how many pairs there are.

    Raises:
        ValueError: if a setting or a scene is not as it must be.
    """
    config = load_config(DataConfig, presets={}, overrides=overrides)
    world = open_world(config)
    with counting("scenes", len(world.places)) as done:
        counts = write_frame_pairs(
            config,
            world,
            out,
            voxel_size=voxel_size,
            min_overlap=min_overlap,
            n_workers=n_workers,
            report=done,
        )
    return {"out": str(out), "scenes": len(counts), "pairs": sum(counts.values())}
