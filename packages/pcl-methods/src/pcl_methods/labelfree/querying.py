"""How well each point of a scene fits a phrase, as files to look at."""

from pathlib import Path

import numpy as np

from pcl_data import Scene
from pcl_data.colormaps import Layer, quantity_colors, scene_layers
from pcl_data.export import write_html, write_ply
from pcl_data.rendering import render_points, write_png


def write_query(out: Path, scene: Scene, phrase: str, found: np.ndarray) -> list[Path]:
    """Write `NAME.ply` with the relevance of each point, a picture, and a page to turn and click.

    Args:
        out: folder; it exists.
        scene: the points.
        phrase: what was asked.
        found: (n,) relevance in [0, 1].

    Returns:
        the files.
    """
    files = query_files(out, scene.name)
    colors = quantity_colors(found, low=0.0, high=1.0)
    write_ply(files[0], scene.points, colors=colors, confidence=found, origin=scene.origin)
    write_png(render_points(scene.points, colors, normals=scene.normals), files[1])
    layers = {f"relevance of {phrase}": Layer(colors, values=found)} | scene_layers(scene)
    title = f"{phrase} in {scene.name}"
    write_html(files[2], scene.points, layers, title=title, origin=scene.origin)
    return files


def query_files(out: Path, name: str) -> list[Path]:
    """The files that `write_query` writes."""
    plain = name.replace("/", "_")
    return [out / f"{plain}.{kind}" for kind in ("ply", "png", "html")]
