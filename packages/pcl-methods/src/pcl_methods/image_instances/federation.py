"""Federated annotations of images in which every object is known, as the annotators of LVIS left.

Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019, section 3.1:
an image is verified for a few classes only, and of some of them not every object is annotated. The
rule here is ours; each image has random numbers of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Federation:
    """How much of an image is annotated.

    1. Objects below `least_area` get no annotation.
    2. Of the classes with a larger object each is annotated with the chance `annotated`; of the
       others nothing is known.
    3. An annotated class with two such objects or more loses one of them with the chance
       `incomplete`. It is not exhaustive then, nor is one with an object below `least_area`.
    4. Of the classes without any pixel, `n_negative` are verified to be absent, all equally likely.

    Args:
        annotated: a fraction.
        incomplete: a fraction.
        n_negative: or all of them, where they are fewer.
        least_area: pixels.

    Raises:
        ValueError: if a fraction lies outside [0, 1] or a number is negative.
    """

    annotated: float | int = 0.8
    incomplete: float | int = 0.1
    n_negative: int = 20
    least_area: int = 16

    def __post_init__(self) -> None:
        for name in ("annotated", "incomplete"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in ("n_negative", "least_area"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")


class Verified(NamedTuple):
    """What annotators say of an image."""

    annotated: list[int]  # places of the objects that have an annotation, ascending
    negative: list[int]  # classes that are verified to be absent, ascending
    not_exhaustive: list[int]  # annotated classes with an object without annotation, ascending


def federate(
    classes: Sequence[int],
    areas: Sequence[int],
    n_classes: int,
    rule: Federation,
    rng: np.random.Generator,
) -> Verified:
    """What is annotated of an image by a rule.

    Args:
        classes: of each of its objects.
        areas: of each, visible pixels.
        n_classes: all there are.
        rule: of the annotators.
        rng: of this image alone.

    Example:
        >>> import numpy as np
        >>> rule = Federation(annotated=1, incomplete=1, n_negative=2)
        >>> federate([0, 0, 3, 4], [50, 60, 90, 2], 6, rule, np.random.default_rng(0))
        Verified(annotated=[1, 2], negative=[1, 5], not_exhaustive=[0])
    """
    large = [place for place, area in enumerate(areas) if area >= rule.least_area]
    annotated, not_exhaustive = [], []
    for one in sorted({classes[place] for place in large}):
        is_annotated, is_incomplete, lost = rng.random(3)
        if is_annotated >= rule.annotated:
            continue
        kept = [place for place in large if classes[place] == one]
        if len(kept) > 1 and is_incomplete < rule.incomplete:
            del kept[int(lost * len(kept))]
        annotated += kept
        if len(kept) < list(classes).count(one):
            not_exhaustive.append(one)
    absent = sorted(set(range(n_classes)) - set(classes))
    negative = rng.permutation(absent)[: rule.n_negative] if absent else []
    return Verified(sorted(annotated), sorted(int(one) for one in negative), not_exhaustive)
