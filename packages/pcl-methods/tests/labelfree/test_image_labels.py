from dataclasses import replace

import numpy as np
import pytest
import torch

from pcl_data import Frame
from pcl_methods.labelfree.image_labels import ImageLabels, Visibility, label_images
from pcl_methods.labelfree.testing import ColorEncoder, color_text, make_posed_room


def labeled(scene, sets=None, **how):
    sets = np.zeros(len(scene.points), np.int64) if sets is None else sets
    return label_images(scene, ColorEncoder(), color_text(), sets, **how)


@pytest.fixture(scope="module")
def room():
    return make_posed_room("room", 0)


@pytest.fixture(scope="module")
def found(room):
    return labeled(room)


def test_labels_are_those_of_the_pixels(room, found):
    """The encoder knows the colours of the classes, so that most labels are true."""
    truth = room.labels[found.point_index]
    assert (found.labels == truth).mean() > 0.9
    assert set(np.unique(found.views)) == {0, 1, 2}
    assert (np.diff(found.views) >= 0).all()
    assert (found.confidence > 0.99).all()


def test_a_point_behind_another_is_not_labeled(room, found):
    hidden = 0
    for number, frame in enumerate(room.frames):
        down = frame.camera_to_world[2, 3] - room.points[:, 2]  # cameras look straight down
        seen = found.point_index[found.views == number]
        x = 70 * (room.points[:, 0] - frame.camera_to_world[0, 3]) / down + 47.5
        y = 70 * (frame.camera_to_world[1, 3] - room.points[:, 1]) / down + 35.5
        pixel = np.stack([np.rint(y), np.rint(x)], axis=1).astype(int)
        measured = frame.depth[tuple(pixel[seen].T)]
        assert (np.abs(measured - down[seen]) <= 0.05 + 1e-5).all()
        nearest = measured.min()
        hidden += int(((down > nearest + 0.1) & ~np.isin(np.arange(len(down)), seen)).sum())
    assert hidden > 1000


def test_without_depth_points_hide_each_other(found):
    blind = labeled(make_posed_room("room", 0, depth=False))
    pairs = {tuple(pair) for pair in np.stack([found.point_index, found.views], axis=1).tolist()}
    others = {tuple(pair) for pair in np.stack([blind.point_index, blind.views], axis=1).tolist()}
    assert len(pairs & others) > 0.8 * len(pairs | others)


def test_the_feature_of_a_set_is_the_mean_of_its_pixels(room):
    sets = np.where(room.points[:, 0] < 1.5, 0, 1)
    sets[:10] = -1
    found = labeled(room, sets)
    for one in (0, 1):
        rows = sets[found.point_index] == one
        mean = np.eye(20, dtype=np.float32)[found.labels[rows]].sum(axis=0)
        expected = mean / np.linalg.norm(mean)
        np.testing.assert_allclose(found.set_features[one], expected, atol=1e-2)
    unseen = labeled(room, np.where(np.arange(len(sets)) == 0, 1, 0))
    assert unseen.set_features.shape == (2, 20)


def test_views_of_a_set_vote_together():
    """As a slow loop: also a point that nobody saw has the class of its set."""
    rng = np.random.default_rng(0)
    index, labels = np.sort(rng.integers(0, 30, 60)), rng.integers(0, 4, 60)
    sets = rng.integers(-1, 7, 40)
    found = ImageLabels(
        index, np.zeros(60, int), labels, np.ones(60, np.float32), sets, np.zeros((7, 2))
    )
    for point, got in enumerate(found.voted(4)):
        of_set = sets[index] == sets[point] if sets[point] >= 0 else index == point
        votes = np.bincount(labels[of_set], minlength=4)
        assert got == (votes.argmax() if votes.any() else -1)
    assert (found.voted(4)[30:][sets[30:] >= 0] >= 0).all()


def test_points_vote_over_their_views():
    found = ImageLabels(
        point_index=np.array([0, 1, 0, 0, 1]),
        views=np.array([0, 0, 1, 2, 2]),
        labels=np.array([3, 1, 3, 2, 0]),
        confidence=np.ones(5, np.float32),
        sets=np.zeros(3, np.int64),
        set_features=np.zeros((1, 4), np.float32),
    )
    assert found.fused(found.labels, 4).tolist() == [3, 0, -1]  # a tie goes to the lowest
    assert found.dense_bytes(512) == 5 * 1024


def test_a_scene_without_frames_is_refused(room):
    with pytest.raises(ValueError, match="scene room must have frames to be labeled, got none"):
        labeled(replace(room, frames=()))


def test_frames_that_see_nothing_are_refused(room):
    away = []
    for frame in room.frames:
        pose = frame.camera_to_world.copy()
        pose[2, 3] = -5  # below the floor, looking down
        away.append(Frame(frame.image, frame.depth, frame.intrinsics, pose))
    with pytest.raises(ValueError, match="got 3 that see none: do their poses belong"):
        labeled(replace(room, frames=tuple(away)))


def test_a_tolerance_of_nothing_sees_less(room, found):
    strict = labeled(room, visibility=Visibility(absolute_tolerance=0.0, border=20))
    assert 0 < len(strict.labels) < len(found.labels)


def test_features_are_computed_without_gradients(found):
    assert not torch.is_inference_mode_enabled()
    assert found.set_features.dtype == np.float32
