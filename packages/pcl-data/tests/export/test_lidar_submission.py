"""Tests of pcl_data.export.lidar_submission."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcl_data import NUSCENES16, SEMANTICKITTI19, SEMANTICKITTI25
from pcl_data.evaluation import SemanticEvaluator
from pcl_data.export import (
    write_nuscenes_submission,
    write_semantickitti_labels,
    write_semantickitti_submission,
)
from pcl_data.readers import read_nuscenes_lidarseg, read_semantickitti_labels

LABELS = np.array([0, 8, -1, 5])  # car, road, none, person


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_semantickitti_layout_is_that_of_the_server(tmp_path):
    predictions = [("11/000000", LABELS, None), ("21/000012", LABELS[:2], np.array([4, -1]))]
    write_semantickitti_submission(tmp_path / "new", iter(predictions))
    assert files(tmp_path / "new") == [
        "sequences/11/predictions/000000.label",
        "sequences/21/predictions/000012.label",
    ]
    content = (tmp_path / "new" / "sequences/11/predictions/000000.label").read_bytes()
    assert content == np.array([10, 40, 0, 30], "<u4").tobytes()
    content = (tmp_path / "new" / "sequences/21/predictions/000012.label").read_bytes()
    assert content == np.array([10 | 1 << 16, 40], "<u4").tobytes()


def test_moving_classes_have_their_original_ids(tmp_path):
    labels = np.arange(SEMANTICKITTI25.n_classes)
    predictions = [("11/000000", labels, None)]
    write_semantickitti_submission(tmp_path, predictions, label_set=SEMANTICKITTI25)
    path = tmp_path / "sequences/11/predictions/000000.label"
    assert {252, 253, 254, 255, 258, 259} < set(np.fromfile(path, "<u4").tolist())
    assert read_semantickitti_labels(path, SEMANTICKITTI25)[0].tolist() == labels.tolist()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-1, 18), st.integers(-1, 2**40)), min_size=1, max_size=9))
def test_objects_stay_apart_on_the_way_through_a_file(tmp_path, pairs):
    labels, instances = np.array(pairs).T
    write_semantickitti_labels(tmp_path / "a.label", labels, instances)
    again, objects = read_semantickitti_labels(tmp_path / "a.label")
    assert again.tolist() == labels.tolist()
    for i in range(len(pairs)):
        is_thing = labels[i] in SEMANTICKITTI19.things and instances[i] >= 0
        assert (objects[i] >= 0) == is_thing
        for j in range(i):
            if is_thing and objects[j] >= 0:
                assert (objects[i] == objects[j]) == (pairs[i] == pairs[j])


def test_a_submission_has_the_score_of_its_predictions(tmp_path):
    generator = np.random.default_rng(0)
    truth = generator.integers(-1, 16, 500)
    guess = np.where(
        generator.random(500) < 0.7, np.maximum(truth, 0), generator.integers(0, 16, 500)
    )
    write_semantickitti_submission(tmp_path, [("08/000000", guess, None)])
    write_nuscenes_submission(tmp_path, [("abc", guess)], eval_set="val")
    kitti = read_semantickitti_labels(tmp_path / "sequences/08/predictions/000000.label")[0]
    nuscenes = read_nuscenes_lidarseg(
        tmp_path / "lidarseg/val/abc_lidarseg.bin", challenge_ids=True
    )
    for label_set, again in ((SEMANTICKITTI19, kitti), (NUSCENES16, nuscenes)):
        scores = []
        for predictions in (guess, again):
            evaluator = SemanticEvaluator(label_set)
            evaluator.update(truth, predictions)
            scores.append(evaluator.compute().miou)
        assert scores[0] == scores[1] > 0.3


@pytest.mark.parametrize(
    ("labels", "instances", "message"),
    [
        ([19], None, r"train must lie in \[-1, 19\)"),
        ([-2], None, r"train must lie in \[-1, 19\)"),
        ([0, 0], [1], r"instances must have shape \(2,\), got \(1,\)"),
        (np.zeros(65536, int), np.arange(65536), "instances must be at most 65535, got 65536"),
    ],
)
def test_what_does_not_fit_writes_nothing(tmp_path, labels, instances, message):
    unchecked = getattr(write_semantickitti_labels, "__wrapped__", write_semantickitti_labels)
    instances = None if instances is None else np.array(instances)
    with pytest.raises(ValueError, match=message):
        unchecked(tmp_path / "a.label", np.array(labels), instances)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["8/000000", "08/0", "../../etc/000000", "08/000000.label"])
def test_other_names_of_sweeps_are_an_error(tmp_path, name):
    with pytest.raises(ValueError, match="predictions must have names like 08/000000"):
        write_semantickitti_submission(tmp_path, [(name, LABELS, None)])


def test_as_many_objects_as_there_are_numbers_fit(tmp_path):
    write_semantickitti_labels(tmp_path / "a.label", np.zeros(65535, int), np.arange(65535))
    assert len(np.unique(read_semantickitti_labels(tmp_path / "a.label")[1])) == 65535


def test_the_nuscenes_layout_is_that_of_the_server(tmp_path):
    predictions = iter([("abc", np.array([0, 15])), ("def", np.array([3], np.int8))])
    write_nuscenes_submission(tmp_path, predictions, inputs={"lidar", "camera"})
    assert files(tmp_path) == [
        "lidarseg/test/abc_lidarseg.bin",
        "lidarseg/test/def_lidarseg.bin",
        "test/submission.json",
    ]
    assert (tmp_path / "lidarseg/test/abc_lidarseg.bin").read_bytes() == bytes([1, 16])
    assert (tmp_path / "lidarseg/test/def_lidarseg.bin").read_bytes() == bytes([4])
    assert json.loads((tmp_path / "test/submission.json").read_text()) == {
        "meta": {
            "use_camera": True,
            "use_lidar": True,
            "use_radar": False,
            "use_map": False,
            "use_external": False,
        }
    }


@pytest.mark.parametrize(
    ("predictions", "inputs", "message"),
    [
        (
            [("abc", np.array([0, -1]))],
            {"lidar"},
            r"labels of abc must lie in \[0, 16\), got \[-1, 0\]",
        ),
        (
            [("abc", np.array([16]))],
            {"lidar"},
            r"labels of abc must lie in \[0, 16\), got \[16, 16\]",
        ),
        ([("a/b", np.array([0]))], {"lidar"}, "tokens of letters and digits, got 'a/b'"),
        ([], {"lidar", "sonar"}, r"inputs must be among camera, .*, got \['lidar', 'sonar'\]"),
    ],
)
def test_what_the_server_refuses_is_an_error(tmp_path, predictions, inputs, message):
    with pytest.raises(ValueError, match=message):
        write_nuscenes_submission(tmp_path, predictions, inputs=inputs)
    assert files(tmp_path) == []  # above all no submission.json


def test_an_unknown_evaluation_set_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"eval_set must be one of train, val, test, got '\.\./x'"):
        write_nuscenes_submission(tmp_path / "a", [], eval_set="../x")
    assert list(tmp_path.iterdir()) == []


def test_no_half_written_file_takes_the_place_of_a_whole_one(tmp_path, monkeypatch):
    write_semantickitti_labels(tmp_path / "a.label", LABELS)
    before = (tmp_path / "a.label").read_bytes()

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_semantickitti_labels(tmp_path / "a.label", LABELS[::-1])
    assert (tmp_path / "a.label").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.label"]
