"""What a score means: its protocol, as a name, and results that print it beside their scores."""

from dataclasses import dataclass, fields
from typing import Literal

from pcl_data.label_set import LabelSet


@dataclass(frozen=True)
class ScoreProtocol:
    """How predictions were made and on what they are scored, as far as it is known.

    Two scores compare only if their protocols are equal. An evaluator adds what it knows itself:
    the label set, and its own rules. What is not said here is left out of the name.

    Args:
        data: name of the data scored: "rooms-v5", "scannet", "folder:scans".
        split: the scenes scored: an official split ("val"), or the name of a list.
        unit: what is counted: the points of the original cloud, or the voxels of a network.
            `DetectionEvaluator` always counts boxes.
        views: augmented copies of a scene that predictions are averaged over; 1 is none but the
            scene.
        budget: the labels trained on, for instance "lr-1%-seed0".
        trained_on: name of the data that the network was trained on; left out of the name where it
            is that of the data scored.

    Raises:
        ValueError: if a name is empty or holds a slash, or views is below 1.

    Example:
        >>> from pcl_data.label_set import SCANNET20
        >>> protocol = ScoreProtocol("scannet", "val", views=1, budget="lr-1%")
        >>> protocol.name(SCANNET20, "min_region=100")
        'scannet/scannet20/val/points/no-tta/min_region=100/lr-1%'
        >>> ScoreProtocol().name(SCANNET20)
        'scannet20/points'
    """

    data: str | None = None
    split: str | None = None
    unit: Literal["points", "voxels", "boxes"] = "points"
    views: int | None = None
    budget: str | None = None
    trained_on: str | None = None

    def __post_init__(self) -> None:
        for field in ("data", "split", "budget", "trained_on"):
            value = getattr(self, field)
            if value is not None and (not value or "/" in value):
                raise ValueError(f"{field} must be a name without a slash, got {value!r}")
        if self.views is not None and self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")

    def name(self, label_set: LabelSet, *rules: str) -> str:
        """Data, label set, split, unit, augmentation, the rules of the metric, and the training."""
        tta = None
        if self.views is not None:
            tta = "no-tta" if self.views == 1 else f"tta-{self.views}-views"
        is_foreign = self.trained_on not in (None, self.data)
        training = (self.budget, f"trained-on:{self.trained_on}" if is_foreign else None)
        parts = (self.data, label_set.name, self.split, self.unit, tta, *rules, *training)
        return "/".join(part for part in parts if part is not None)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of the results: printed, one gives its protocol, its main scores and `by_frequency`."""

    protocol: str

    def __str__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= values.get("by_frequency", {})
        scores = [f"{key} {value:.4f}" for key, value in values.items() if isinstance(value, float)]
        return f"{self.protocol}: {', '.join(scores)}"
