"""What a score means: its protocol, as a name, and results that print it beside their scores."""

from dataclasses import dataclass, fields
from typing import Literal

from pcl_data.label_set import LabelSet


@dataclass(frozen=True)
class Protocol:
    """How predictions were made and on what they are scored, as far as it is known.

    Two scores compare only if their protocols are equal. An evaluator adds what it knows itself:
    the label set, and its own rules. What is not said here is left out of the name.

    Args:
        split: the scenes scored: an official split ("val"), or the name of a list.
        unit: what is counted: the points of the original cloud, or the voxels of a network.
            `DetectionEvaluator` always counts boxes.
        tta: whether predictions are averaged over augmented copies of a scene.
        budget: the labels trained on, for instance "lr-1%-seed0".

    Raises:
        ValueError: if split or budget is empty or holds a slash.

    Example:
        >>> from pcl_data.label_set import SCANNET20
        >>> Protocol(split="val", tta=False, budget="lr-1%").name(
        ...     SCANNET20, "min_region=100"
        ... )
        'scannet20/val/points/no-tta/min_region=100/lr-1%'
        >>> Protocol().name(SCANNET20)
        'scannet20/points'
    """

    split: str | None = None
    unit: Literal["points", "voxels", "boxes"] = "points"
    tta: bool | None = None
    budget: str | None = None

    def __post_init__(self) -> None:
        for field in ("split", "budget"):
            value = getattr(self, field)
            if value is not None and (not value or "/" in value):
                raise ValueError(f"{field} must be a name without a slash, got {value!r}")

    def name(self, label_set: LabelSet, *rules: str) -> str:
        """Label set, split, unit, augmentation, the rules of the metric, budget, by slashes."""
        tta = None if self.tta is None else "tta" if self.tta else "no-tta"
        parts = (label_set.name, self.split, self.unit, tta, *rules, self.budget)
        return "/".join(part for part in parts if part is not None)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of the results: printed, one gives its protocol and its main scores."""

    protocol: str

    def __str__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        scores = [f"{key} {value:.4f}" for key, value in values.items() if isinstance(value, float)]
        return f"{self.protocol}: {', '.join(scores)}"
