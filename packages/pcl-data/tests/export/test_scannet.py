"""Tests of pcl_data.export.scannet."""

import inspect
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.evaluation import InstanceEvaluator, SemanticEvaluator
from pcl_data.export import (
    InstancePrediction,
    read_scannet_instances,
    read_scannet_labels,
    write_scannet_budgets,
    write_scannet_submission,
)
from pcl_data.label_set import SCANNET20, SCANNET200, LabelSet

CHAIR, SOFA = SCANNET20.names.index("chair"), SCANNET20.names.index("sofa")


def instances(masks, labels, scores) -> InstancePrediction:
    return InstancePrediction(
        np.array(masks, bool), np.array(labels, np.int64), np.array(scores, np.float64)
    )


TWO = instances([[1, 1, 0], [0, 0, 1]], [CHAIR, SOFA], [0.5, 0.25])


@pytest.fixture
def written(tmp_path):
    """The folder of a submission with the two instances."""
    write_scannet_submission(tmp_path / "s", [("scene0707_00", TWO)])
    return tmp_path / "s"


def test_a_semantic_file_is_one_nyu40_id_a_line(tmp_path):
    labels = np.array([0, SCANNET20.names.index("otherfurniture"), -1])
    write_scannet_submission(tmp_path / "s", [("scene0707_00", labels), ("a", labels[:1])])
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["a.txt", "scene0707_00.txt"]
    assert (tmp_path / "s" / "scene0707_00.txt").read_bytes() == b"1\n39\n0\n"


def test_an_instance_file_lists_masks_of_zeros_and_ones(written):
    assert (written / "scene0707_00.txt").read_bytes() == (
        b"predicted_masks/scene0707_00_000.txt 5 0.5\npredicted_masks/scene0707_00_001.txt 6 0.25\n"
    )
    assert (written / "predicted_masks" / "scene0707_00_000.txt").read_bytes() == b"1\n1\n0\n"
    assert (written / "predicted_masks" / "scene0707_00_001.txt").read_bytes() == b"0\n0\n1\n"
    assert len(list(written.rglob("*"))) == 4


def test_ids_are_those_of_the_label_set(tmp_path):
    label = SCANNET200.n_classes - 1
    write_scannet_submission(tmp_path / "s", [("a", np.array([label]))], SCANNET200)
    file = tmp_path / "s" / "a.txt"
    assert int(file.read_text()) == SCANNET200.raw_ids[-1]
    assert read_scannet_labels(file, 1, SCANNET200).tolist() == [label]


label_sets = st.sampled_from([SCANNET20, SCANNET200])


@given(st.lists(st.lists(st.integers(-1, 19), max_size=9), min_size=1, max_size=3), label_sets)
def test_labels_come_back(tmp_path_factory, scenes, label_set):
    folder = tmp_path_factory.mktemp("export") / "s"
    arrays = {f"scene{i}": np.array(scene, np.int64) for i, scene in enumerate(scenes)}
    write_scannet_submission(folder, arrays.items(), label_set)
    for name, labels in arrays.items():
        found = read_scannet_labels(folder / f"{name}.txt", len(labels), label_set)
        np.testing.assert_array_equal(found, labels)


@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 2**9 - 1), st.integers(0, 19), st.floats(-1e9, 1e9))),
    label_sets,
)
def test_instances_come_back_to_the_last_bit(tmp_path_factory, n, rows, label_set: LabelSet):
    folder = tmp_path_factory.mktemp("export") / "s"
    masks = np.array([[bits >> i & 1 for i in range(n)] for bits, *_ in rows]).reshape(-1, n)
    prediction = instances(masks, [row[1] for row in rows], [row[2] for row in rows])
    write_scannet_submission(folder, [("a", prediction)], label_set)
    found = read_scannet_instances(folder / "a.txt", n, label_set)
    for array, expected in zip(found, prediction, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype


def test_what_is_read_back_scores_as_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    semantic = [SemanticEvaluator(SCANNET20) for _ in range(2)]
    instance = [InstanceEvaluator(SCANNET20, min_region=10) for _ in range(2)]
    ids = np.repeat(np.arange(12), 40)
    labels = np.where(ids < 10, 2 + ids % 4, -1)
    for name in ("a", "b"):
        masks = (ids == np.arange(10)[:, None]) ^ (rng.random((10, len(ids))) < 0.03)
        objects = instances(masks, 2 + rng.integers(0, 4, 10), rng.random(10))
        points = np.where(rng.random(len(ids)) < 0.3, rng.integers(-1, 20, len(ids)), labels)
        write_scannet_submission(tmp_path / f"semantic_{name}", [(name, points)])
        write_scannet_submission(tmp_path / f"instance_{name}", [(name, objects)])
        points_read = read_scannet_labels(tmp_path / f"semantic_{name}" / f"{name}.txt", len(ids))
        file = tmp_path / f"instance_{name}" / f"{name}.txt"
        objects_read = read_scannet_instances(file, len(ids))
        for evaluator, found in zip(semantic, (points, points_read), strict=True):
            evaluator.update(labels, found)
        for evaluator, found in zip(instance, (objects, objects_read), strict=True):
            evaluator.update(labels, ids, *found)
    for left, right in (semantic, instance):
        assert repr(left.compute().per_class) == repr(right.compute().per_class)
    assert 0 < instance[1].compute().ap < 1


def test_a_failed_submission_leaves_nothing_behind(tmp_path):
    def scenes():
        yield "a", np.array([1])
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_scannet_submission(tmp_path / "s", scenes())
    assert list(tmp_path.iterdir()) == []


def test_a_submission_is_not_overwritten(written):
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_scannet_submission(written, [("scene0707_00", TWO)])


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.array([0, 20]), r"a: labels must lie in \[-1, 19\], got \[0, 20\]"),
        (np.array([0.5]), "a: labels must be a vector of integers, got float64"),
        (TWO._replace(mask_labels=np.array([-1, 2])), r"a: mask_labels must lie in \[0, 19\]"),
        (TWO._replace(mask_labels=np.array([2])), "equally many, got 2, 1 and 2"),
        (TWO._replace(scores=np.ones(3)), "equally many, got 2, 2 and 3"),
        (TWO._replace(scores=np.array([0, np.nan])), "a: scores must be finite, got nan"),
        (TWO._replace(masks=np.ones((2, 3), np.uint8)), "masks must be booleans .* got uint8"),
        (TWO._replace(masks=np.ones(2, bool)), r"masks must be booleans .* of shape \(2,\)"),
    ],
)
def test_a_wrong_prediction_is_rejected_and_nothing_written(tmp_path, prediction, message):
    write = inspect.unwrap(write_scannet_submission)  # without the shape checker of the tests
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "s", [("b", TWO), ("a", prediction)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a b", "a\n", "b"])
def test_a_name_that_is_no_file_name_or_comes_twice_is_rejected(tmp_path, name):
    with pytest.raises(ValueError, match="predictions must have distinct scene names for files"):
        write_scannet_submission(tmp_path / "s", [("b", TWO), (name, TWO)])
    assert list(tmp_path.iterdir()) == []


def test_a_submission_has_a_scene(tmp_path):
    with pytest.raises(ValueError, match="predictions must hold at least one scene, got none"):
        write_scannet_submission(tmp_path / "s", [])


# Files of others


def test_line_ends_of_other_systems_are_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1\r\n39\r\n0")
    assert read_scannet_labels(tmp_path / "a.txt", 3).tolist() == [0, 19, -1]


def test_known_ids_that_are_no_classes_are_unknown(tmp_path):
    (tmp_path / "a.txt").write_text("13\n40\n2\n")
    assert read_scannet_labels(tmp_path / "a.txt", 3).tolist() == [-1, -1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", r"a\.txt: must be a complete id file, got: 3 lines expected, 2 found"),
        ("", "3 lines expected, 0 found"),
        ("1\n2\n3\n4\n", "3 lines expected, 4 found"),
        ("1\n" * 1000, "3 lines expected, 2000 bytes found"),
        ("1\n2\n41\n", r"a\.txt: raw must hold ids known to scannet20, got \[41\]"),
        ("1\n2\n-1\n", "b'-1' is no id"),
        ("1\n2\n3.0\n", "b'3.0' is no id"),
        ("1\n2\nwall\n", "b'wall' is no id"),
        ("1\n2\n9" + "0" * 30, "got: "),
    ],
)
def test_a_broken_semantic_file_is_rejected(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_scannet_labels(tmp_path / "a.txt", 3)


MASK = "predicted_masks/scene0707_00_000.txt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{MASK} 5", "mask, id and score expected, .* found"),
        (f"{MASK} 5 0.5 0.5", "mask, id and score expected"),
        ("\n", "mask, id and score expected, '' found"),
        (f"{MASK} 99 0.5", r"ids of classes of scannet20 expected, '99' found"),
        (f"{MASK} 13 0.5", "ids of classes of scannet20 expected, '13' found"),
        (f"{MASK} 5.0 0.5", "ids of classes of scannet20 expected, '5.0' found"),
        (f"{MASK} -1 0.5", "ids of classes of scannet20 expected, '-1' found"),
        (f"{MASK} 5 nan", "finite scores expected, nan found"),
        (f"{MASK} 5 high", "could not convert string to float: 'high'"),
        ("../other/mask.txt 5 0.5", "masks in the folder expected, '../other/mask.txt' found"),
        ("/etc/hostname 5 0.5", "masks in the folder expected, '/etc/hostname' found"),
        ("predicted_masks/../../x 5 0.5", "masks in the folder expected"),
        ("link/mask.txt 5 0.5", "masks in the folder expected, 'link/mask.txt' found"),
        (f"{MASK} 5 0.5\n{MASK} 6 0.4", "a mask may come once only"),
        (f"{MASK} 5 0.5\n./{MASK} 6 0.4", "a mask may come once only"),
        ("predicted_masks/a\0b 5 0.5", "null byte"),
    ],
)
def test_a_broken_instance_file_is_rejected(written, text, message):
    outside = written.parent / "other"
    outside.mkdir()
    (outside / "mask.txt").write_text("1\n1\n1\n")
    os.symlink(outside, written / "link")
    file = written / "scene0707_00.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_scannet_instances(file, 3)
    assert str(error.value).startswith(f"{file}: must be a complete prediction file, got: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n0\n", "3 lines expected, 2 found"),
        ("1\n0\n2\n", "must hold 0 and 1 only, got 2"),
        ("1\n0\n255\n", "must hold 0 and 1 only, got 255"),
        ("1\n0\n-1\n", "b'-1' is no id"),
    ],
)
def test_a_broken_mask_is_rejected_by_its_name(written, text, message):
    mask = written / MASK
    mask.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_scannet_instances(written / "scene0707_00.txt", 3)
    assert str(error.value).startswith(str(mask))


def test_missing_files_are_named(written):
    (written / MASK).unlink()
    with pytest.raises(FileNotFoundError, match=r"scene0707_00_000\.txt"):
        read_scannet_instances(written / "scene0707_00.txt", 3)
    for read in (read_scannet_labels, read_scannet_instances):
        with pytest.raises(FileNotFoundError, match=r"other\.txt"):
            read(written / "other.txt", 3)


def test_no_prediction_is_an_empty_file(written):
    (written / "scene0707_00.txt").write_text("")
    masks, labels, scores = read_scannet_instances(written / "scene0707_00.txt", 3)
    assert (masks.shape, len(labels), len(scores)) == ((0, 3), 0, 0)


def test_budgets_are_folders_of_one_submission(tmp_path):
    labels = np.array([0, 19, -1])
    budgets = {name: [("scene0707_00", np.roll(labels, i))] for i, name in enumerate(["1", "5%"])}
    write_scannet_budgets(tmp_path / "out", budgets)
    for i, name in enumerate(budgets):
        path = tmp_path / "out" / name / "scene0707_00.txt"
        assert read_scannet_labels(path, 3).tolist() == np.roll(labels, i).tolist()


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ({}, "budgets must hold at least one budget, got none"),
        ({"../1": []}, r"budgets must have names for folders, got '\.\./1'"),
        ({"1": []}, "1: predictions must hold at least one scene, got none"),
        ({"1": [("a", np.array([0]))], "5": [("b", np.array([99]))]}, r"5: b: labels must lie in"),
    ],
)
def test_broken_budgets_leave_nothing(tmp_path, budgets, message):
    with pytest.raises(ValueError, match=message):
        write_scannet_budgets(tmp_path / "out", budgets)
    assert list(tmp_path.iterdir()) == []
