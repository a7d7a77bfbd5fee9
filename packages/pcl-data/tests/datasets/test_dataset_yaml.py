"""Tests of pcl_data.datasets.dataset_yaml."""

import re
from dataclasses import replace

import pytest

from pcl_data import NUSCENES16, NYU40, S3DIS13, SCANNET20, SCANNET200, SEMANTICKITTI25
from pcl_data.datasets import dataset_yaml
from pcl_data.datasets.dataset_yaml import read_dataset_yaml, write_dataset_yaml

SMALL = "name: mine\nclasses: [{name: floor}, {name: bench}]\n"


def read(tmp_path, text):
    (tmp_path / "dataset.yaml").write_text(text)
    return read_dataset_yaml(tmp_path / "dataset.yaml")


def test_the_example_of_the_module_is_read(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", dataset_yaml.__doc__, re.DOTALL)
    description = read(tmp_path, text)
    label_set = description.label_set
    assert label_set.name == "workshop"
    assert label_set.names == ("floor", "bench")
    assert label_set.raw_ids == (2, 7)
    assert label_set.colors == ((152, 223, 138), NYU40.colors[1])
    assert label_set.is_stuff == (True, False)
    assert label_set.ignored_raw_ids == (0, 1)
    assert label_set.merged_raw_ids == ((8, 7),)
    assert description.label_ids == "raw"
    assert description.splits == {"train": ("hall_1", "hall_2"), "val": ("hall_3*",)}
    assert description.columns == {"label": "semanticID", "instance": "instanceID"}


def test_names_of_classes_are_enough(tmp_path):
    description = read(tmp_path, SMALL)
    assert description.label_set.raw_ids == (1, 2)
    assert description.label_set.things == (0, 1)
    assert description.label_set.ignored_raw_ids == (0,)
    assert description.splits == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SMALL + "split: {}\n",
            "the file must have keys of .*, got 'split': did you mean 'splits'",
        ),
        (SMALL + "columns: {lable: a}\n", "columns must have keys .* did you mean 'label'"),
        (SMALL + "columns: {label: [1]}\n", r"columns.label must be of type str, got \[1\]"),
        (SMALL + "name: twice\n", "the key 'name' twice"),
        (SMALL + f"ignored: [{10**400}]\n", r"ignored must hold ids of at most 2147483647"),
        (SMALL + "xyzzy: 1\n", "the file must have keys of .*, got 'xyzzy'$"),
        (SMALL.replace("name: bench", "name: bench, colour: [0, 0, 0]"), "mean 'color'"),
        (SMALL.replace("name: bench", "id: 2"), r"classes\[1\] must have the key 'name'"),
        ("name: mine\n", "the file must have the key 'classes'"),
        ("name: mine\nclasses: []\n", "classes must hold at least one class"),
        ("name: mine\nclasses: {a: 1}\n", "classes must be of type list"),
        ("- a\n", "the file must be of type dict"),
        ("", "the file must be of type dict, got None"),
        ("name: [unclosed\n", "must be a complete YAML file"),
        ("name: !!python/object/apply:os.system [ls]\n", "must be a complete YAML file"),
        (SMALL.replace("mine", "7"), "name must be of type str, got 7"),
        (SMALL.replace("bench", "yes"), r"classes\[1\]\.name must be of type str, got True"),
        (SMALL.replace("bench", "b, id: true"), r"classes\[1\]\.id must be of type int, got True"),
        (SMALL.replace("bench", "b, id: 1"), "raw_ids, ignored_raw_ids and .* must be distinct"),
        (SMALL.replace("bench", "b, stuff: 1"), r"classes\[1\]\.stuff must be of type bool, got 1"),
        (SMALL.replace("bench", "b, color: [0, 256, 0]"), r"classes\[1\]\.color must be three num"),
        (SMALL.replace("bench", "b, color: [0, 0]"), r"classes\[1\]\.color must be three numbers"),
        (SMALL.replace("bench", "b, color: red"), r"classes\[1\]\.color must be of type list"),
        (SMALL + "merged: {8: 9}\n", r"merged_raw_ids must lead to raw_ids, got \[9\]"),
        (SMALL + "merged: [8, 1]\n", "merged must be of type dict"),
        (SMALL + "ignored: 3\n", "ignored must be of type list, got 3"),
        (SMALL + "ignored: [a]\n", "ignored must be of type int, got 'a'"),
        (SMALL + "label_ids: raws\n", "label_ids must be 'raw', 'train' or 'none', got 'raws'"),
        (SMALL + "splits: {val: a}\n", r"splits\.val must be of type list, got 'a'"),
        (SMALL + "splits: {val: [1]}\n", r"splits\.val must be of type str, got 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"(?s)dataset\.yaml: .*{message}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "label_set",
    [SCANNET20, SCANNET200, S3DIS13, SEMANTICKITTI25, NUSCENES16],
    ids=lambda label_set: label_set.name,
)
def test_a_written_label_set_is_read_back_whole(tmp_path, label_set):
    path = tmp_path / "dataset.yaml"
    write_dataset_yaml(path, label_set, {"train": ["a", "b"]})
    description = read_dataset_yaml(path)
    assert description.label_set == label_set
    assert description.label_ids == "train"
    assert description.splits == {"train": ("a", "b")}


def test_ignored_ids_keep_their_order(tmp_path):
    label_set = replace(SCANNET20, ignored_raw_ids=(40, 0, 13))
    for split in ("train", "val"):
        write_dataset_yaml(tmp_path / "dataset.yaml", label_set, {split: ["a"]})
    assert read_dataset_yaml(tmp_path / "dataset.yaml").label_set == label_set


def test_few_bytes_do_not_become_a_message_of_gigabytes(tmp_path):
    value = "x"
    for i in range(5):  # ten times as long each time
        value = f"&a{i} [{value}{f', *a{i - 1}' * 9 if i else ''}]"
    with pytest.raises(ValueError, match=r"name must be of type str, got \[") as error:
        read(tmp_path, f"name: {value}\nclasses: [{{name: a}}]\n")
    assert len(str(error.value)) < 10_000


def test_what_says_the_same_is_left_alone(tmp_path):
    path = tmp_path / "dataset.yaml"
    write_dataset_yaml(path, SCANNET20, {"train": ["a"], "val": ["b"]})
    path.write_text("# by hand\n" + path.read_text())
    write_dataset_yaml(path, SCANNET20, {"val": ["b"]})
    assert path.read_text().startswith("# by hand")


def test_writing_again_keeps_other_splits(tmp_path):
    path = tmp_path / "dataset.yaml"
    write_dataset_yaml(path, SCANNET20, {"train": ["a"]})
    write_dataset_yaml(path, SCANNET20, {"val": ["b"]})
    write_dataset_yaml(path, SCANNET20, {"train": ["a", "c"]})
    assert read_dataset_yaml(path).splits == {"train": ("a", "c"), "val": ("b",)}


def test_another_label_set_does_not_replace_the_first(tmp_path):
    path = tmp_path / "dataset.yaml"
    write_dataset_yaml(path, SCANNET20, {})
    with pytest.raises(ValueError, match=r"must be of s3dis13 with train ids, got scannet20 with"):
        write_dataset_yaml(path, S3DIS13, {})
    path.write_text(SMALL)
    with pytest.raises(ValueError, match=r"got mine with raw ids"):
        write_dataset_yaml(path, S3DIS13, {})


def test_a_frequency_is_given_for_every_class(tmp_path):
    with pytest.raises(ValueError, match="classes must all have a frequency, or none of them"):
        read(tmp_path, "name: m\nclasses: [{name: a, frequency: head}, {name: b}]\n")
    with pytest.raises(ValueError, match=r"classes\[0\]\.frequency must be head, common or tail"):
        read(tmp_path, "name: m\nclasses: [{name: a, frequency: rare}]\n")
