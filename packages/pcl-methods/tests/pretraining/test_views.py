"""Tests of pcl_methods.pretraining.views."""

import pickle

import numpy as np
import pytest
import torch

from pcl_methods.pretraining.matched_views import CutViews, MatchedViews
from pcl_methods.pretraining.scene_views import SceneViews
from pcl_methods.pretraining.views import ViewBatches, collate_views, grouped_view
from pcl_methods.pretraining.volume_views import VolumeViews

MAKERS = [CutViews(MatchedViews(0.08)), VolumeViews(0.08), SceneViews(0.08)]


def batches(rooms, make_views=MAKERS[0], **options) -> ViewBatches:
    return ViewBatches(list(rooms), rooms.__getitem__, make_views, **{"count": 2, **options})


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return torch.equal(a, b)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_batch_depends_on_its_step_and_seed_alone(rooms, maker):
    assert same(batches(rooms, maker)[3], batches(rooms, maker)[3])
    assert not same(batches(rooms, maker)[3], batches(rooms, maker)[4])
    assert not same(batches(rooms, maker)[3], batches(rooms, maker, seed=1)[3])


def test_an_epoch_takes_every_scene_once_on_any_number_of_processes(rooms):
    loaded = []

    def load(name):
        loaded.append(name)
        return rooms[name]

    for rank in range(2):
        ViewBatches(list(rooms), load, MAKERS[0], count=3, rank=rank, n_ranks=2)[0]
    assert sorted(loaded) == sorted(rooms)


@pytest.mark.parametrize("maker", MAKERS)
def test_batches_go_to_processes_that_are_no_copies(rooms, maker):
    made = batches(rooms, maker)
    made[0]
    assert same(pickle.loads(pickle.dumps(made))[3], made[3])


@pytest.mark.parametrize("maker", MAKERS)
def test_rows_and_groups_name_what_is_there(rooms, maker):
    batch = batches(rooms, maker)[0]
    n_groups = len(batch["scene"])
    for view in (batch["first"], batch["second"]):
        scene = batch["scene"][view["groups"]]
        assert torch.equal(view["batch_index"][view["rows"]], scene)
        assert torch.equal(view["groups"].unique(), torch.arange(n_groups))
        assert len(view["features"]) == len(view["coords"]) == len(view["points"])


def test_collation_keeps_scenes_apart(rooms):
    rng = np.random.default_rng(0)
    samples = [MatchedViews(0.08)((rooms[name], rooms[name]), rng) for name in ("room0", "room1")]
    batch = collate_views([tuple(dict(view) for view in views) for views in samples])
    n_matches = [len(first["rows"]) for first, _ in samples]
    assert torch.bincount(batch["scene"]).tolist() == n_matches
    rows = batch["second"]["rows"][batch["scene"] == 1] - len(samples[0][1]["coords"])
    assert np.array_equal(rows.numpy(), samples[1][1]["rows"])


def test_a_voxel_is_in_the_groups_of_all_its_points(rooms):
    room = rooms["room0"]
    groups = np.arange(len(room.points)) % 2
    view = grouped_view(room, groups, np.random.default_rng(0), voxel_size=100.0, features="colors")
    n_voxels = len(view["coords"])
    assert n_voxels <= 8  # the grid's origin may lie in the room
    assert set(zip(view["rows"].tolist(), view["groups"].tolist(), strict=True)) == {
        (row, group) for row in range(n_voxels) for group in (0, 1)
    }


def nothing_in_common(scene, rng):
    view = {"rows": np.zeros(0, np.int64), "groups": np.zeros(0, np.int64)}
    return view, view


def test_views_without_a_common_point_are_an_error(rooms):
    with pytest.raises(ValueError, match="views must have points in common, got 20 pairs without"):
        batches(rooms, nothing_in_common)[0]


def test_a_pair_with_nothing_in_common_gives_way_to_another(rooms):
    asked = []

    def make_views(scene, rng):
        asked.append(scene.name)
        return (nothing_in_common if len(asked) == 1 else MAKERS[0])(scene, rng)

    batch = batches(rooms, make_views, count=1)[0]
    assert len(asked) == 2
    assert len(batch["scene"])


def test_there_must_be_something_to_view(rooms):
    with pytest.raises(ValueError, match="items must hold at least one scene or pair, got none"):
        batches({})
