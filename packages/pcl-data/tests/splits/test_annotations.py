"""Tests of pcl_data.splits.annotations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Scene, voxel_labels, voxelize
from pcl_data.splits import keep_annotations, limited_annotations, read_annotations


def make_scene(name="room", n=40) -> Scene:
    labels = np.arange(n) % 5 - 1
    return Scene(name, np.zeros((n, 3), np.float32), labels=labels, instances=np.arange(n) // 4)


@given(st.integers(1, 50), st.integers(1, 50))
def test_annotations_are_kept_at_the_same_points_of_a_larger_budget(a, b):
    scene = make_scene()
    small, large = (limited_annotations(scene, count) for count in sorted([a, b]))
    kept = small.labels != -1
    assert kept.sum() == min(a, b, 32)  # 8 of 40 points are unlabeled
    np.testing.assert_array_equal(small.labels[kept], scene.labels[kept])
    np.testing.assert_array_equal(small.instances, np.where(kept, scene.instances, -1))
    assert (large.labels[kept] != -1).all()


def test_annotations_depend_on_scene_and_seed():
    chosen = {
        tuple(np.flatnonzero(limited_annotations(make_scene(name), 5, seed=seed).labels != -1))
        for name in ("room", "hall")
        for seed in range(3)
    }
    assert len(chosen) == 6


def test_annotations_need_labels_and_a_count():
    bare = Scene("room", np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="scene 'room': labels must be given, got None"):
        limited_annotations(bare, 1)
    with pytest.raises(ValueError, match="scene 'room': labels must be given, got None"):
        keep_annotations(bare, np.array([0]))
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        limited_annotations(make_scene(), 0)


def test_listed_points_keep_label_and_instance_and_all_others_lose_them():
    scene = make_scene()
    kept = keep_annotations(scene, np.array([7, 39, 7, 5]))  # 5 is unlabeled
    assert kept.labels[[7, 39]].tolist() == [1, 3]
    assert (np.delete(kept.labels, [7, 39]) == -1).all()
    assert kept.instances[[5, 7, 39]].tolist() == [1, 1, 9]
    assert (np.delete(kept.instances, [5, 7, 39]) == -1).all()
    assert kept.points is scene.points
    assert (keep_annotations(scene, np.zeros(0, np.int64)).labels == -1).all()


def test_scenes_without_instances_stay_without():
    scene = Scene("room", np.zeros((3, 3), np.float32), labels=np.arange(3))
    assert keep_annotations(scene, np.array([1])).instances is None


@pytest.mark.parametrize("index", [[40], [0, -1]])
def test_points_that_do_not_exist_are_rejected(index):
    with pytest.raises(ValueError, match=r"scene 'room': index must lie in \[0, 40\), got \["):
        keep_annotations(make_scene(), np.array(index))


@given(st.integers(0, 30), st.integers(1, 60))
def test_every_annotated_point_labels_its_voxel(seed, count):
    """The published quantiser loses a point whose voxel has others: here it would lose them all."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 0.2, (2000, 3)).astype(np.float32)
    scene = Scene("room", points, labels=np.full(2000, 3))
    annotated = limited_annotations(scene, count, seed=seed)
    grid = voxelize(points, 0.05)
    labels = voxel_labels(annotated.labels, grid.inverse, len(grid.coords))
    kept = np.flatnonzero(annotated.labels != -1)
    assert len(kept) == count
    assert (labels[grid.inverse[kept]] == 3).all()
    assert (labels == 3).sum() == len(np.unique(grid.inverse[kept]))
    assert np.bincount(grid.inverse).min() > 1  # no voxel has only an annotated point


def test_lists_of_points_are_read(tmp_path):
    lists = {"b": np.array([5, 1, 5]), "a": np.array([2**31], np.uint64), "c": np.zeros(0, int)}
    np.savez(tmp_path / "points20.npz", **lists)
    found = read_annotations(tmp_path / "points20.npz", ["a", "b", "c", "d"])
    assert list(found) == ["b", "a", "c"]
    for name, index in found.items():
        assert index.dtype == np.int64
        np.testing.assert_array_equal(index, lists[name])


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, "points.npz: must hold at least one scene, got none"),
        ({"z": [1]}, "points.npz: must hold given scenes, got 'z'"),
        ({"a": [[1]]}, r"points.npz: a must be a list of whole numbers from 0, got int64 of shape"),
        ({"a": [0.5]}, "points.npz: a must be a list of whole numbers from 0, got float64"),
        ({"a": [3, -1]}, "points.npz: a must be a list of whole numbers from 0"),
        ({"a": [None]}, "points.npz: must be a complete NPZ file, got: an array of object"),
    ],
)
def test_bad_lists_of_points_are_rejected(tmp_path, lists, message):
    path = tmp_path / "points.npz"
    np.savez(path, **{name: np.array(index) for name, index in lists.items()}, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        read_annotations(path, ["a", "allow_pickle"])


def test_files_that_are_missing_cut_or_too_large_are_rejected(tmp_path, monkeypatch):
    path = tmp_path / "points.npz"
    with pytest.raises(FileNotFoundError):
        read_annotations(path, ["a"])
    np.savez(path, a=np.arange(100))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="must be a complete NPZ file, got: "):
        read_annotations(path, ["a"])
    np.savez(path, a=np.arange(100))
    monkeypatch.setattr("pcl_data.readers.size_bounds.MAX_ARRAY_BYTES", 900)
    monkeypatch.setattr("pcl_data.readers.size_bounds._WIDENING", 0)
    with pytest.raises(ValueError, match=r"points.npz: .* 928 bytes unpacked, more than 900"):
        read_annotations(path, ["a"])
