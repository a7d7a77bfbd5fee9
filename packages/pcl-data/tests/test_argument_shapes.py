"""What evaluators, batches, augmentations and colour maps refuse; tests of `checked`."""

import numpy as np
import pytest
from jaxtyping import Float, Int

from pcl_data.argument_shapes import checked
from pcl_data.augmentation import chromatic_jitter, elastic_distortion, random_flip, random_shift
from pcl_data.batching import PointBudgetSampler, collate
from pcl_data.evaluation import SemanticEvaluator, suppress_boxes
from pcl_data.evaluation.box_overlap import box_iou
from pcl_data.label_set import SCANNET20, LabelSet

COORDS = np.zeros((2, 3), np.int32)


@checked
def dot(
    left: Float[np.ndarray, "n 2"],
    right: Float[np.ndarray, "n 2"],
    rows: Int[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, " n"]:
    return (left * right).sum(axis=1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            (np.ones((2, 2)), np.ones((3, 2))),
            r"right must have shape \(n, 2\) with n = 2 as of",
        ),
        ((np.ones((2, 3)), np.ones((2, 2))), r"left must have shape \(n, 2\), got \(2, 3\)"),
        ((np.ones(2), np.ones((2, 2))), r"left must have shape \(n, 2\), got \(2,\)"),
        ((np.ones((2, 2)), np.ones((2, 2), int)), "right must be of floating point, got int64"),
        ((np.ones((2, 2)), np.ones((2, 2)), np.ones((1, 1), int)), r"rows must have shape \(k,\)"),
    ],
)
def test_arrays_that_are_not_as_annotated_are_named(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        dot(*arguments)


def test_arrays_as_annotated_pass():
    ones = np.ones((2, 2), np.float32)
    for rows in (None, np.zeros(5, np.int8)):
        assert dot(ones, right=ones, rows=rows).tolist() == [2, 2]
    with pytest.raises(TypeError, match="left must be of class ndarray, got list"):
        dot([[1.0, 2.0]], ones)


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        ({"coords": np.zeros((2, 2), int)}, r"coords must be signed integers of shape \(v, 3\)"),
        (
            {"coords": COORDS, "inverse": np.array([0, 2])},
            r"inverse must lie in \[0, 1\], got",
        ),
        (
            {"coords": COORDS, "inverse": np.array([-1])},
            r"inverse must lie in \[0, 1\], got",
        ),
        ({"coords": COORDS, "instances": np.array([-2])}, "instances must lie in"),
        (
            {"coords": COORDS, "inverse": np.array([0, 1]), "index": np.array([0])},
            r"index must be as many as coords \(2\), got 1 in sample 1",
        ),
        (
            {"coords": COORDS, "inverse": np.array([0, 1]), "index": np.array([0, 2])},
            r"index must lie in \[0, 1\], got \[0, 2\] in sample 1",
        ),
    ],
)
def test_a_batch_refuses_indices_that_do_not_fit(sample, problem):
    good = {name: np.zeros_like(values) for name, values in sample.items()} | {"coords": COORDS}
    if "index" in good:
        good["index"] = np.zeros(2, int)
    with pytest.raises(ValueError, match=problem):
        collate([good, sample])


def test_scalars_out_of_range_are_refused():
    generator = np.random.default_rng(0)
    for call, problem in (
        (lambda: random_flip(generator, probability=1.5), "probability must lie in"),
        (lambda: random_shift(COORDS, generator, max_shift=-1), "max_shift must be at least 0"),
        (lambda: PointBudgetSampler([3, -1], 9), "sizes must be at least 0, got -1"),
        (lambda: suppress_boxes(np.ones((1, 7)), np.ones(1), max_iou=2.0), "max_iou must lie in"),
        (lambda: box_iou(np.full((1, 7), 1e60), np.ones((1, 7))), "boxes must lie within 1e"),
        (lambda: chromatic_jitter(np.ones((2, 4)), generator), r"colors must have shape \(n, 3\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            call()


def test_ids_that_int64_does_not_hold_are_refused():
    labels = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="must be of a type that int64 holds, got uint64"):
        SemanticEvaluator.update.__wrapped__(
            SemanticEvaluator(SCANNET20), labels, labels.astype(np.uint64)
        )


def test_a_far_point_does_not_ask_for_a_grid_that_no_memory_holds():
    points = np.random.default_rng(0).random((50, 3)) * 3
    far = np.concatenate([points, [[1e6, -1e6, 1e5]]])
    moved = elastic_distortion(far, 0.2, 0.4, np.random.default_rng(0))
    assert np.isfinite(moved).all()
    shift = (moved - far)[:-1]
    assert 0 < np.abs(shift).max() < 1
    near = np.linalg.norm(points[:, None] - points, axis=2) < 0.05
    assert np.abs(shift[:, None] - shift)[near].max() < 0.1  # still smooth
    with pytest.raises(ValueError, match="points and magnitude must be finite"):
        elastic_distortion(far * np.nan, 0.2, 0.4, np.random.default_rng(0))


def test_label_sets_have_distinct_names_and_colours():
    for names, color, problem in (
        (("a", "a"), (0, 0, 0), "names must be distinct"),
        (("a", "b"), (0, 0, 256), "colors must be three values"),
    ):
        with pytest.raises(ValueError, match=problem):
            LabelSet("x", names, (1, 2), (color,) * 2, (False,) * 2)
