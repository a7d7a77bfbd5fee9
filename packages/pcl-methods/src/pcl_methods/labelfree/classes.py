"""Classes by their names: the texts of a label set, and a label set of own names."""

import colorsys
from collections.abc import Sequence

from pcl_data import LabelSet

# Names that are no words, as CLIP2Scene writes them.
WORDS = {"otherfurniture": "other furniture", "other": "other furniture"}
STUFF = ("wall", "floor", "ceiling", "ground", "road", "sidewalk", "terrain", "vegetation")


def class_texts(label_set: LabelSet) -> list[str]:
    """What each class is called in a prompt.

    Example:
        >>> from pcl_data import SEMANTICKITTI19
        >>> class_texts(SEMANTICKITTI19)[3:5]
        ['truck', 'other vehicle']
    """
    return [WORDS.get(name, name.replace("-", " ").replace("_", " ")) for name in label_set.names]


def own_classes(names: Sequence[str]) -> LabelSet:
    """A label set of names that somebody chose; surfaces without instances are stuff.

    Args:
        names: of the classes; two at least, each once.

    Raises:
        ValueError: if there are fewer, or one occurs twice or is empty.

    Example:
        >>> own_classes(["wall", "red chair"]).things
        (1,)
    """
    plain = [name.strip() for name in names]
    if len(plain) < 2:
        raise ValueError(f"classes must be at least two names, got {len(plain)}")
    for name in plain:
        if not name:
            raise ValueError("classes must be names, got an empty one")
        if plain.count(name) > 1:
            raise ValueError(f"classes must be distinct, got {name!r} twice")
    hues = [i * 0.618034 % 1 for i in range(len(plain))]
    rgb = [colorsys.hsv_to_rgb(hue, 0.55, 0.9 - 0.25 * (i % 3) / 2) for i, hue in enumerate(hues)]
    return LabelSet(
        name=f"own{len(plain)}",
        names=tuple(plain),
        raw_ids=tuple(range(1, len(plain) + 1)),
        colors=tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in rgb),
        is_stuff=tuple(name in STUFF for name in plain),
    )
