"""Tests of pcl_methods.pretraining.point_selection."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pcl_contrastive import select_points_to_label
from pcl_data.readers import read_scene
from pcl_data.splits import listed_annotation_budget
from pcl_methods.pretraining.point_selection import (
    choose_as_published,
    choose_at_random,
    choose_by_features,
    choose_by_input,
    share_of_objects,
    write_choice,
    write_marked,
)
from pcl_methods.segmentation.encoding import EncodedScene, encode_scene


@pytest.fixture
def encode(backbone):
    return partial(encode_scene, backbone, voxel_size=0.1)


def test_every_choice_is_of_points_of_the_scene(room, encode):
    choices = [choose_by_input, choose_at_random]
    choices += [partial(one, encode=encode) for one in (choose_by_features, choose_as_published)]
    for choose in choices:
        rows = choose(room, 7)
        assert rows.min() >= 0
        assert rows.max() < len(room.points)
        assert len(rows.unique()) == len(rows) <= 7


def test_points_are_chosen_by_the_features_of_their_voxels(room):
    features = torch.eye(4)
    inverse = torch.arange(len(room.points)) % 4
    rows = choose_by_features(
        room, 4, encode=lambda scene: EncodedScene(features, inverse, inverse), seed=3
    )
    points = torch.from_numpy(room.points.copy())
    assert torch.equal(rows, select_points_to_label(features[inverse], points, 4, seed=3))


def test_colors_are_needed_where_they_are_compared(sweep):
    with pytest.raises(ValueError, match="scene sweep must have colors to choose by, got none"):
        choose_by_input(sweep, 5)


def test_objects_count_that_have_a_chosen_point(room):
    chairs = [int(np.flatnonzero(room.instances == i)[0]) for i in (0, 2)]
    assert share_of_objects(room, torch.tensor(chairs)) == 0.5
    assert share_of_objects(replace(room, instances=None), torch.tensor(chairs)) is None


def test_a_choice_is_a_budget_and_a_picture(room, tmp_path):
    rows = np.array([3, 5])
    write_choice(tmp_path / "choice" / "points2.npz", {"room": rows})
    budget = listed_annotation_budget(tmp_path / "choice" / "points2.npz", ["room"])
    assert np.array_equal(np.flatnonzero(budget.limit(room).labels >= 0), rows)
    write_marked(tmp_path / "ply" / "room.ply", room, rows)
    marked = read_scene(tmp_path / "ply" / "room.ply").colors
    assert (marked[rows] == (255, 0, 255)).all()
    assert np.array_equal(marked[6:], room.colors[6:])


def test_a_marked_scene_lies_where_the_scan_does(room, tmp_path):
    far = replace(room, origin=np.array([388096.0, 3948996, 0]))
    write_marked(tmp_path / "room.ply", far, np.array([3]))
    marked = read_scene(tmp_path / "room.ply")
    found, expected = (one.points[3] + one.origin for one in (marked, far))
    np.testing.assert_allclose(found, expected, atol=1e-4)
