"""A cloud as one HTML file that any browser shows: nothing to install, no server, no network."""

import base64
import html
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pcl_data.argument_shapes import checked
from pcl_data.atomic_files import whole_file
from pcl_data.colormaps import Layer

_TEMPLATE = Path(__file__).with_name("viewer.html")


@checked
def write_html(
    path: str | os.PathLike[str],
    points: Float[np.ndarray, "n 3"],
    layers: Mapping[str, Layer],
    *,
    title: str = "",
    origin: Float[np.ndarray, "3"] | None = None,
    max_points: int = 500_000,
) -> None:
    """Write a page with the points, to turn and zoom, in the colours of one layer at a time.

    A click on a point tells its coordinates and its value in every layer: a name, a number, or
    RGB where a layer has colours alone. Positions are rounded to 1/65535 of the bounding box,
    quantities to float32. Of more points than `max_points` a random part is shown, the same every
    time, and the page says so. The file is written whole or not at all.

    Args:
        path: the file; its folder must exist.
        points: metres, z up; at least one.
        layers: what is known of the points, by name; at least one. The first is shown at first.
        title: heading, usually the name of the scan.
        origin: of a `Scene`, metres: what is added to the coordinates that a click tells.
        max_points: most points in the file; each takes 8 bytes, and for every layer 4 for its
            colour and 1.3 to 5.3 for its value.

    Raises:
        ValueError: if there is no point or no layer, a coordinate is not finite, a layer does not
            fit the points, or `max_points` is below 1.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "room.html"
        >>> write_html(
        ...     path, np.zeros((2, 3)), {"colour": Layer(np.zeros((2, 3), np.uint8))}
        ... )
        >>> "<canvas>" in path.read_text()
        True
    """
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    origin = np.zeros(3) if origin is None else origin
    _check(points, layers, origin)
    n_points = len(points)
    shown = np.arange(n_points)
    subtitle = f"{n_points:,} points"
    if n_points > max_points:
        generator = np.random.default_rng(0)
        shown = np.sort(generator.choice(n_points, max_points, replace=False))
        subtitle = f"{max_points:,} of {n_points:,} points"
    points = points[shown].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.where(high > low, high - low, 1)
    data = {
        "low": low.tolist(),
        "high": high.tolist(),
        "origin": origin.tolist(),
        "positions": _text(np.rint((points - low) / extent * 65535).astype("<u2")),
        "layers": [_layer(name, layer, shown) for name, layer in layers.items()],
    }
    parts = {
        "title": html.escape(title),
        "subtitle": subtitle,
        "data": json.dumps(data).replace("<", r"\u003c"),  # a name cannot end the script
    }
    template = _TEMPLATE.read_text(encoding="utf-8")
    page = re.sub(r"\$(\w+)", lambda mark: parts[mark[1]], template)
    with whole_file(path) as file:
        file.write(page.encode())


def _check(points: np.ndarray, layers: Mapping[str, Layer], origin: np.ndarray) -> None:
    if len(points) == 0 or not layers:
        raise ValueError(
            f"points and layers must hold at least one each, got {len(points)} and {len(layers)}"
        )
    if not (np.isfinite(points).all() and np.isfinite(origin).all()):
        raise ValueError("points and origin must be finite, got NaN or infinite ones")
    for name, layer in layers.items():
        colors, values = layer.colors, layer.values
        if colors.shape != points.shape or colors.dtype != np.uint8:
            rule = f"have uint8 colours of shape {points.shape}"
            raise ValueError(f"layers must {rule}, got {colors.dtype} {colors.shape} in {name!r}")
        if values is not None and values.shape != points.shape[:1]:
            rule = f"have values of shape {points.shape[:1]}"
            raise ValueError(f"layers must {rule}, got {values.shape} in {name!r}")


def _layer(name: str, layer: Layer, shown: np.ndarray) -> dict[str, Any]:
    """What the page knows of a layer; `kind` is the typed array of JavaScript that holds values."""
    data: dict[str, Any] = {
        "name": name,
        "colors": _text(layer.colors[shown]),
        "legend": [(text, f"rgb{color}") for text, color in layer.legend],
    }
    if layer.values is None:
        return data
    if np.issubdtype(layer.values.dtype, np.floating):
        values = layer.values[shown].astype("<f4")
    else:
        ids, ranks = np.unique(layer.values[shown], return_inverse=True)
        names = layer.names or {}
        data["names"] = [names.get(number, str(number)) for number in ids.tolist()]
        values = ranks.astype(np.min_scalar_type(len(ids) - 1).newbyteorder("<"))
    return data | {"kind": f"{values.dtype.name.title()}Array", "values": _text(values)}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
