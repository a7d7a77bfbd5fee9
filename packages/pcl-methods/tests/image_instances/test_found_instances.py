"""What is found in images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import arrays

from pcl_methods.image_instances.found_instances import detect, mask_iou, measure_errors
from pcl_methods.image_instances.masks import decode_mask
from pcl_methods.image_instances.scoring import score_instances

SQUARE, BAR, BLOB, NONE = range(4)


@given(arrays(bool, (2, 3, 3)), arrays(bool, (3, 3, 3)))
def test_overlap_is_the_slow_loop(found, truth):
    overlap = mask_iou(torch.from_numpy(found), torch.from_numpy(truth))
    for i, one in enumerate(found):
        for j, other in enumerate(truth):
            either = np.logical_or(one, other).sum()
            expected = np.logical_and(one, other).sum() / either if either else 0
            assert float(overlap[i, j]) == pytest.approx(expected)


def square_at(x: int) -> torch.Tensor:
    mask = torch.full((32, 32), -20.0)
    mask[4:12, x : x + 8] = 20
    return mask


@pytest.fixture
def network(told):
    """Two queries find a square at column 2 (that of image 101) and a blob; a third, nothing."""
    probabilities = torch.tensor(
        [[0.6, 0.1, 0.1, 0.2], [0.1, 0.1, 0.5, 0.3], [0.005, 0.0, 0.0, 0.995]]
    )
    masks = torch.stack([square_at(2), square_at(20), square_at(2)])
    return told(probabilities.log(), masks, torch.zeros(4, 1, 1))


def test_detections_are_pairs_of_queries_and_classes(network, images):
    found = detect(network, images.of_images([101]))
    best = found[0]
    assert (best.image_id, best.category_id) == (101, 11)
    assert best.score == pytest.approx(0.6)
    mask = decode_mask(best.segmentation, 24, 32)
    assert mask.sum() == 64
    assert mask[4:12, 2:10].all()
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) == 7  # of nine pairs two have the probability 0


def test_a_score_is_that_of_class_times_mask(told, images):
    mask = square_at(2).clamp(max=float(np.log(4)))  # a probability of 0.8
    rows = torch.tensor([[0.5, 0.0, 0.0, 0.5]]).log()
    found = detect(told(rows, mask[None], torch.zeros(4, 1, 1)), images.of_images([101]))
    assert [one.score for one in found] == [pytest.approx(0.4)]


def test_a_found_square_scores(network, images):
    one = images.of_images([101])
    assert score_instances(one.data, detect(network, one)).ap50 == pytest.approx(1)


def test_errors_are_those_of_queries_that_can_be_judged(network, images):
    table = measure_errors(network, images)
    # The square is right in image 101, wide enough of it in 100 and 102, and missed in 103 by far.
    assert table.counts.sum(dim=1).tolist() == [4, 0, 3]  # the blob is not verified in image 103
    assert table.correct.sum(dim=1).tolist() == [3, 0, 0]
    assert table.compute().tolist() == [pytest.approx(0.75 - 0.6), 0, pytest.approx(-0.5)]


def test_a_miss_of_a_class_that_is_not_exhaustive_is_left_out(told, images):
    rows = torch.tensor([[0.9, 0.05, 0.05, 0.0]]).log()
    network = told(rows, square_at(22)[None], torch.zeros(4, 1, 1))
    counts = measure_errors(network, images).counts.sum(dim=1)
    assert counts.tolist() == [3, 0, 0]  # image 101 may have squares without annotation
