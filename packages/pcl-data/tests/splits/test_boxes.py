"""Tests of pcl_data.splits.boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Scene
from pcl_data.splits import keep_boxes, limited_boxes


def bounds(points, label) -> np.ndarray:
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([*(low + high) / 2, *(high - low), 0, label], np.float32)


def make_scene(n_objects=6, name="room", seed=0) -> Scene:
    """Objects 4 to 4 + n of class 2, their bounds as boxes in order, and a floor of class 0."""
    rng = np.random.default_rng(seed)
    clouds = [rng.uniform([i, 0, 0], [i + 0.8, 0.8, 0.8], (20, 3)) for i in range(n_objects)]
    points = np.concatenate([*clouds, rng.uniform(0, n_objects, (30, 3))]).astype(np.float32)
    instances = np.repeat([*range(4, 4 + n_objects), -1], [20] * n_objects + [30])
    labels = np.where(instances < 0, 0, 2)
    boxes = np.stack([bounds(points[20 * i : 20 * i + 20], 2) for i in range(n_objects)])
    return Scene(name, points, labels=labels, instances=instances, boxes=boxes)


def test_objects_in_kept_boxes_stay_and_everything_else_is_unlabeled():
    scene = make_scene()
    kept = keep_boxes(scene, np.array([3, 1]))
    np.testing.assert_array_equal(kept.boxes, scene.boxes[[3, 1]])
    is_kept = np.isin(scene.instances, [4 + 3, 4 + 1])
    np.testing.assert_array_equal(kept.instances, np.where(is_kept, scene.instances, -1))
    # the floor has lost its label too, as in the published loader
    np.testing.assert_array_equal(kept.labels, np.where(is_kept, 2, -1))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
def test_fewer_boxes_are_among_more_and_each_keeps_one_object(a, b, seed):
    scene = make_scene()
    small, large = (limited_boxes(scene, count, seed=seed) for count in sorted([a, b]))
    assert len(small.boxes) == min(a, b, 6)
    assert set(map(tuple, small.boxes)) <= set(map(tuple, large.boxes))
    assert len(np.unique(small.instances[small.instances >= 0])) == len(small.boxes)
    assert ((small.labels >= 0) == (small.instances >= 0)).all()


def test_boxes_depend_on_scene_and_seed_and_are_in_the_scenes_order():
    chosen = {}
    for name in ("room", "hall"):
        for seed in range(3):
            boxes = limited_boxes(make_scene(12, name), 5, seed=seed).boxes
            assert (np.diff(boxes[:, 0]) > 0).all()  # centres ascend along x in the scene
            chosen[name, seed] = tuple(boxes[:, 0])
    assert len(set(chosen.values())) == 6


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_an_object_inside_a_larger_box_belongs_to_its_own(order):
    """A cushion in the bounds of a sofa of the same class: both boxes hold all its points."""
    rng = np.random.default_rng(0)
    sofa, cushion = rng.uniform(0, 2, (50, 3)), rng.uniform(0.8, 1.2, (10, 3))
    points = np.concatenate([sofa, cushion]).astype(np.float32)
    boxes = np.stack([bounds(points[:50], 5), bounds(points[50:], 5)])
    annotations = {"labels": np.full(60, 5), "instances": np.repeat([0, 1], [50, 10])}
    scene = Scene("room", points, boxes=boxes[order], **annotations)
    for row, instance in enumerate(order):
        kept = keep_boxes(scene, np.array([row]))
        assert np.unique(kept.instances).tolist() == [-1, instance]
    boxes[1, 7] = 6  # a box of another class holds none of them
    scene = Scene("room", points, boxes=boxes, **annotations)
    assert np.unique(keep_boxes(scene, np.array([0])).instances).tolist() == [0, 1]
    assert (keep_boxes(scene, np.array([1])).instances == -1).all()


def test_points_in_a_kept_box_that_belong_to_no_object_are_unlabeled():
    scene = make_scene(1)
    instances = np.where(np.arange(50) < 10, -1, scene.instances)
    scene = Scene("s", scene.points, labels=scene.labels, instances=instances, boxes=scene.boxes)
    kept = keep_boxes(scene, np.array([0]))
    assert (kept.labels[:10] == -1).all()
    assert (kept.labels[10:20] == 2).all()
    # the same where most points without an object are of the box's class and inside
    nothing = np.full(50, -1)
    scene = Scene(
        "s", scene.points[:20], labels=np.full(20, 2), instances=nothing[:20], boxes=scene.boxes
    )
    assert (keep_boxes(scene, np.array([0])).labels == -1).all()


def test_half_of_an_object_is_not_enough():
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]], np.float32)
    box = np.array([[0.5, 0, 0, 1, 1, 1, 0, 0]], np.float32)
    for instances, expected in (([0, 0, 0, 0], -1), ([0, 0, 0, -1], 0)):
        scene = Scene(
            "s", points, labels=np.zeros(4, int), instances=np.array(instances), boxes=box
        )
        assert keep_boxes(scene, np.array([0])).instances[0] == expected


def test_boxes_turn_counter_clockwise_about_z():
    """A box of 4 x 0.2 m at 45 degrees holds the diagonal x = y and not the other one."""
    along = np.linspace(-1.3, 1.3, 9)[:, None]
    points = np.concatenate([along * [1, 1, 0], along * [1, -1, 0]]).astype(np.float32)
    boxes = np.array([[0, 0, 0, 4, 0.2, 1, np.pi / 4, 0]], np.float32)
    scene = Scene("s", points, instances=np.repeat([0, 1], 9), boxes=boxes)
    kept = keep_boxes(scene, np.array([0]))
    np.testing.assert_array_equal(kept.instances, np.repeat([0, -1], 9))
    assert kept.labels is None


def test_what_stands_above_or_below_a_box_is_outside():
    points = np.array([[0, 0, 0], [0, 0, 0.6], [0, 0, -0.6]], np.float32)
    boxes = np.array([[0, 0, 0, 1, 1, 1, 0, 0]], np.float32)
    kept = keep_boxes(Scene("s", points, instances=np.arange(3), boxes=boxes), np.array([0]))
    assert kept.instances.tolist() == [0, -1, -1]


def test_points_on_the_faces_of_a_box_are_inside():
    """A picture is flat, so that all its points are on faces; float32 moves them by 1e-7."""
    points = np.random.default_rng(0).uniform(0, 3, (50, 3)).astype(np.float32)
    points[:, 0] = np.float32(7.1)
    box = bounds(points, 1)[None]
    box[0, 0] = np.nextafter(box[0, 0], np.float32(9))
    scene = Scene("s", points, instances=np.zeros(50, int), boxes=box)
    assert (keep_boxes(scene, np.array([0])).instances == 0).all()


def test_scenes_with_boxes_alone_lose_boxes_alone():
    boxes = make_scene().boxes
    scene = Scene("s", np.zeros((2, 3), np.float32), boxes=boxes)
    assert len(limited_boxes(scene, 4).boxes) == 4
    none = Scene("s", np.zeros((2, 3), np.float32), boxes=boxes[:0], instances=np.array([0, 1]))
    assert (limited_boxes(none, 4).instances == -1).all()


def test_bad_arguments_are_rejected():
    bare = Scene("room", np.zeros((2, 3), np.float32), labels=np.zeros(2, int))
    boxed = Scene("room", bare.points, labels=bare.labels, boxes=make_scene().boxes)
    with pytest.raises(ValueError, match="scene 'room': boxes must be given, got None"):
        limited_boxes(bare, 1)
    with pytest.raises(ValueError, match="scene 'room': instances must be given with labels"):
        keep_boxes(boxed, np.array([0]))
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        limited_boxes(make_scene(), 0)
    for rows in ([6], [0, -1]):
        with pytest.raises(ValueError, match=r"scene 'room': rows must lie in \[0, 6\), got \["):
            keep_boxes(make_scene(), np.array(rows))
