"""Tests of pcl_data.datasets.nuscenes_splits."""

import pytest

from pcl_data.datasets.nuscenes_splits import SPLITS, scene_names


def test_splits_have_the_official_sizes_and_share_no_scene():
    parts = [scene_names(split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [700, 150, 150]
    assert len({name for part in parts for name in part}) == 1000


@pytest.mark.parametrize(("split", "whole"), [("mini_train", "train"), ("mini_val", "val")])
def test_the_mini_version_is_part_of_the_whole(split, whole):
    inside = set(scene_names(split)) & set(scene_names(whole))
    # Two scenes of the mini version that train there validate in the whole data set.
    assert set(scene_names(split)) - inside == (
        {"scene-0553", "scene-0796"} if split == "mini_train" else set()
    )


@pytest.mark.parametrize(
    ("split", "first", "last", "inside", "outside"),
    [
        ("train", "scene-0001", "scene-1110", "scene-0061", "scene-0003"),
        ("val", "scene-0003", "scene-1073", "scene-0221", "scene-0222"),
        ("test", "scene-0077", "scene-1043", "scene-0140", "scene-0141"),
    ],
)
def test_single_scenes(split, first, last, inside, outside):
    names = scene_names(split)
    assert (names[0], names[-1]) == (first, last)
    assert inside in names
    assert outside not in names
    assert list(names) == sorted(names)


def test_an_unknown_split_is_an_error():
    with pytest.raises(ValueError, match=f"split must be one of {', '.join(SPLITS)}, got 'all'"):
        scene_names("all")
