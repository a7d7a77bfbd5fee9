"""Scores of predictions that are too many to keep: one scene at a time, counts alone are kept.

Predictions of any network, of any framework: arrays go in. Here they are the truth with errors, so
that the scores can be told in advance.

    python examples/streaming_evaluation.py
"""

from collections.abc import Iterator

import numpy as np

from pcl_data import SCANNET20
from pcl_data.evaluation import InstanceEvaluator, ScoreProtocol, SemanticEvaluator
from pcl_methods.segmentation.testing import make_room

FLOOR, CHAIR, TABLE = (SCANNET20.names.index(name) for name in ("floor", "chair", "table"))


def predictions() -> Iterator[tuple]:
    """Truth and prediction of a scene, one after the other: chairs are right, tables half lost."""
    for number in range(20):
        room = make_room(f"room{number}", number)
        rng = np.random.default_rng(number)
        labels = np.array(room.labels)
        lost = (labels == TABLE) & (rng.random(len(labels)) < 0.5)
        labels[lost] = CHAIR
        masks = [np.flatnonzero((room.instances == i) & ~lost) for i in range(4)]
        classes = np.array([CHAIR, TABLE, CHAIR, TABLE])
        yield room, labels, masks, classes, np.array([0.9, 0.8, 0.7, 0.6])


def main() -> None:
    protocol = ScoreProtocol(data="boxes", split="val", views=1)
    semantic = SemanticEvaluator(SCANNET20, protocol=protocol)
    instance = InstanceEvaluator(SCANNET20, min_region=100, protocol=protocol)
    for room, labels, masks, classes, scores in predictions():
        semantic.update(room.labels, labels)
        instance.update(room.labels, room.instances, masks, classes, scores)
    points, objects = semantic.compute(), instance.compute()
    print(points)
    print(objects)
    print(f"chair: IoU {points.per_class['chair']:.2f}, table: IoU {points.per_class['table']:.2f}")
    # Half of the tables' points are called chairs: 800 + 400 of them, of which 800 are chairs.
    assert abs(points.per_class["table"] - 0.5) < 0.02
    assert abs(points.per_class["chair"] - 2 / 3) < 0.02
    # A table of which about half is found overlaps it by about a half: sometimes more, never 0.75.
    assert objects.ap25 == 1.0
    assert objects.ap50 < 1.0


if __name__ == "__main__":
    main()
