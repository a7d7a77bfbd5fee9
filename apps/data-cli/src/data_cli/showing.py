"""`data-cli show`: a picture or a page of one scene."""

from collections.abc import Sequence
from pathlib import Path

from pcl_data.colormaps import scene_layers
from pcl_data.export import write_html
from pcl_data.opening import chosen, open_dataset, read_words
from pcl_data.rendering import render_points, write_png
from pcl_run.files import must_be_new


def show_scene(
    root: Path,
    kind: str,
    split: str | None,
    options: Sequence[str],
    name: str | None,
    out: Path | None,
    layer: str | None,
    *,
    cut_above: float | None,
    overwrite: bool,
) -> Path:
    """Write the scene to `out` and return where it is.

    Raises:
        ValueError: if there is no such scene or layer, or the file is no .png or .html, or there
            already and not to be overwritten.
    """
    if out is not None:
        must_be_new(out, overwrite)
    dataset = open_dataset(root, kind, split, read_words(options))
    scene = dataset[0] if name is None else dataset.load(name)
    layers = scene_layers(scene)
    first = chosen("layer", layer, layers) if layer is not None else next(iter(layers))
    out = out or Path(f"{scene.name.replace('/', '_')}.html")
    must_be_new(out, overwrite)
    if out.suffix == ".png":
        image = render_points(
            scene.points, layers[first].colors, width=1200, height=900, cut_above=cut_above
        )
        write_png(image, out)
    elif out.suffix == ".html":
        if cut_above is not None:
            raise ValueError(f"cut-above must be given with a .png, a page has a slider, got {out}")
        layers = {first: layers[first]} | layers
        write_html(out, scene.points, layers, title=scene.name, origin=scene.origin)
    else:
        raise ValueError(f"out must end in .png or .html, got {out}")
    return out
