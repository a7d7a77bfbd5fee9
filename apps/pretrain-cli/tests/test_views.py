"""Tests of pretrain_cli.views."""

import numpy as np
import pytest
import torch

from pcl_data import Scene, load_scene
from pcl_run.config import load_config
from pretrain_cli.config import PRETRAIN_PRESETS, PretrainConfig
from pretrain_cli.frame_pairs import open_frame_pairs, write_frame_pairs
from pretrain_cli.views import (
    ViewBatches,
    _cuboid_rows,
    collate_views,
    matched_views,
    scene_views,
    volume_views,
)
from pretrain_cli.worlds import open_world


@pytest.fixture
def config(scans, small):
    def make(*overrides: str) -> PretrainConfig:
        words = [*small, f"data.root={scans}", *overrides]
        return load_config(
            PretrainConfig, presets=PRETRAIN_PRESETS, preset="quick", overrides=words
        )

    return make


def batches(config: PretrainConfig, pairs=None, **options) -> ViewBatches:
    world = open_world(config.data)
    return ViewBatches(config, world, world.training, pairs, **options)


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return torch.equal(a, b)


METHODS = ["csc", "sspl", "depthcontrast"]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_depends_on_its_step_alone(config, method):
    settings = config(f"method={method}")
    assert same(batches(settings)[3], batches(settings)[3])
    assert not same(batches(settings)[3], batches(settings)[4])
    assert not same(batches(settings)[3], batches(config(f"method={method}", "seed=1"))[3])


def test_an_epoch_takes_every_scene_once_on_any_number_of_processes(config):
    settings = config()
    loaded = []
    for rank in range(2):
        one = batches(settings, rank=rank, n_ranks=2)
        one.load = lambda name, load=one.load: (loaded.append(name), load(name))[1]
        one[0]
    assert sorted(loaded) == ["scene0", "scene1", "scene2", "scene3"]


@pytest.mark.parametrize("method", METHODS)
def test_rows_and_groups_name_what_is_there(config, method):
    batch = batches(config(f"method={method}"))[0]
    n_groups = len(batch["scene"])
    for view in (batch["first"], batch["second"]):
        scene = batch["scene"][view["groups"]]
        assert torch.equal(view["batch_index"][view["rows"]], scene)
        assert torch.equal(view["groups"].unique(), torch.arange(n_groups))
        assert len(view["features"]) == len(view["coords"]) == len(view["points"])


def test_matches_are_voxels_of_nearby_points(config, scans):
    settings, scene = config(), load_scene(scans / "scene0")
    first, second = matched_views(scene, scene, settings, np.random.default_rng(0))
    distance = np.linalg.norm(
        first["points"][first["rows"]] - second["points"][second["rows"]], axis=1
    )
    assert distance.max() <= 1.5 * settings.model.voxel_size + 1e-6
    assert len(np.unique(first["rows"])) == len(first["coords"])  # of the same cloud all match


def test_each_view_of_a_pair_is_turned_on_its_own(config, scans):
    settings, scene = config(), load_scene(scans / "scene0")
    first, second = matched_views(scene, scene, settings, np.random.default_rng(0))
    assert not np.array_equal(first["coords"], second["coords"])


def test_strong_views_have_other_colours_and_sizes(config, scans):
    scene = load_scene(scans / "scene0")
    for kind in ("published", "strong"):
        settings = config(f"contrast.augmentation={kind}")
        first, second = matched_views(scene, scene, settings, np.random.default_rng(0))
        pair = [view["features"][view["rows"]] for view in (first, second)]
        same = (
            np.linalg.norm(
                first["points"][first["rows"]] - second["points"][second["rows"]], axis=1
            )
            == 0
        )
        is_equal = np.allclose(pair[0][same], pair[1][same])
        assert is_equal == (kind == "published")
        assert first["features"].dtype == np.float32
        assert np.abs(first["features"]).max() <= 0.5 + 1e-6


def test_a_small_crop_of_a_volume_meets_a_large_one(config, scans):
    settings, scene = config("method=sspl"), load_scene(scans / "scene0")
    first, second = volume_views(scene, settings, np.random.default_rng(0))
    assert set(first["groups"]) == set(second["groups"])
    assert len(first["coords"]) < len(second["coords"])


def test_volumes_that_are_all_too_small_are_an_error(config, scans):
    settings = config("method=sspl", "sspl.min_points=100000")
    with pytest.raises(ValueError, match="scene scene0 must have a volume of at least"):
        volume_views(load_scene(scans / "scene0"), settings, np.random.default_rng(0))


@pytest.fixture
def cube():
    rng = np.random.default_rng(0)
    colors = np.zeros((60_000, 3), np.uint8)
    return Scene("cube", rng.random((60_000, 3), dtype=np.float32) * 9, colors=colors)


def test_a_view_of_a_scene_is_a_part_of_it(config, cube):
    settings = config("method=byol", "model.voxel_size=0.001")  # a voxel a point
    rng, sizes = np.random.default_rng(0), set()
    for view in (view for _ in range(20) for view in scene_views(cube, settings, rng)):
        assert set(view["groups"]) == {0}
        shares = np.ptp(view["points"], axis=0) / 9
        assert 0.49 < shares.min() < shares.max() <= 1
        assert shares.min() > 0.74 * shares.max()
        sizes.add(len(view["points"]))
    assert 5_000 == min(sizes) < max(sizes) == 20_000


def test_a_view_of_a_scene_has_a_hole(cube):
    rng = np.random.default_rng(1)
    rows = _cuboid_rows(cube.points, rng)
    points = cube.points[rows]
    assert len(rows) >= 10_000
    inside = ((cube.points >= points.min(0)) & (cube.points <= points.max(0))).all(axis=1)
    lost = cube.points[np.setdiff1d(np.flatnonzero(inside), rows)]
    assert np.allclose(np.ptp(lost, axis=0), 0.2 * np.ptp(points, axis=0), rtol=0.1)


def test_a_scene_of_few_points_stays_whole(scans):
    points = load_scene(scans / "scene0").points[:9_999]
    assert np.array_equal(_cuboid_rows(points, np.random.default_rng(0)), np.arange(len(points)))


def test_collation_keeps_scenes_apart(config, scans):
    settings = config()
    rng = np.random.default_rng(0)
    samples = [
        matched_views(*[load_scene(scans / name)] * 2, settings, rng)
        for name in ("scene0", "scene1")
    ]
    batch = collate_views([tuple(dict(view) for view in views) for views in samples])
    n_matches = [len(first["rows"]) for first, _ in samples]
    assert torch.bincount(batch["scene"]).tolist() == n_matches
    rows = batch["second"]["rows"][batch["scene"] == 1] - len(samples[0][1]["coords"])
    assert np.array_equal(rows.numpy(), samples[1][1]["rows"])


def test_views_of_frame_pairs_overlap_in_the_world(config, scans, tmp_path):
    settings = config()
    world = open_world(settings.data)
    options = {"voxel_size": 0.02, "min_overlap": 0.3, "n_workers": 1}
    write_frame_pairs(settings.data, world, tmp_path / "pairs", **options)
    pairs = open_frame_pairs(tmp_path / "pairs", settings.data, world.training)
    batch = batches(settings, pairs)[0]
    first, second = (batch[view]["points"][batch[view]["rows"]] for view in ("first", "second"))
    assert (first - second).norm(dim=1).max() <= 1.5 * settings.model.voxel_size + 1e-5
    # the cameras saw a rough floor that reaches below that of the scene
    assert batch["first"]["points"][:, 2].min() < -0.1


def test_views_without_a_common_point_are_an_error(config, scans, monkeypatch):
    import pretrain_cli.views as module

    nothing = np.zeros((0, 2), np.int64)
    monkeypatch.setattr(module, "correspondences", lambda *points, radius: nothing)
    with pytest.raises(ValueError, match="views must have points in common, got 20 pairs without"):
        batches(config())[0]
