"""What a phrase means in a scene: how well it fits each point."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pcl_clip3d import query_points
from pcl_data import Scene
from pcl_data.colormaps import quantity_colors, scene_layers
from pcl_data.export import write_html, write_ply
from pcl_data.rendering import render_points, write_png


def relevance(
    features: Float[Tensor, "n d"],
    phrase: str,
    others: Sequence[str],
    encode_text: Callable[[Sequence[str]], Tensor],
) -> np.ndarray:
    """How well each point fits a phrase rather than others, (n,) float32 in [0, 1].

    Args:
        features: of points, in the space of the text; 0 where nothing is known.
        phrase: such as "a red chair".
        others: what it is not; at least one.
        encode_text: texts to embeddings.

    Raises:
        ValueError: if there is no other phrase, or the encoder does not know a word.
    """
    if not others:
        raise ValueError("--not must name at least one other phrase, got none")
    embedded = encode_text([phrase, *others]).to(features)
    return query_points(features, embedded[0], embedded[1:]).cpu().numpy()


def write_query(out: Path, scene: Scene, phrase: str, found: np.ndarray) -> list[Path]:
    """Write `NAME.ply` with the relevance of each point, a picture, and a page to turn.

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
    write_png(render_points(scene.points, colors), files[1])
    layers = {phrase: colors}
    layers |= {name: layer.colors for name, layer in scene_layers(scene).items()}
    write_html(files[2], scene.points, layers, title=f"{phrase} in {scene.name}")
    return files


def query_files(out: Path, name: str) -> list[Path]:
    """The files that `write_query` writes."""
    plain = name.replace("/", "_")
    return [out / f"{plain}.{kind}" for kind in ("ply", "png", "html")]
