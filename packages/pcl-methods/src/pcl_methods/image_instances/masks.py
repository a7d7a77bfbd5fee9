"""Masks of objects and their encodings: polygons and runs, as COCO and LVIS have them."""

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool

from pcl_methods.image_instances.lvis_format import Segmentation


def encode_mask(mask: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """The runs of a mask, as JSON takes them: `size` (height, width) and `counts`, a text.

    Raises:
        ImportError: if faster-coco-eval is missing.
    """
    runs = _coder().encode(np.asfortranarray(mask, np.uint8))
    counts = runs["counts"]
    counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in runs["size"]], "counts": counts}


def decode_mask(
    segmentation: Segmentation, height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    """The pixels of a segmentation; where polygons are several, of all of them.

    Args:
        segmentation: polygons or runs.
        height: of the image, pixels.
        width: of the image, pixels.

    Raises:
        ImportError: if faster-coco-eval is missing.
        ValueError: if runs are of another size.
    """
    coder = _coder()
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(
                f"segmentation must have size {[height, width]}, got {segmentation['size']}"
            )
        runs = segmentation
        if not isinstance(segmentation["counts"], str | bytes):
            runs = coder.frPyObjects(segmentation, height, width)
    else:
        runs = coder.merge(coder.frPyObjects(segmentation, height, width))
    return coder.decode(runs).astype(bool)


def mask_box(mask: Bool[np.ndarray, "h w"]) -> tuple[float, ...]:
    """The box around a mask: x, y, width and height in pixels; zeros around no pixel.

    Example:
        >>> import numpy as np
        >>> mask_box(np.array([[False, False, False], [False, True, True]]))
        (1.0, 1.0, 2.0, 1.0)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return (0.0, 0.0, 0.0, 0.0)
    corner = (columns[0], rows[0])
    size = (np.ptp(columns) + 1, np.ptp(rows) + 1)
    return tuple(float(value) for value in (*corner, *size))


def _coder() -> ModuleType:
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        message = "faster-coco-eval must be installed (pip install pcl-methods[images]), got: "
        raise ImportError(message + str(error)) from error
    return mask
