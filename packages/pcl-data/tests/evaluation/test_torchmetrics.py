"""Scores of pcl_data.evaluation against torchmetrics, where its definitions are the same."""

import numpy as np
import pytest

from pcl_data.evaluation import PanopticEvaluator, SemanticEvaluator
from pcl_data.label_set import SEMANTICKITTI19

reason = "compares scores with torchmetrics"
torch = pytest.importorskip("torch", reason=reason)
torchmetrics = pytest.importorskip("torchmetrics", reason=reason)
N_CLASSES = SEMANTICKITTI19.n_classes


@pytest.fixture
def scenes() -> list[np.ndarray]:
    """Three scenes as rows of true class and id, predicted class and id; every class occurs."""
    rng = np.random.default_rng(0)
    scenes = []
    for _ in range(3):
        block = np.repeat(np.arange(90), rng.integers(20, 120, 90))
        labels, instances = block % N_CLASSES, block // N_CLASSES
        predicted, numbers = labels.copy(), instances + 1
        wrong = rng.random(len(block)) < rng.choice([0.1, 0.4, 0.7], 90)[block]
        predicted[wrong] = rng.integers(0, N_CLASSES, wrong.sum())
        scenes.append(np.stack([labels, instances, predicted, numbers]))
    return scenes


def test_class_iou_and_confusion_matrix_agree(scenes):
    ours = SemanticEvaluator(SEMANTICKITTI19)
    options = {"task": "multiclass", "num_classes": N_CLASSES, "ignore_index": -1}
    iou = torchmetrics.JaccardIndex(average="none", **options)
    confusion = torchmetrics.ConfusionMatrix(**options)
    for labels, _, predicted, _ in scenes:
        labels = np.where(np.arange(len(labels)) % 7, labels, -1)
        ours.update(labels, predicted)
        for metric in (iou, confusion):
            metric.update(torch.from_numpy(predicted), torch.from_numpy(labels))
    result = ours.compute()
    # torchmetrics counts in single precision
    np.testing.assert_allclose(list(result.per_class.values()), iou.compute().numpy(), rtol=1e-6)
    np.testing.assert_array_equal(result.confusion_matrix[:, :-1], confusion.compute().numpy())


def test_panoptic_quality_agrees_where_nothing_is_unlabeled(scenes):
    ours = PanopticEvaluator(SEMANTICKITTI19, min_points=1)
    things = set(SEMANTICKITTI19.things)
    theirs = torchmetrics.detection.PanopticQuality(
        things=things,
        stuffs=set(range(N_CLASSES)) - things,
        return_sq_and_rq=True,
        return_per_class=True,
    )
    for scene in scenes:
        ours.update(*scene)
        truth, predicted = (torch.from_numpy(x.T.copy())[None] for x in (scene[:2], scene[2:]))
        theirs.update(predicted, truth)
    order = [*sorted(things), *sorted(set(range(N_CLASSES)) - things)]
    rows = list(ours.compute().per_class.values())
    table = np.array([(rows[c].pq, rows[c].sq, rows[c].rq) for c in order])
    assert 0.1 < table[:, 0].mean() < 0.9
    np.testing.assert_allclose(table, theirs.compute().numpy(), rtol=1e-6)
