"""What is seen of a crop of a generated image: things, their colours, patterns and places."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from pcl_data.label_set import SCANNET20, SEMANTICKITTI19

CLASSES = (*SCANNET20.names, *SEMANTICKITTI19.names)  # a label in a shard is a place in this list
NOTHING = 255  # label, object or pattern of a pixel without one
SEEN = 0.01  # share of a crop from which a thing counts as seen

# As pcl_synth.materials names them; a pattern in a shard is a place in this list.
PATTERNS = ("plain", "wood", "planks", "tiles", "stripes", "checks", "blotches", "painting")
PATTERNS += ("bricks", "grain")  # at most 15

COLORS = {
    "black": ("101010", "282828"),
    "gray": ("505050", "787878", "a0a0a0"),
    "white": ("d8d8d8", "f8f8f8"),
    "red": ("c01818", "801818", "d84848"),
    "orange": ("e88018", "c86420"),
    "yellow": ("e8d828", "b8a830", "e8e090"),
    "green": ("289028", "185818", "80c070", "687838", "688068"),
    "turquoise": ("18a0a0", "186868", "80d0d0"),
    "blue": ("2040c0", "182868", "80a0d8", "4878a8", "607088", "a8b8d0"),
    "purple": ("8028b0", "481868", "a880d0", "705870"),
    "pink": ("e870a8", "f0b0c8", "b04888", "c8a0a8"),
    "brown": ("805028", "502c18", "986848"),
    "beige": ("c8b090", "e8d8b8"),
}


class Mention(NamedTuple):
    """A visible object, or all of a surface that is no object.

    Args:
        label: its place in `CLASSES`.
        share: of the pixels of the crop.
        color: a word.
        pattern: of most of its pixels, one of `PATTERNS`.
        center: mean column and row, as fractions of the crop.
    """

    label: int
    share: float
    color: str
    pattern: str
    center: tuple[float, float]


def mentions(image: UInt8[np.ndarray, "h w 3"], maps: UInt8[np.ndarray, "h w 3"]) -> list[Mention]:
    """What is seen of a crop, the largest first.

    Args:
        image: its colours.
        maps: label, object and pattern of each pixel, `NOTHING` where there is none.
    """
    label, thing, pattern = maps.reshape(-1, 3).T.astype(np.int64)
    count = np.bincount(thing, minlength=256)
    rows = np.flatnonzero(count[:NOTHING] >= SEEN * thing.size)
    y, x = np.indices(image.shape[:2]).reshape(2, -1) + 0.5
    columns = (*image.reshape(-1, 3).T, x / image.shape[1], y / image.shape[0])
    sums = [np.bincount(thing, column, minlength=256)[rows] for column in columns]
    means = np.stack(sums, axis=1) / count[rows, None]
    label_of = np.zeros(256, np.int64)
    label_of[thing] = label
    patterns = np.bincount(16 * thing + np.minimum(pattern, 15), minlength=16 * 256)
    patterns = patterns.reshape(256, 16)[rows, : len(PATTERNS)]
    mixed = 2 * patterns.max(axis=1, initial=0) <= count[rows]
    found = [
        Mention(
            int(label_of[row]),
            int(count[row]) / thing.size,
            color,
            "plain" if is_mixed else PATTERNS[most],
            (float(center[0]), float(center[1])),
        )
        for row, color, is_mixed, most, center in zip(
            rows,
            color_words(means[:, :3]),
            mixed,
            patterns.argmax(axis=1),
            means[:, 3:],
            strict=True,
        )
    ]
    return sorted(found, key=lambda one: -one.share)


def color_words(rgb: Float[np.ndarray, "k 3"]) -> list[str]:
    """Of each colour the word whose examples are nearest in CIELAB; `rgb` is sRGB in [0, 255].

    Example:
        >>> color_words(np.array([[200.0, 30.0, 30.0]]))
        ['red']
    """
    distance = np.linalg.norm(_lab(rgb)[:, None] - _EXAMPLES, axis=2)
    return [_EXAMPLE_WORDS[k] for k in distance.argmin(axis=1)]


def _lab(rgb: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """CIELAB (D65) of sRGB in [0, 255]."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


_EXAMPLE_WORDS = [word for word, codes in COLORS.items() for _ in codes]
_EXAMPLES = _lab(
    np.array([[*bytes.fromhex(code)] for codes in COLORS.values() for code in codes], float)
)
