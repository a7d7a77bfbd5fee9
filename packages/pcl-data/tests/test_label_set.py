"""Tests of pcl_data.label_set and its tables."""

import csv
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import (
    KITTI8,
    NUSCENES16,
    NYU40,
    S3DIS13,
    SCANNET20,
    SCANNET200,
    SEMANTICKITTI19,
    SEMANTICKITTI25,
    SUNRGBD10,
    WAYMO22,
    LabelSet,
)

LIDAR_SETS = [SEMANTICKITTI19, SEMANTICKITTI25, NUSCENES16, WAYMO22]
LABEL_SETS = [NYU40, SCANNET20, SCANNET200, S3DIS13, SUNRGBD10, KITTI8, *LIDAR_SETS]


@pytest.fixture
def pets() -> LabelSet:
    return LabelSet(
        name="pets",
        names=("grass", "cat"),
        raw_ids=(7, 3),
        colors=((0, 255, 0), (9, 9, 9)),
        is_stuff=(True, False),
        ignored_raw_ids=(0, 5),
    )


@pytest.mark.parametrize("label_set", LABEL_SETS, ids=lambda label_set: label_set.name)
def test_raw_ids_of_train_ids_lead_back(label_set):
    train = np.arange(-1, label_set.n_classes)
    np.testing.assert_array_equal(label_set.to_train(label_set.to_raw(train)), train)


@given(st.sampled_from(LABEL_SETS), st.data())
def test_maps_keep_the_shape(label_set, data):
    train = data.draw(st.lists(st.integers(-1, label_set.n_classes - 1), max_size=12))
    train = np.array(train, np.int32).reshape(-1, 1)
    raw = label_set.to_raw(train)
    assert raw.shape == train.shape
    np.testing.assert_array_equal(label_set.to_train(raw.astype(np.uint16)), train)


def test_maps_by_hand(pets):
    assert pets.to_train(np.array([[3, 7], [0, 5]])).tolist() == [[1, 0], [-1, -1]]
    assert pets.to_raw(np.array([0, 1, -1])).tolist() == [7, 3, 0]
    assert pets.things == (1,)
    assert pets.n_classes == 2


def test_an_empty_array_maps_to_an_empty_array(pets):
    assert pets.to_train(np.zeros(0, np.int64)).shape == (0,)
    assert pets.to_raw(np.zeros(0, np.int64)).shape == (0,)


@pytest.mark.parametrize(
    ("raw", "named"), [([3, 4, 4, 1], r"\[1, 4\]"), ([8], r"\[8\]"), ([-1], r"\[-1\]")]
)
def test_unknown_raw_ids_are_named(pets, raw, named):
    with pytest.raises(ValueError, match=rf"raw must hold ids known to pets, got {named}"):
        pets.to_train(np.array(raw))


@pytest.mark.parametrize("train", [-2, 2])
def test_train_ids_outside_the_set_are_rejected(pets, train):
    with pytest.raises(ValueError, match=rf"train must lie in \[-1, 2\) of pets, got \[{train}"):
        pets.to_raw(np.array([train]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colors": ()}, "colors must have one entry for each of the 2 names, got 0"),
        ({"frequency": ("head",)}, "frequency must have one entry for each of the 2 names, got 1"),
        ({"raw_ids": (3, 3)}, "must be distinct"),
        ({"raw_ids": (-3, 3)}, "must be distinct and positive"),
        ({"raw_ids": (5, 3)}, "must be distinct"),
        ({"raw_ids": (2**24, 3)}, "raw ids must be at most 16777215, got 16777216"),
        ({"ignored_raw_ids": (5,)}, r"ignored_raw_ids must contain 0, got \(5,\)"),
    ],
)
def test_inconsistent_tables_are_rejected(pets, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(pets, **change)


def test_scannet20_is_the_benchmark():
    ids = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
    assert SCANNET20.raw_ids == ids
    assert SCANNET20.names[:3] == ("wall", "floor", "cabinet")
    assert SCANNET20.names[14:16] == ("refrigerator", "shower curtain")
    assert SCANNET20.colors[4] == (188, 189, 34)
    assert SCANNET20.things == tuple(range(2, 20))
    assert (SCANNET20.to_train(np.arange(41)) >= 0).sum() == 20


def test_nyu40_knows_forty_classes():
    assert NYU40.raw_ids == tuple(range(1, 41))
    assert NYU40.ignored_raw_ids == (0,)
    assert NYU40.things == tuple(i for i in range(40) if i not in (0, 1, 21))  # 21: ceiling


def test_scannet200_is_split_into_head_common_and_tail():
    assert SCANNET200.n_classes == 200
    assert [SCANNET200.frequency.count(f) for f in ("head", "common", "tail")] == [66, 68, 66]
    assert len(set(SCANNET200.names)) == 200
    assert list(SCANNET200.raw_ids) == sorted(SCANNET200.raw_ids)
    assert [SCANNET200.names[i] for i in (0, 1, 2, 199)] == ["wall", "chair", "floor", "mattress"]
    assert SCANNET200.colors[199] == (42, 94, 198)
    assert SCANNET200.frequency[SCANNET200.names.index("paper")] == "tail"
    assert SCANNET200.things == (1, *range(3, 200))
    assert SCANNET200.to_train(np.array([12, 1357])).tolist() == [-1, -1]


@pytest.mark.real
def test_tables_agree_with_the_table_of_scannet(real_data):
    file = real_data / "scannet" / "scannetv2-labels.combined.tsv"
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    nyu40 = {int(row["nyu40id"]): row["nyu40class"] for row in rows}
    nyu40[24] = "refrigerator"  # spelt refridgerator there
    assert tuple(nyu40[i] for i in NYU40.raw_ids) == NYU40.names
    ids = np.array(sorted({int(row["id"]) for row in rows}))
    assert (SCANNET200.to_train(ids) >= 0).sum() == 200
    by_id = [(int(row["id"]), row[key]) for row in rows for key in ("category", "raw_category")]
    assert set(zip(SCANNET200.raw_ids, SCANNET200.names, strict=True)) <= set(by_id)


@pytest.mark.parametrize(
    ("label_set", "raw", "names"),
    [
        (SEMANTICKITTI19, [10, 252, 13, 60, 81], "car car other-vehicle road traffic-sign"),
        (SEMANTICKITTI25, [252, 257, 60, 258], "moving-car moving-other-vehicle road moving-truck"),
        (NUSCENES16, [15, 16, 6, 24, 30], "bus bus pedestrian driveable_surface vegetation"),
        (WAYMO22, [1, 19, 22], "car lane_marker sidewalk"),
    ],
)
def test_lidar_ids_merge_as_the_official_tables_say(label_set, raw, names):
    train = label_set.to_train(np.array(raw))
    assert [label_set.names[label] for label in train] == names.split()


def test_lidar_ids_that_do_not_count_are_unlabeled():
    assert (SEMANTICKITTI19.to_train(np.array([0, 1, 52, 99])) == -1).all()
    assert (NUSCENES16.to_train(np.array([0, 1, 5, 7, 8, 10, 11, 13, 19, 20, 29, 31])) == -1).all()


def test_things_are_the_countable_classes_of_the_panoptic_benchmarks():
    assert len(SEMANTICKITTI19.things) == 8
    assert SEMANTICKITTI19.names[SEMANTICKITTI19.things[-1]] == "motorcyclist"
    assert len(SEMANTICKITTI25.things) == 14
    assert NUSCENES16.things == tuple(range(10))
    assert S3DIS13.things == tuple(range(12))


def test_an_id_cannot_be_merged_into_a_class_that_does_not_exist(pets):
    with pytest.raises(ValueError, match=r"merged_raw_ids must lead to raw_ids, got \[4\]"):
        dataclasses.replace(pets, merged_raw_ids=((9, 4),))
    merged = dataclasses.replace(pets, merged_raw_ids=((9, 3),))
    assert merged.to_train(np.array([9, 3, 7])).tolist() == [1, 1, 0]
