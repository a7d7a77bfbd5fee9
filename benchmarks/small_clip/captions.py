"""Captions of crops of generated images: what is there, of which colour and material, and where.

A caption comes from what the renderer knows of the pixels of a crop, and no pixel's label leaves
this module but in words.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from mentions import CLASSES, COLORS, Mention

from pcl_clip3d.class_prompts import PROMPT_TEMPLATES

CONTEXT_LENGTH = 28  # tokens of a text with its start and its end
ADORNED = 0.2  # share of the names that have a colour, and of those that have a material
NAMED = 0.05  # share of a crop from which a thing is spoken of

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

_MATERIALS = {
    "wood": ("wooden", "wood"),
    "planks": ("wooden", "plank"),
    "tiles": ("tiled",),
    "stripes": ("striped",),
    "checks": ("checked", "checkered"),
    "blotches": ("spotted", "patterned"),
    "bricks": ("brick",),
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


class Caption(NamedTuple):
    """A text and what it says; it is true of any crop that shows all of its atoms."""

    text: str
    atoms: frozenset[Atom]


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
    return Caption(
        _pick(_TEMPLATES, rng).format(_pick(NAMES[label], rng)), frozenset({(label, "", "")})
    )


def vocabulary() -> list[str]:
    """Every word of every caption, sorted."""
    phrases: Iterable[str] = (
        *PROMPT_TEMPLATES,
        *(name for names in NAMES for name in names),
        *CLASSES,
        *(word for words in _MATERIALS.values() for word in words),
        *COLORS,
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
