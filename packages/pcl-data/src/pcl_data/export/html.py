"""A cloud as one HTML file that any browser shows: nothing to install, no server, no network."""

import base64
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pcl_data.atomic_files import whole_file

Legend = Sequence[tuple[str, tuple[int, int, int]]]
_TEMPLATE = Path(__file__).with_name("viewer.html")


def write_html(
    path: str | os.PathLike[str],
    points: Float[np.ndarray, "n 3"],
    layers: Mapping[str, UInt8[np.ndarray, "_ 3"]],
    *,
    title: str = "",
    legends: Mapping[str, Legend] | None = None,
    max_points: int = 500_000,
) -> None:
    """Write a page with the points, to turn and zoom, in the colours of one layer at a time.

    Positions are rounded to 1/65535 of the bounding box. Of more points than `max_points` a random
    part is shown, the same every time, and the page says so. The file is written whole or not at
    all.

    Args:
        path: the file; its folder must exist.
        points: metres, z up; at least one.
        layers: RGB of the points, by name; at least one. The first is shown at first.
        title: heading, usually the name of the scan.
        legends: names and colours beside a layer.
        max_points: most points in the file; each takes 8 bytes and 4 more for every layer.

    Raises:
        ValueError: if there is no point or no layer, a coordinate is not finite, a layer has
            another length than `points`, a legend belongs to no layer, or `max_points` is below 1.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "room.html"
        >>> write_html(path, np.zeros((2, 3)), {"colour": np.zeros((2, 3), np.uint8)})
        >>> "<canvas>" in path.read_text()
        True
    """
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    legends = legends or {}
    _check(points, layers, legends)
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
        "positions": _text(np.rint((points - low) / extent * 65535).astype("<u2")),
        "layers": [
            {
                "name": name,
                "colors": _text(colors[shown]),
                "legend": [(text, f"rgb{color}") for text, color in legends.get(name, ())],
            }
            for name, colors in layers.items()
        ],
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


def _check(
    points: np.ndarray, layers: Mapping[str, np.ndarray], legends: Mapping[str, Legend]
) -> None:
    if len(points) == 0 or not layers:
        raise ValueError(
            f"points and layers must hold at least one each, got {len(points)} and {len(layers)}"
        )
    if not np.isfinite(points).all():
        raise ValueError("points must be finite, got NaN or infinite ones")
    for name, colors in layers.items():
        if len(colors) != len(points):
            raise ValueError(
                f"layers must have a colour for each of the {len(points)} points, "
                f"got {len(colors)} in {name!r}"
            )
    unknown = sorted(legends.keys() - layers.keys())
    if unknown:
        raise ValueError(f"legends must belong to layers {sorted(layers)}, got {unknown[0]!r}")


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
