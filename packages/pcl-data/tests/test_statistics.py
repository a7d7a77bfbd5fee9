"""Tests of pcl_data.statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import SCANNET20, Frame, Scene
from pcl_data.statistics import count_dataset, count_scene


def make_scene(name="a", **change) -> Scene:
    frame = Frame(np.zeros((1, 1, 3), np.uint8), None, np.eye(3), np.eye(4))
    arrays = {
        "points": np.array([[0, 0, 0], [0, 0.01, 0], [4, 0, 0], [0, 2, 1]], np.float32),
        "labels": np.array([0, 4, 4, -1]),
        "instances": np.array([-1, 7, 8, 7]),
        "boxes": np.zeros((3, 8), np.float32),
        "frames": (frame,) * 2,
    }
    return Scene(name, **(arrays | change))


def test_the_numbers_of_a_scene_by_hand():
    counts = count_scene(make_scene(), 20)
    assert (counts.n_points, counts.n_unlabeled, counts.n_frames, counts.n_boxes) == (4, 1, 2, 3)
    assert counts.extent == (4, 2, 1)
    assert counts.density == 4 / 3
    assert counts.class_points.tolist() == [1, 0, 0, 0, 2] + [0] * 15
    assert counts.class_instances.tolist() == [0, 0, 0, 0, 2] + [0] * 15


@given(st.integers(0, 2**32))
def test_classes_are_counted_as_a_loop_counts_them(seed):
    generator = np.random.default_rng(seed)
    labels, instances = generator.integers(-1, 6, (2, 50))
    points = generator.random((50, 3), dtype=np.float32)
    counts = count_scene(Scene("a", points, labels=labels, instances=instances), 5)
    for label in range(5):
        assert counts.class_points[label] == sum(labels == label)
        members = {i for of, i in zip(labels, instances, strict=True) if of == label and i >= 0}
        assert counts.class_instances[label] == len(members)
    assert counts.n_unlabeled == sum((labels == -1) | (labels == 5))


def test_a_scene_without_labels_is_all_unlabeled():
    counts = count_scene(make_scene(labels=None, instances=None, boxes=None, frames=()), 20)
    assert counts.n_unlabeled == 4
    assert counts.class_points.sum() == counts.class_instances.sum() == counts.n_boxes == 0


def test_a_data_set_sums_its_scenes():
    floor = make_scene("b", labels=np.array([1, 1, -1, -1]))
    statistics = count_dataset(iter([make_scene(), floor]), SCANNET20)
    assert statistics.n_points == 8
    assert statistics.class_points[:5].tolist() == [1, 2, 0, 0, 2]
    assert statistics.class_scenes[:5].tolist() == [1, 1, 0, 0, 1]
    assert statistics.class_instances[4] == 2
    np.testing.assert_allclose(statistics.class_share[:5], [0.2, 0.4, 0, 0, 0.4])
    assert statistics.names == SCANNET20.names


def test_no_labels_give_no_share():
    statistics = count_dataset([make_scene(labels=None)], SCANNET20)
    assert np.isnan(statistics.class_share).all()


def test_no_scene_is_an_error():
    with pytest.raises(ValueError, match="scenes must hold at least one scene, got 0"):
        count_dataset([], None)
