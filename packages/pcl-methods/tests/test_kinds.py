"""Tests of pcl_methods.kinds."""

import pytest

from pcl_methods.kinds import data_name, kind_of, place_of
from pcl_methods.settings import DataConfig


def test_names_of_data(tmp_path):
    assert data_name(DataConfig(kind="streets")) == "streets-v1"
    assert data_name(DataConfig(kind="streets", world_seed=3)) == "streets-v1-world3"
    rare = {"vocabulary": "long-tail"}
    assert data_name(DataConfig(options={"vocabulary": "scannet20"})) == "rooms-v5"
    assert data_name(DataConfig(options=rare)) == "rooms-longtail-v1"
    others = DataConfig(options=rare | {"n_flat_rooms": "20"}, world_seed=3)
    assert data_name(others) == "rooms-longtail-v1-flat20-world3"
    with pytest.raises(ValueError, match="vocabulary must be scannet20 or long-tail, got 'longer'"):
        data_name(DataConfig(options={"vocabulary": "longer"}))
    assert data_name(DataConfig(kind="scannet", root=tmp_path)) == "scannet"
    assert data_name(DataConfig(root=tmp_path)) == f"folder:{tmp_path.name}"


def test_a_root_without_a_kind_is_a_folder(tmp_path):
    assert kind_of(DataConfig()) == "rooms"
    assert kind_of(DataConfig(root=tmp_path)) == "folder"
    assert kind_of(DataConfig(kind="nuscenes", root=tmp_path)) == "nuscenes"
    with pytest.raises(ValueError, match=r"data.kind must be one of auto, rooms, .*'scannet'"):
        kind_of(DataConfig(kind="scanet"))


def test_sweeps_of_a_sequence_were_taken_at_one_place():
    assert place_of("08/000001") == place_of("08/000002") == "08"
    assert place_of("room_0001_office") == "room_0001_office"
