"""The picture of the README: a held-out room, its true instances, and the predicted ones.

python benchmarks/readme_picture.py runs/twist_001 docs/room.png
"""

import sys
from pathlib import Path

import numpy as np

from pcl_data.rendering import render_points, write_png
from pcl_methods.data import open_split
from twist_cli.inspecting import run_config
from twist_cli.predicting import open_model

GREY = 190


def instance_colors(instances: np.ndarray) -> np.ndarray:
    """A color for each instance, grey where there is none."""
    palette = np.random.default_rng(3).integers(30, 230, (int(instances.max()) + 2, 3))
    palette[-1] = GREY
    return palette[instances].astype(np.uint8)


def main() -> None:
    run, target = Path(sys.argv[1]), Path(sys.argv[2])
    find = open_model(run, "cpu")[0]
    split = open_split(run_config(run).data)
    scene = split.load(split.validation[0])
    found = find(scene)
    panels = [
        render_points(
            scene.points, colors, width=480, height=400, cut_above=2.0, normals=scene.normals
        )
        for colors in (
            scene.colors,
            instance_colors(scene.instances),
            instance_colors(found.instances),
        )
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(np.concatenate(panels, axis=1), target)


if __name__ == "__main__":
    main()
