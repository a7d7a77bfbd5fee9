"""Colour maps: what is known about the points of a scene, as colours to look at."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer, UInt8

from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene

NOTHING = (205, 205, 205)  # points without a label, an instance, a set
# Dark blue, green, yellow: rising lightness, for a quantity.
_RAMP = np.array([(48, 18, 97), (38, 104, 142), (53, 183, 121), (253, 231, 37)], np.float64)


class Layer(NamedTuple):
    """Colours of the points, and what they stand for.

    Attributes:
        colors: RGB.
        legend: names and colours, to stand beside the points.
        values: the quantity or the id that the colour of each point shows; None if the colour is
            all there is.
        names: of ids; one without a name goes by its number.
    """

    colors: UInt8[np.ndarray, "n 3"]
    legend: Sequence[tuple[str, tuple[int, int, int]]] = ()
    values: Float[np.ndarray, " n"] | Integer[np.ndarray, " n"] | None = None
    names: Mapping[int, str] | None = None


def scene_layers(scene: Scene) -> dict[str, Layer]:
    """Layers of a scene by name, as far as it has them.

    `colour`, `labels` (in the colours of the label set, else of their own), `instances`,
    `superpoints`, `intensity` and, always, `height`. What is not known or not finite is grey.

    Raises:
        ValueError: if a label is none of the label set.

    Example:
        >>> import numpy as np
        >>> list(
        ...     scene_layers(Scene("a", np.zeros((1, 3), np.float32), labels=np.array([4])))
        ... )
        ['labels', 'height']
    """
    layers = {}
    if scene.colors is not None:
        layers["colour"] = Layer(np.asarray(scene.colors))
    if scene.labels is not None:
        layers["labels"] = _label_layer(scene.labels, scene.label_set)
    if scene.instances is not None:
        layers["instances"] = _id_layer(scene.instances)
    if scene.superpoints is not None:
        layers["superpoints"] = _id_layer(scene.superpoints)
    if scene.intensity is not None:
        layers["intensity"] = _quantity_layer(scene.intensity, "")
    layers["height"] = _quantity_layer(scene.points[:, 2], " m")
    return layers


def id_colors(ids: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n 3"]:
    """A colour for each id, the same for the same id, grey for -1.

    Example:
        >>> import numpy as np
        >>> id_colors(np.array([-1, 7, 7]))[:2].tolist()
        [[205, 205, 205], [87, 242, 80]]
    """
    hue = np.mod(np.asarray(ids) * 0.618033988749895, 1)  # golden ratio: neighbours differ
    wheel = np.abs(np.mod(hue[:, None] * 6 + np.array([0, 4, 2]), 6) - 3) - 1
    colors = np.rint(80 + 162 * np.clip(wheel, 0, 1)).astype(np.uint8)
    colors[np.asarray(ids) < 0] = NOTHING
    return colors


def quantity_colors(
    values: Float[np.ndarray, " n"], low: float | int, high: float | int
) -> UInt8[np.ndarray, "n 3"]:
    """A colour for each value, from dark blue at `low` to yellow at `high`; grey where unknown.

    Example:
        >>> import numpy as np
        >>> quantity_colors(np.array([0.0, 2.0, np.nan]), 0, 1).tolist()
        [[48, 18, 97], [253, 231, 37], [205, 205, 205]]
    """
    is_known = np.isfinite(values)
    shifted = np.where(is_known, values, low) - low
    position = np.clip(shifted / max(high - low, 1e-9), 0, 1) * (len(_RAMP) - 1)
    channels = [np.interp(position, np.arange(len(_RAMP)), channel) for channel in _RAMP.T]
    colors = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    colors[~is_known] = NOTHING
    return colors


def _id_layer(ids: Int[np.ndarray, " n"]) -> Layer:
    return Layer(id_colors(ids), [("none", NOTHING)], ids, {-1: "none"})


def _label_layer(labels: Int[np.ndarray, " n"], label_set: LabelSet | None) -> Layer:
    present = np.unique(labels)
    present = present[present >= 0]
    if label_set is None:
        colors = id_colors(labels)
        names = {label: str(label) for label in present.tolist()}
        shown = id_colors(present)
    else:
        if present.size and present[-1] >= label_set.n_classes:
            rule = f"lie below {label_set.n_classes} of {label_set.name}"
            raise ValueError(f"labels must {rule}, got {present[-1]}")
        labels = np.maximum(labels, -1)
        palette = np.array([*label_set.colors, NOTHING], np.uint8)  # -1 picks the last
        colors, shown = palette[labels], palette[present]
        names = {label: label_set.names[label] for label in present.tolist()}
    legend = [(name, _rgb(color)) for name, color in zip(names.values(), shown, strict=True)]
    if (labels < 0).any():
        legend.append(("unlabeled", NOTHING))
    return Layer(colors, legend, labels, names | {-1: "unlabeled"})


def _quantity_layer(values: Float[np.ndarray, " n"], unit: str) -> Layer:
    """A ramp from the 1st to the 99th percentile, so that a stray value does not take it all."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 0.0)
    steps = np.linspace(low, high, len(_RAMP))
    legend = [(f"{step:.3g}{unit}", _rgb(color)) for step, color in zip(steps, _RAMP, strict=True)]
    return Layer(quantity_colors(values, float(low), float(high)), legend, values)


def _rgb(color: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = color.tolist()
    return int(red), int(green), int(blue)
