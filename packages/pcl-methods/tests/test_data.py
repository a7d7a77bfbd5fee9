"""Tests of pcl_methods.data."""

import pickle
from pathlib import Path

import pytest

from pcl_data import SCANNET20, save_scene
from pcl_methods.data import open_scored, open_split, open_test_scenes, spread, with_other_data
from pcl_methods.segmentation.testing import make_room
from pcl_methods.settings import DataConfig
from pcl_synth import SyntheticRooms, SyntheticStreets


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Six scans in a folder."""
    folder = tmp_path_factory.mktemp("scans")
    for index in range(6):
        save_scene(make_room(f"scene{index}", index), folder / f"scene{index}")
    return folder


def own(scans, **settings) -> DataConfig:
    return DataConfig(**({"root": scans, "options": {"label_set": "scannet20"}} | settings))


def test_every_scene_has_one_role_and_keeps_it(scans):
    split = open_split(own(scans, budget="2scenes", n_validation=1))
    roles = [*split.labeled, *split.unlabeled, *split.validation]
    assert sorted(roles) == [f"scene{index}" for index in range(6)]
    assert (len(split.labeled), len(split.validation)) == (2, 1)
    more = open_split(own(scans, budget="4scenes", n_validation=1, budget_seed=0))
    assert more.validation == split.validation
    assert set(split.labeled) < set(more.labeled)
    other = open_split(own(scans, budget="2scenes", n_validation=1, budget_seed=5))
    assert other.validation == split.validation
    assert other.labeled != split.labeled


def test_patterns_choose_scenes(scans):
    split = open_split(own(scans, labeled=("scene[01]",), validation=("scene5",)))
    assert split.labeled == ("scene0", "scene1")
    assert split.unlabeled == ("scene2", "scene3", "scene4")
    assert split.budget.name == "lr-2-named"


def test_the_validation_split_is_another_data_set(scans):
    split = open_split(own(scans, split="scene0,scene1", validation_split="scene5,"))
    assert (split.training, split.validation) == (("scene0", "scene1"), ("scene5",))
    assert split.load("scene5").name == "scene5"
    some = own(scans, split="scene0,", validation_split="scene4,scene5", validation=("*4",))
    assert (
        open_split(some).validation == open_test_scenes(some, SCANNET20).validation == ("scene4",)
    )


def test_a_split_goes_to_other_processes(scans):
    split = pickle.loads(pickle.dumps(open_split(own(scans, n_validation=1))))
    assert split.load(split.training[0]).name == split.training[0]
    with pytest.raises(ValueError, match="name must be that of a scene of the run, got 'x'"):
        split.load("x")


def test_nothing_is_held_out_of_a_folder_unless_scores_are_wanted(scans):
    assert open_split(own(scans, n_validation=2), scored=False).validation == ()
    assert len(open_split(own(scans, n_validation=2)).validation) == 2
    unlabeled = DataConfig(root=scans, n_validation=1)
    assert open_split(unlabeled, scored=False).label_set is None


def test_labels_without_a_meaning_are_named(scans):
    with pytest.warns(UserWarning, match=r"labels of folder:.* are read as train ids of scannet20"):
        split = open_split(DataConfig(root=scans, n_validation=1))
    assert split.load(split.training[0]).label_set is SCANNET20
    sweeps = DataConfig(root=scans, n_validation=1, features="intensity")
    with pytest.raises(ValueError, match=r"data must have labels, .* data.options.label_set"):
        open_split(sweeps)


def test_the_dataset_yaml_of_a_folder_says_what_labels_mean(scans, tmp_path):
    import shutil

    own = shutil.copytree(scans, tmp_path / "own")
    classes = "".join(f"  - {{name: c{number}}}\n" for number in range(20))
    (own / "dataset.yaml").write_text(f"name: mine\nclasses:\n{classes}label_ids: train\n")
    split = open_split(DataConfig(root=own, n_validation=1))
    assert split.label_set.names[:2] == ("c0", "c1")


def test_test_scenes_stand_alone(scans):
    assert len(open_test_scenes(own(scans), SCANNET20).validation) == 6
    assert open_test_scenes(own(scans, validation=("scene[45]",)), SCANNET20).validation == (
        "scene4",
        "scene5",
    )


def test_of_its_own_data_a_model_is_scored_on_what_is_held_out(scans, tmp_path):
    trained = own(scans, n_validation=2, budget="1scenes")
    settings = {"data": trained.model_dump(mode="json"), "seed": 3}
    held_out = open_split(trained).validation

    def scored(data=None, **changes):
        given = with_other_data(settings, data)
        config = DataConfig(**given["data"]).model_copy(update=changes)
        return open_scored(config, settings["data"], SCANNET20).validation

    assert scored() == scored(scans) == scored(budget="2scenes") == held_out
    assert len(scored(n_validation=3)) == 3
    assert scored(split="scene0,") == ("scene0",)
    save_scene(make_room("other", 0), tmp_path / "other")
    assert scored(tmp_path) == ("other",)


@pytest.mark.parametrize(("kind", "kept"), [("rooms", {}), ("folder", {"pattern": "*"})])
def test_options_of_another_reader_are_not_those_of_a_folder(kind, kept, tmp_path):
    root = tmp_path if kind == "folder" else None
    trained = DataConfig(kind=kind, root=root, options=kept or {"cache": "x"}, features="intensity")
    found = with_other_data({"data": trained.model_dump(mode="json")}, tmp_path / "scans")
    assert found["data"] == {
        "options": kept,
        "features": "intensity",
        "root": str(tmp_path / "scans"),
    }


def test_the_next_five_rooms_are_one_of_each_kind(monkeypatch):
    monkeypatch.setattr(SyntheticRooms, "prepare", lambda *args, **kwargs: None)
    split = open_split(DataConfig(n_scenes=20, n_validation=10, budget="5scenes", world_seed=4))
    kinds = [name.split("_")[2] for name in split.labeled]
    assert sorted(kinds) == ["bathroom", "bedroom", "kitchen", "living", "office"]
    assert sorted(split.validation + split.labeled)[-1] < min(split.unlabeled)
    assert split.data == "rooms-v5-world4"


def test_held_out_rooms_of_the_long_tail_are_flat(monkeypatch):
    monkeypatch.setattr(SyntheticRooms, "prepare", lambda *args, **kwargs: None)
    split = open_split(DataConfig(options={"vocabulary": "long-tail"}, budget="20%"))
    assert {name[:4] for name in split.validation} == {"flat"}
    assert {name[:4] for name in split.training} == {"room"}
    assert split.data == "rooms-longtail-v1"
    assert split.label_set.frequency is not None


def test_the_world_does_not_depend_on_the_seed_of_the_labels(monkeypatch):
    monkeypatch.setattr(SyntheticRooms, "prepare", lambda *args, **kwargs: None)
    splits = [open_split(DataConfig(budget="20%", budget_seed=seed)) for seed in (0, 1)]
    assert splits[0].validation == splits[1].validation
    assert splits[0].training == splits[1].training
    assert splits[0].labeled != splits[1].labeled


def test_whole_sequences_of_streets_are_held_out(monkeypatch):
    monkeypatch.setattr(SyntheticStreets, "prepare", lambda self, n_workers: None)
    split = open_split(DataConfig(kind="streets", n_scenes=4, n_validation=1, n_sweeps=3))
    assert split.validation == tuple(f"street_0000/{tick:06d}" for tick in (0, 10, 20))
    assert "street_0000" not in {name.split("/")[0] for name in split.training}


def test_areas_are_splits_and_area_5_is_held_out(tmp_path):
    for area in range(1, 7):
        objects = tmp_path / f"Area_{area}" / "office_1" / "Annotations"
        objects.mkdir(parents=True)
        for name in ("floor_1", "chair_1"):
            (objects / f"{name}.txt").write_text("0 0 0 10 20 30\n1 1 1 10 20 30\n")
    split = open_split(DataConfig(kind="s3dis", root=tmp_path))
    assert split.validation == ("Area_5_office_1",)
    assert split.training == tuple(f"Area_{area}_office_1" for area in (1, 2, 3, 4, 6))
    assert (split.data, split.label_set.n_classes) == ("s3dis", 13)
    alone = open_test_scenes(DataConfig(kind="s3dis", root=tmp_path), SCANNET20)
    assert alone.validation == ("Area_5_office_1",)
    one = open_split(DataConfig(kind="s3dis", root=tmp_path, split="Area_1", budget="1scenes"))
    assert one.labeled == ("Area_1_office_1",)
    assert one.load_labeled("Area_1_office_1", instances=True).instances is not None


def test_points_of_each_scene_are_a_budget_under_which_all_scenes_stay_unlabeled(scans):
    split = open_split(own(scans, budget="20pts", n_validation=1))
    assert split.labeled == split.unlabeled == split.training
    scene = split.load_labeled(split.training[0], instances=True)
    assert (scene.labels >= 0).sum() == 20
    assert (split.load(scene.name).labels >= 0).sum() > 1000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": ("kitchen*",)}, r"data.validation must match scenes .* got 'kitchen\*' of"),
        ({"validation": ("*",)}, "data must leave scenes to learn from, got all 6 held out"),
        ({"labeled": ("scene5",), "validation": ("scene5",)}, "data.labeled must match scenes"),
        ({"n_validation": 6}, "data.n_validation must leave some of 6 scenes, got 6"),
        ({"n_validation": 1, "budget": "7scenes"}, "data.budget must be 1 to 5 scenes, got 7"),
        ({"n_validation": 1, "budget": "five"}, "data.budget must be like 5%"),
        ({"n_validation": 1, "budget": "5..%"}, "data.budget must be like 5%"),
        ({"kind": "folders"}, r"data.kind must be one of .* did you mean 'folder'\?"),
        ({"kind": "rooms"}, r"data.root must not be given with rooms"),
        ({"kind": "scannet", "root": None}, r"data.root must name the folder of scannet, got none"),
        ({"options": {"patern": "*"}}, r"got 'patern'; did you mean 'pattern'\?"),
    ],
)
def test_wrong_settings_are_named(scans, settings, message):
    with pytest.raises(ValueError, match=message):
        open_split(own(scans, **settings))


def test_a_scan_in_millimetres_is_an_error_unless_the_options_say_more(scans):
    config = own(scans, options={"label_set": "scannet20", "max_extent": "1"}, n_validation=1)
    with pytest.raises(ValueError, match=r"max_extent=1: .*data.options.max_extent=3 takes it"):
        open_split(config).load("scene0")
    assert open_split(own(scans, n_validation=1)).load("scene0").label_set is SCANNET20


@pytest.mark.parametrize(("count", "taken"), [(1, "a"), (3, "adg"), (7, "abcdefg"), (9, "abcdefg")])
def test_some_scenes_come_from_all_over(count, taken):
    assert spread("abcdefg", count) == taken
    assert spread("", count) == ""
