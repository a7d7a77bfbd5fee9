"""Captions of crops of generated images: what is there, of which colour and material, and where.

A caption comes from what the renderer knows of the pixels of a crop, and no pixel's label leaves
this module but in words.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from pcl_clip3d.class_prompts import PROMPT_TEMPLATES
from pcl_data.label_set import SCANNET20, SEMANTICKITTI19

CLASSES = (*SCANNET20.names, *SEMANTICKITTI19.names)  # a label in a shard is a place in this list
NOTHING = 255  # label, object or pattern of a pixel without one
CONTEXT_LENGTH = 28  # tokens of a text with its start and its end
ADORNED = 0.2  # share of the names that have a colour, and of those that have a material
SEEN, NAMED = 0.01, 0.05  # share of a crop from which a thing counts as seen, and is spoken of

_SYNONYMS = {
    "wall": ("wall",),
    "floor": ("floor", "floor", "ground"),
    "cabinet": ("cabinet", "cabinet", "cupboard"),
    "chair": ("chair", "chair", "seat"),
    "sofa": ("sofa", "couch"),
    "bookshelf": ("bookshelf", "bookshelf", "bookcase", "shelf"),
    "picture": ("picture", "picture", "poster", "painting"),
    "counter": ("counter", "counter", "countertop", "worktop"),
    "curtain": ("curtain", "curtain", "curtains"),
    "refrigerator": ("refrigerator", "fridge"),
    "sink": ("sink", "sink", "basin"),
    "bathtub": ("bathtub", "bathtub", "tub", "bath tub"),
    "otherfurniture": ("otherfurniture", "other furniture"),
    "bicycle": ("bicycle", "bike"),
    "motorcycle": ("motorcycle", "motorbike"),
    "person": ("person", "pedestrian"),
    "bicyclist": ("bicyclist", "cyclist"),
    "road": ("road", "road", "street"),
    "parking": ("parking", "parking lot", "parking space"),
    "sidewalk": ("sidewalk", "sidewalk", "pavement"),
    "building": ("building", "building", "house"),
    "vegetation": ("vegetation", "vegetation", "tree", "bush"),
    "trunk": ("trunk", "tree trunk"),
    "terrain": ("terrain", "terrain", "grass"),
    "traffic-sign": ("traffic sign", "traffic sign", "sign"),
}
NAMES = tuple(_SYNONYMS.get(name, (name.replace("-", " "),)) for name in CLASSES)

# As pcl_synth.materials names them; a pattern in a shard is a place in this list.
PATTERNS = ("plain", "wood", "planks", "tiles", "stripes", "checks", "blotches", "painting")
PATTERNS += ("bricks", "grain")  # at most 15
_MATERIALS = {
    "wood": ("wooden", "wood"),
    "planks": ("wooden", "plank"),
    "tiles": ("tiled",),
    "stripes": ("striped",),
    "checks": ("checked", "checkered"),
    "blotches": ("spotted", "patterned"),
    "bricks": ("brick",),
}
_COLORS = {
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
_ARTICLES = ("a", "an", "the")
_RELATIONS = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "near": ("next to", "near", "beside"),
}
PLACES = {
    "bedroom": "bedroom",
    "office": "office",
    "living": "living room",
    "kitchen": "kitchen",
    "bathroom": "bathroom",
    "street": "street",
}
_OPENINGS = ("", "", "a photo of ", "there is ", "a picture of ", "i see ")
_TEMPLATES = (*PROMPT_TEMPLATES, *("{}", "a {}", "the {}") * 8)

Atom = tuple[str | int, ...]  # one thing that a caption says


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


class Caption(NamedTuple):
    """A text and what it says; it is true of any crop that shows all of its atoms."""

    text: str
    atoms: frozenset[Atom]


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


def relation(a: Mention, b: Mention) -> str:
    """Where `a` is, seen from `b`, in the image."""
    right, down = a.center[0] - b.center[0], a.center[1] - b.center[1]
    if max(abs(right), abs(down)) < 0.2:
        return "near"
    if abs(right) > abs(down):
        return "right" if right > 0 else "left"
    return "below" if down > 0 else "above"


def truths(seen: Sequence[Mention], place: str) -> frozenset[Atom]:
    """Everything that a caption can say of a crop without being wrong."""
    atoms: set[Atom] = {("place", place)}
    for one in seen:
        for color in (one.color, ""):
            atoms |= {(one.label, color, pattern) for pattern in (one.pattern, "")}
    for a, b in permutations(seen, 2):
        atoms.add((a.label, relation(a, b), b.label))
    return frozenset(atoms)


def short_caption(seen: Sequence[Mention], subject: int, rng: np.random.Generator) -> Caption:
    """Names one thing, in one of CLIP's templates or without: the subject, or often a large one."""
    subjects = [one for one in seen if one.label == subject]
    if not subjects or rng.random() < 0.4:
        subjects = [seen[rng.choice(len(seen), p=_shares(seen))]]
    phrase, atom = _phrase(subjects[0], rng)
    return Caption(_pick(_TEMPLATES, rng).format(phrase), frozenset({atom}))


def long_caption(seen: Sequence[Mention], place: str, rng: np.random.Generator) -> Caption:
    """Names up to three things, perhaps with the place."""
    order = rng.choice(len(seen), min(len(seen), 3), replace=False, p=_shares(seen))
    phrases: list[str] = []
    atoms: set[Atom] = set()
    for one in (seen[i] for i in order):
        phrase, atom = _phrase(one, rng)
        if atom not in atoms:
            phrases.append(_with_article(phrase, rng))
            atoms.add(atom)
    text, style = _listed(phrases), rng.random()
    if style < 0.7:
        return Caption(_pick(_OPENINGS, rng) + text, frozenset(atoms))
    where = _with_article(PLACES[place], rng)
    text = f"{where} with {text}" if style > 0.9 else f"{_pick(_OPENINGS, rng)}{text} in {where}"
    return Caption(text, frozenset({*atoms, ("place", place)}))


def placed_caption(seen: Sequence[Mention], rng: np.random.Generator) -> Caption:
    """Says where one of two things is, seen from the other."""
    i, j = rng.choice(len(seen), 2, replace=False, p=_shares(seen))
    where = relation(seen[i], seen[j])
    (first, one), (second, other) = (_phrase(seen[k], rng) for k in (i, j))
    words = _pick(_RELATIONS[where], rng)
    text = f"{_with_article(first, rng)} {words} {_with_article(second, rng)}"
    return Caption(text, frozenset({one, other, (seen[i].label, where, seen[j].label)}))


def captions(
    seen: Sequence[Mention], place: str, subject: int, rng: np.random.Generator
) -> list[Caption]:
    """Two captions of a crop: a short one, and a long or a placed one.

    Args:
        seen: at least one of its mentions must have a share of `NAMED`.
        place: one of `PLACES`.
        subject: class of the object that the crop was made for.
        rng: chooses what is said, and how.
    """
    named = [one for one in seen if one.share >= NAMED]
    if len({one.label for one in named}) > 1 and rng.random() < 0.2:
        return [short_caption(named, subject, rng), placed_caption(named, rng)]
    return [short_caption(named, subject, rng), long_caption(named, place, rng)]


def named(label: int, rng: np.random.Generator) -> Caption:
    """Names a class, in a prompt."""
    return Caption(_pick(_TEMPLATES, rng).format(_pick(NAMES[label], rng)), frozenset({(label, "", "")}))


def vocabulary() -> list[str]:
    """Every word of every caption, sorted."""
    phrases: Iterable[str] = (
        *PROMPT_TEMPLATES,
        *(name for names in NAMES for name in names),
        *CLASSES,
        *(word for words in _MATERIALS.values() for word in words),
        *_COLORS,
        *_ARTICLES,
        *(words for options in _RELATIONS.values() for words in options),
        *PLACES.values(),
        *_OPENINGS,
        "with and in",
    )
    return sorted({word for phrase in phrases for word in words_of(phrase)})


def words_of(text: str) -> list[str]:
    """The lower-case words of a text."""
    return re.findall(r"\w+", text.lower())


def _phrase(one: Mention, rng: np.random.Generator) -> tuple[str, Atom]:
    """The name of a thing, now and then with its colour or its material."""
    color = one.color if rng.random() < ADORNED else ""
    pattern = one.pattern if one.pattern in _MATERIALS and rng.random() < ADORNED else ""
    material = _pick(_MATERIALS[pattern], rng) if pattern else ""
    words = (color, material, _pick(NAMES[one.label], rng))
    return " ".join(word for word in words if word), (one.label, color, pattern)


def _shares(seen: Sequence[Mention]) -> Float[np.ndarray, " m"]:
    share = np.array([one.share for one in seen])
    return share / share.sum()


def _with_article(phrase: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.2:
        return f"the {phrase}"
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _listed(phrases: Sequence[str]) -> str:
    return ", ".join(phrases[:-1]) + (" and " if len(phrases) > 1 else "") + phrases[-1]


def _lab(rgb: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """CIELAB (D65) of sRGB in [0, 255]."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


_EXAMPLE_WORDS = [word for word, codes in _COLORS.items() for _ in codes]
_EXAMPLES = _lab(
    np.array([[*bytes.fromhex(code)] for codes in _COLORS.values() for code in codes], float)
)
