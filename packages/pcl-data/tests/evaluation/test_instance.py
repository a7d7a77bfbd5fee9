"""Laws of pcl_data.evaluation.instance, and a slow second implementation."""

import math
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_data.label_set import SCANNET20

sys.path.insert(0, str(Path(__file__).parent))
from instance_worlds import (
    BED,
    CHAIR,
    UNLABELED,
    WALL,
    Mask,
    World,
    as_table,
    assert_same,
    evaluate,
    world,
)

# A slow second implementation, written from the rules alone, with ids as in the benchmark's files.


def slow_average_precision(scenes: list[World], label: int, overlap: float, min_region: int):
    examples, missed, n_truth = [], 0, 0  # examples: (score, is a true positive)
    for scene in scenes:
        ids = [
            1000 * y + i + 1 if y in SCANNET20.things and i >= 0 else 0
            for y, i in zip(scene.labels, scene.instances, strict=True)
        ]
        truth = {g: [j for j, k in enumerate(ids) if k == g] for g in sorted(set(ids))}
        truth = {g: members for g, members in truth.items() if g // 1000 == label and g > 0}
        masks = [m for m in scene.masks if m.label == label and len(m.points) >= min_region]

        def shared(mask: Mask, members: list[int]) -> int:
            return len(set(mask.points) & set(members))

        def iou(mask: Mask, members: list[int]) -> float:
            both = shared(mask, members)
            return both / (len(members) + len(mask.points) - both)

        visited = set()
        for members in truth.values():
            if len(members) < min_region:
                continue
            n_truth += 1
            taken = None
            for number, mask in enumerate(masks):
                if number in visited or not iou(mask, members) > overlap:
                    continue
                if taken is None:
                    taken = mask.score
                    visited.add(number)
                else:
                    examples.append((min(taken, mask.score), False))
                    taken = max(taken, mask.score)
            if taken is None:
                missed += 1
            else:
                examples.append((taken, True))
        void = [j for j, k in enumerate(ids) if k == 0]
        for mask in masks:
            if any(iou(mask, members) > overlap for members in truth.values()):
                continue
            ignored = shared(mask, void) + sum(
                shared(mask, members) for members in truth.values() if len(members) < min_region
            )
            if ignored / len(mask.points) <= overlap:
                examples.append((mask.score, False))
    if n_truth == 0:
        return math.nan
    precision, recall = [], []
    for threshold in sorted({score for score, _ in examples}):
        tp = sum(1 for score, is_true in examples if is_true and score >= threshold)
        fp = sum(1 for score, is_true in examples if not is_true and score >= threshold)
        fn = sum(1 for score, is_true in examples if is_true and score < threshold) + missed
        precision.append(tp / (tp + fp))
        recall.append(tp / (tp + fn))
    precision, recall = [*precision, 1.0], [*recall, 0.0]
    steps = np.convolve([recall[0], *recall, 0.0], [-0.5, 0, 0.5], "valid")
    return sum(p * step for p, step in zip(precision, steps, strict=True))


def slow_table(scenes: list[World], min_region: int) -> np.ndarray:
    rows = []
    for label in SCANNET20.things:
        row = [
            slow_average_precision(scenes, label, overlap, min_region)
            for overlap in np.append(np.arange(0.5, 0.95, 0.05), 0.25)
        ]
        rows.append((sum(row[:9]) / 9, row[0], row[9]))
    known = [row for row in rows if not math.isnan(row[0])]
    means = [sum(column) / len(known) for column in zip(*known, strict=True)] or [math.nan] * 3
    return np.array([*rows, means])


runs = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.sampled_from([CHAIR, CHAIR, CHAIR, BED, WALL, UNLABELED]),
        st.sampled_from([0, 1, 2, -1]),
    ),
    min_size=1,
    max_size=6,
)
ranges = st.builds(
    lambda start, length, step: range(start, start + length * step, step),
    st.integers(0, 24),
    st.integers(0, 16),
    st.sampled_from([1, 1, 1, 2]),
)
masks = st.lists(
    st.tuples(ranges, st.sampled_from([CHAIR, CHAIR, BED, WALL]), st.integers(0, 3)), max_size=7
)
worlds = st.builds(
    lambda runs, masks: world(runs, [(r, label, score / 4) for r, label, score in masks]),
    runs,
    masks,
)


@settings(max_examples=150)
@given(st.lists(worlds, max_size=3), st.integers(1, 4))
def test_matches_the_rules(scenes, min_region):
    result = evaluate(*scenes, min_region=min_region)
    # sums of at most 27 quotients: 1e-9 is generous
    np.testing.assert_allclose(as_table(result), slow_table(scenes, min_region), rtol=0, atol=1e-9)


@settings(max_examples=40)
@given(worlds, st.integers(1, 4))
def test_index_arrays_equal_booleans(scene, min_region):
    booleans = evaluate(scene, min_region=min_region)
    assert_same(evaluate(scene, min_region=min_region, as_indices=True), booleans)


@settings(max_examples=40)
@given(worlds, st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(scene, random):
    order = random.sample(range(len(scene.labels)), len(scene.labels))
    moved = World(
        [scene.labels[i] for i in order],
        [scene.instances[i] for i in order],
        [m._replace(points=[order.index(i) for i in m.points]) for m in scene.masks],
    )
    assert_same(evaluate(moved), evaluate(scene))


@settings(max_examples=40)
@given(worlds, st.randoms(use_true_random=False))
def test_order_of_predictions_does_not_matter_from_overlap_one_half(scene, random):
    # At 0.25 one prediction may hit two instances, and the first hit is the one that is used up.
    distinct = [m._replace(score=m.score + i / 64) for i, m in enumerate(scene.masks)]
    shuffled = scene._replace(masks=random.sample(distinct, len(distinct)))
    left, right = as_table(evaluate(shuffled)), as_table(evaluate(scene._replace(masks=distinct)))
    np.testing.assert_allclose(left[:, :2], right[:, :2], rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(worlds, worlds)
def test_order_of_scenes_does_not_matter(first, second):
    assert_same(evaluate(first, second), evaluate(second, first))


@settings(max_examples=40)
@given(worlds)
def test_only_the_order_of_scores_matters(scene):
    stretched = [m._replace(score=math.exp(3 * m.score) - 5) for m in scene.masks]
    assert_same(evaluate(scene._replace(masks=stretched)), evaluate(scene))


@settings(max_examples=40)
@given(st.lists(worlds, max_size=2))
def test_is_a_fraction(scenes):
    table = as_table(evaluate(*scenes))
    assert ((table >= 0) & (table <= 1) | np.isnan(table)).all()
