"""Scores of boxes on held-out scenes: AP25 and AP50, as VoteNet counts."""

from collections.abc import Callable, Iterable
from typing import Any

from pcl_data import LabelSet, Scene
from pcl_data.evaluation import DetectionEvaluator, ScoreProtocol
from pcl_methods.detection.found_boxes import FoundBoxes
from pcl_methods.detection.scene_boxes import scene_boxes

BOX_SCORES = ("map25", "map50", "recall25", "recall50")


def score_boxes(
    scenes: Iterable[Scene],
    find: Callable[[Scene], FoundBoxes],
    label_set: LabelSet,
    *,
    protocol: ScoreProtocol = ScoreProtocol(views=1),
) -> dict[str, Any]:
    """Mean average precision and recall of boxes at the overlaps 0.25 and 0.5, and by class.

    Args:
        scenes: as `scene_boxes` takes them.
        find: the boxes of a scene.
        label_set: of the classes.
        protocol: how the scores were made.

    Returns:
        fractions, NaN where undefined, `per_class` (AP50 of each class) and `protocol`.

    Raises:
        ValueError: if a scene has no boxes.
    """
    evaluator = DetectionEvaluator(label_set, protocol=protocol)
    for scene in scenes:
        found = find(scene)
        evaluator.update(scene_boxes(scene, label_set).boxes, found.boxes, found.scores)
    result = evaluator.compute()
    return {name: getattr(result, name) for name in BOX_SCORES} | {
        "per_class": {name: one.ap50 for name, one in result.per_class.items()},
        "protocol": result.protocol,
    }
