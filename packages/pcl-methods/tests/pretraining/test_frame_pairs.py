"""Tests of pcl_methods.pretraining.frame_pairs."""

import shutil

import numpy as np
import pytest

from pcl_data.pairs import mine_pairs, unproject
from pcl_methods.pretraining.frame_pairs import open_frame_pairs, write_frame_pairs
from pcl_methods.pretraining.matched_views import MatchedViews
from pcl_methods.pretraining.views import ViewBatches

SOURCE = {"kind": "folder", "root": "/scans", "options": ["label_set=scannet20"], "world_seed": 0}


def write(filmed, out, voxel_size=0.05, source=SOURCE):
    load = filmed.__getitem__
    return write_frame_pairs(list(filmed), load, out, source=source, voxel_size=voxel_size)


def test_overlapping_frames_of_every_scene_are_paired(filmed, tmp_path):
    counts = write(filmed, tmp_path / "pairs")
    assert counts == {f"room{i}": 1 for i in range(6)}  # the third frame sees another place
    pairs = open_frame_pairs(tmp_path / "pairs", ["room0", "room2", "room9"])
    assert pairs.pairs == (("room0", "000000", "000001"), ("room2", "000000", "000001"))


def test_clouds_are_those_of_the_frames_thinned(filmed, tmp_path):
    write(filmed, tmp_path / "pairs", voxel_size=0.2)
    frames = filmed["room3"].frames
    assert mine_pairs(frames, min_overlap=0.3).pairs.tolist() == [[0, 1]]
    pairs = open_frame_pairs(tmp_path / "pairs", ["room3"])
    for frame, cloud in zip(frames, pairs.load(pairs.pairs[0]), strict=False):
        points, colors, _ = unproject(frame)
        assert 0 < len(cloud.points) < len(points)
        rows = [np.flatnonzero((points == point).all(axis=1))[0] for point in cloud.points]
        assert np.array_equal(colors[rows], cloud.colors)


def test_views_of_frame_pairs_overlap_in_the_world(filmed, tmp_path):
    write(filmed, tmp_path / "pairs", voxel_size=0.02)
    pairs = open_frame_pairs(tmp_path / "pairs", list(filmed))
    batch = ViewBatches(pairs.pairs, pairs.load, MatchedViews(0.08), count=2)[0]
    first, second = (batch[view]["points"][batch[view]["rows"]] for view in ("first", "second"))
    assert (first - second).norm(dim=1).max() <= 1.5 * 0.08 + 1e-5
    # the cameras saw a rough floor that reaches below that of the scene
    assert batch["first"]["points"][:, 2].min() < -0.1


def test_what_is_there_is_kept_and_what_is_missing_is_made(filmed, tmp_path):
    out = tmp_path / "pairs"
    write(filmed, out)
    kept = [out / "room1" / "000000" / "coord.npy", out / "source.json"]
    before = [file.stat().st_mtime_ns for file in kept]
    shutil.rmtree(out / "room2")
    assert write(filmed, out) == {f"room{i}": 1 for i in range(6)}
    assert [file.stat().st_mtime_ns for file in kept] == before
    assert (out / "room2" / "overlap.txt").exists()


def test_a_scene_is_written_whole_or_not_at_all(filmed, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("pcl_methods.pretraining.frame_pairs.save_pairs", full)
        with pytest.raises(OSError, match="disk full"):
            write(filmed, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]
    (tmp_path / "room0").mkdir()
    (tmp_path / "room0" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="room0"):
        write(filmed, tmp_path)
    assert (tmp_path / "room0" / "notes.txt").read_text() == "mine"


def test_each_scene_is_reported_when_it_is_done(filmed, tmp_path):
    reported = []
    names = ["room1", "room0"]
    load = filmed.__getitem__
    counts = write_frame_pairs(names, load, tmp_path, source=SOURCE, report=reported.append)
    assert reported == list(counts) == names


def test_pairs_of_another_source_are_rejected(filmed, tmp_path):
    write(filmed, tmp_path / "pairs")
    with pytest.raises(ValueError, match=r"holds pairs with voxel_size 0.05, not 0.1"):
        write(filmed, tmp_path / "pairs", voxel_size=0.1)
    with pytest.raises(ValueError, match="holds pairs with world_seed 0, not 1"):
        write(filmed, tmp_path / "pairs", source={**SOURCE, "world_seed": 1})
    with pytest.raises(ValueError, match="holds pairs with kind folder, not rooms"):
        open_frame_pairs(tmp_path / "pairs", ["room0"], {"kind": "rooms"})
    open_frame_pairs(tmp_path / "pairs", ["room0"], {"kind": "folder", "world_seed": 0})
    (tmp_path / "pairs" / "source.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"source.json: must be what `pretrain-cli pairs` wrote"):
        open_frame_pairs(tmp_path / "pairs", ["room0"], {"kind": "folder"})


def test_other_folders_are_rejected(filmed, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="must be empty or hold pairs"):
        write(filmed, tmp_path)
    with pytest.raises(FileNotFoundError, match="must be a folder that `pretrain-cli pairs` wrote"):
        open_frame_pairs(tmp_path, ["room0"])


def test_scenes_without_frames_are_rejected(rooms, tmp_path):
    with pytest.raises(ValueError, match="scene room0 must have frames with depth, got none"):
        write(rooms, tmp_path)
