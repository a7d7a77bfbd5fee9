"""Tests of pretrain_cli.frame_pairs."""

import numpy as np
import pytest

from pcl_data.pairs import mine_pairs, unproject
from pretrain_cli.config import DataConfig
from pretrain_cli.frame_pairs import open_frame_pairs, write_frame_pairs
from pretrain_cli.worlds import open_world


def write(scans, out, voxel_size=0.05, **options):
    config = DataConfig(kind="folder", root=scans, validation=("scene5",))
    settings = {"voxel_size": voxel_size, "min_overlap": 0.3, "n_workers": 1, **options}
    return write_frame_pairs(config, open_world(config), out, **settings)


def opened(folder, scenes, **settings):
    return open_frame_pairs(folder, DataConfig(**{"kind": "folder", **settings}), scenes)


def test_overlapping_frames_of_every_scene_are_paired(scans, tmp_path):
    counts = write(scans, tmp_path / "pairs")
    assert counts == {f"scene{i}": 1 for i in range(6)}  # the third frame sees another place
    pairs = opened(tmp_path / "pairs", ["scene0", "scene2"])
    assert pairs.pairs == (("scene0", "000000", "000001"), ("scene2", "000000", "000001"))


def test_clouds_are_those_of_the_frames_thinned(scans, tmp_path):
    write(scans, tmp_path / "pairs", voxel_size=0.2)
    config = DataConfig(kind="folder", root=scans)
    frames = open_world(config).load("scene3").frames
    assert mine_pairs(frames, min_overlap=0.3).pairs.tolist() == [[0, 1]]
    points, colors, _ = unproject(frames[1])
    cloud = opened(tmp_path / "pairs", ["scene3"]).load("scene3", "000001")
    assert 0 < len(cloud.points) < len(points)
    rows = [np.flatnonzero((points == point).all(axis=1))[0] for point in cloud.points]
    assert np.array_equal(colors[rows], cloud.colors)


def test_what_is_there_is_kept_and_what_is_torn_is_made_again(scans, tmp_path):
    out = tmp_path / "pairs"
    write(scans, out)
    before = (out / "scene1" / "000000" / "coord.npy").stat().st_mtime_ns
    (out / "scene2" / "overlap.txt").unlink()
    assert write(scans, out) == {f"scene{i}": 1 for i in range(6)}
    assert (out / "scene1" / "000000" / "coord.npy").stat().st_mtime_ns == before
    assert (out / "scene2" / "overlap.txt").exists()


def test_other_settings_and_other_folders_are_rejected(scans, tmp_path):
    write(scans, tmp_path / "pairs")
    with pytest.raises(ValueError, match=r"holds pairs with voxel_size 0.05, not 0.1"):
        write(scans, tmp_path / "pairs", voxel_size=0.1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="must be empty or hold pairs"):
        write(scans, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="must be a folder that `pretrain-cli pairs` wrote"):
        opened(tmp_path / "other", ["scene0"])


def test_pairs_of_other_data_are_rejected(scans, tmp_path):
    write(scans, tmp_path / "pairs")
    assert opened(tmp_path / "pairs", ["scene9"]).pairs == ()
    with pytest.raises(ValueError, match="holds pairs with kind folder, not rooms"):
        opened(tmp_path / "pairs", ["scene0"], kind="rooms")
    with pytest.raises(ValueError, match="holds pairs with world_seed 0, not 1"):
        opened(tmp_path / "pairs", ["scene0"], world_seed=1)


def test_scenes_without_frames_are_rejected(sweeps, tmp_path):
    config = DataConfig(kind="folder", root=sweeps)
    with pytest.raises(ValueError, match="scene sweep0 must have frames with depth, got none"):
        write_frame_pairs(
            config, open_world(config), tmp_path, voxel_size=0.1, min_overlap=0.3, n_workers=1
        )
