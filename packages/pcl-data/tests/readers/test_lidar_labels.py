"""Tests of pcl_data.readers.lidar_labels."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcl_data import NUSCENES16, SEMANTICKITTI19, SEMANTICKITTI25
from pcl_data.readers import read_nuscenes_lidarseg, read_semantickitti_labels
from pcl_data.readers.lidar_labels import check_length, thing_instances

CAR, ROAD, MOVING_CAR = 10, 40, 252


def write(path, values, dtype="<u4"):
    path.write_bytes(np.array(values, dtype).tobytes())
    return path


def test_low_bits_are_the_class_and_high_bits_the_object(tmp_path):
    values = [CAR | 7 << 16, ROAD, CAR | 7 << 16, CAR, 0, ROAD | 3 << 16]
    labels, instances = read_semantickitti_labels(write(tmp_path / "a.label", values))
    assert [SEMANTICKITTI19.names[i] if i >= 0 else "-" for i in labels] == [
        *("car", "road", "car", "car", "-", "road")
    ]
    assert instances[0] == instances[2] >= 0
    assert (instances[[1, 3, 4, 5]] == -1).all()  # stuff, no object, unlabeled


def test_objects_of_two_classes_with_one_number_are_two(tmp_path):
    path = write(tmp_path / "a.label", [CAR | 1 << 16, 30 | 1 << 16])
    _, instances = read_semantickitti_labels(path)
    assert instances[0] != instances[1]


def test_moving_classes_are_their_own_in_the_larger_set(tmp_path):
    path = write(tmp_path / "a.label", [CAR | 1 << 16, MOVING_CAR | 1 << 16])
    labels, instances = read_semantickitti_labels(path)
    assert labels.tolist() == [0, 0]
    assert instances[0] == instances[1]
    labels, instances = read_semantickitti_labels(path, SEMANTICKITTI25)
    assert [SEMANTICKITTI25.names[i] for i in labels] == ["car", "moving-car"]
    assert instances[0] != instances[1]


def test_the_largest_number_of_an_object_fits(tmp_path):
    _, instances = read_semantickitti_labels(write(tmp_path / "a.label", [CAR | 65535 << 16]))
    assert instances.min() >= 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\x00\x00", "must hold rows of 4 bytes, got 3 bytes"),
        (np.array([CAR << 16 | CAR], ">u4").tobytes(), r"ids known to .* got \[2560\]"),
        (np.array([2], "<u4").tobytes(), r"raw must hold ids known to semantickitti19, got \[2\]"),
        (np.array([65535], "<u4").tobytes(), r"got \[65535\]"),
    ],
)
def test_broken_label_files_name_file_and_rule(tmp_path, content, message):
    (tmp_path / "a.label").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.label: .*{message}"):
        read_semantickitti_labels(tmp_path / "a.label")


def test_lidarseg_holds_raw_ids(tmp_path):
    labels = read_nuscenes_lidarseg(write(tmp_path / "a.bin", [17, 0, 24, 15, 16, 31], "u1"))
    names = [NUSCENES16.names[i] if i >= 0 else "-" for i in labels]
    assert names == ["car", "-", "driveable_surface", "bus", "bus", "-"]


def test_submissions_hold_challenge_ids(tmp_path):
    path = write(tmp_path / "a.bin", [0, 1, 4, 16], "u1")
    assert read_nuscenes_lidarseg(path, challenge_ids=True).tolist() == [-1, 0, 3, 15]
    names = [NUSCENES16.names[i] for i in (0, 3, 15)]
    assert names == ["barrier", "car", "vegetation"]  # 1, 4 and 16 in the devkit's README


@pytest.mark.parametrize(("challenge", "value"), [(False, 32), (True, 17)])
def test_ids_outside_lidarseg_are_an_error(tmp_path, challenge, value):
    path = write(tmp_path / "a.bin", [1, value], "u1")
    with pytest.raises(ValueError, match=rf"a\.bin: .*\[?{value}\]?"):
        read_nuscenes_lidarseg(path, challenge_ids=challenge)


def test_no_label_at_all_is_an_empty_array(tmp_path):
    path = write(tmp_path / "a.bin", [], "u1")
    assert read_nuscenes_lidarseg(path, challenge_ids=True).shape == (0,)
    with pytest.raises(
        ValueError, match=r"a\.bin: must hold one label for each of 3 points, got 0"
    ):
        check_length(path, np.zeros(0, np.int64), 3)


@given(st.lists(st.tuples(st.integers(-1, 18), st.integers(0, 2**16 - 1)), min_size=1))
def test_instances_part_the_things_as_class_and_number_do(pairs):
    labels, numbers = np.array(pairs, np.int64).T
    instances = thing_instances(labels, numbers, SEMANTICKITTI19, n_bits=16)
    assert instances.max() < 2**31  # fit the int32 of a PLY file
    for i, (label, number) in enumerate(pairs):
        is_thing = 0 <= label < 8 and number > 0  # car to motorcyclist
        assert (instances[i] >= 0) == is_thing
        for j in range(i):
            if is_thing:
                assert (instances[i] == instances[j]) == (pairs[i] == pairs[j])


def test_as_many_objects_as_there_are_classes_and_numbers():
    labels, numbers = np.indices((8, 200)).reshape(2, -1)
    for n_bits, start in ((16, 1), (16, 2**16 - 200), (32, 1), (32, 2**32 - 200)):
        instances = thing_instances(labels, numbers + start, SEMANTICKITTI19, n_bits=n_bits)
        assert len(np.unique(instances)) == 1600


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=32))
def test_any_bytes_give_labels_or_an_error_of_the_file(tmp_path, content):
    path = tmp_path / "a.label"
    path.write_bytes(content)
    for read in (lambda: read_semantickitti_labels(path)[0], lambda: read_nuscenes_lidarseg(path)):
        try:
            labels = read()
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            assert labels.min(initial=-1) >= -1
            assert len(labels) in (len(content), len(content) // 4)
