"""Tests of pcl_data.export."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from plyfile import PlyData

from pcl_data.export import write_ply
from pcl_data.readers import read_scene

POINTS = np.array([[0, 0, 0], [1, 2, 3]], np.float32)


@st.composite
def clouds(draw):
    n = draw(st.integers(1, 6))
    floats = st.floats(-1000, 1000, width=32)
    ids = st.integers(-1, 2**31 - 1)
    optional = {
        "colors": arrays.arrays(np.uint8, (n, 3)),
        "labels": arrays.arrays(np.int64, n, elements=ids),
        "instances": arrays.arrays(np.int64, n, elements=ids),
        "normals": arrays.arrays(np.float32, (n, 3), elements=floats),
        "faces": arrays.arrays(
            np.int64, (draw(st.integers(0, 3)), 3), elements=st.integers(0, n - 1)
        ),
    }
    points = draw(arrays.arrays(np.float32, (n, 3), elements=floats))
    return points, {key: draw(array) for key, array in optional.items() if draw(st.booleans())}


@given(clouds())
def test_what_is_written_is_read_back(tmp_path_factory, cloud):
    points, fields = cloud
    path = tmp_path_factory.mktemp("export") / "room.ply"
    write_ply(path, points, **fields)
    scene = read_scene(path)
    np.testing.assert_array_equal(scene.points, points)
    for field in ("colors", "labels", "instances", "normals", "faces"):
        if field in fields:
            np.testing.assert_array_equal(getattr(scene, field), fields[field])
        else:
            assert getattr(scene, field) is None


def test_the_properties_have_the_names_and_types_viewers_know(tmp_path):
    write_ply(
        tmp_path / "room.ply",
        POINTS,
        colors=np.array([[1, 2, 3], [4, 5, 6]], np.uint8),
        labels=np.array([0, -1]),
        instances=np.array([3, -1]),
        confidence=np.array([0.25, 1.0]),
    )
    assert (tmp_path / "room.ply").read_bytes().startswith(b"ply\nformat binary_little_endian 1.0")
    vertex = PlyData.read(str(tmp_path / "room.ply"))["vertex"]
    assert " ".join(p.name for p in vertex.properties) == (
        "x y z red green blue label instance confidence"
    )
    assert " ".join(p.val_dtype for p in vertex.properties) == "f4 f4 f4 u1 u1 u1 i4 i4 f4"
    assert vertex["confidence"].tolist() == [0.25, 1.0]
    assert os.listdir(tmp_path) == ["room.ply"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": np.array([0, 2**31])}, r"labels must fit int32, got \[0, 2147483648\]"),
        ({"instances": np.array([-(2**40), 0])}, "instances must fit int32"),
        ({"confidence": np.array([0.5, np.nan])}, "confidence must be finite"),
        ({"normals": np.full((2, 3), 1e39)}, "normals must be finite"),
        ({"faces": np.array([[0, 1, 2]])}, r"faces must lie in \[0, 2\), got \[0, 2\]"),
        ({"faces": np.array([[0, 1, -1]])}, r"faces must lie in \[0, 2\), got \[-1, 1\]"),
    ],
)
def test_what_does_not_fit_is_an_error_and_writes_nothing(tmp_path, fields, message):
    with pytest.raises(ValueError, match=message):
        write_ply(tmp_path / "room.ply", POINTS, **fields)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": np.array([0])}, r"labels must have shape \(2,\), got \(1,\)"),
        ({"colors": np.zeros((1, 3), np.uint8)}, r"colors must have shape \(2, 3\), got \(1, 3\)"),
        ({"faces": np.zeros((1, 4), int)}, r"faces must have shape \(f, 3\), got \(1, 4\)"),
    ],
)
def test_other_shapes_are_an_error(tmp_path, fields, message):
    unchecked = getattr(write_ply, "__wrapped__", write_ply)  # the checks of jaxtyping come first
    with pytest.raises(ValueError, match=message):
        unchecked(tmp_path / "room.ply", POINTS, **fields)


def test_points_with_an_origin_are_doubles(tmp_path):
    origin = np.array([388096.0, 3948996.0, 30.0])
    write_ply(tmp_path / "tile.ply", POINTS + np.float32(0.125), origin=origin)
    vertex = PlyData.read(str(tmp_path / "tile.ply"))["vertex"]
    assert [p.val_dtype for p in vertex.properties] == ["f8"] * 3
    assert vertex["y"].tolist() == [3948996.125, 3948998.125]
    scene = read_scene(tmp_path / "tile.ply")
    np.testing.assert_array_equal(scene.points + scene.origin, POINTS + 0.125 + origin)


def test_a_row_of_nan_is_a_point_without_a_place(tmp_path):
    points = np.array([[np.nan] * 3, [1, 2, 3]], np.float32)
    write_ply(tmp_path / "room.ply", points, labels=np.array([-1, 4]))
    scene = read_scene(tmp_path / "room.ply", drop_invalid=True)
    assert scene.labels.tolist() == [4]
    assert scene.valid_rows.tolist() == [False, True]
    with pytest.raises(ValueError, match="points must be finite"):
        write_ply(tmp_path / "a.ply", np.array([[np.nan, 0, 0], [1, 2, 3]], np.float32))


def test_infinite_points_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="points must be finite"):
        write_ply(tmp_path / "room.ply", np.array([[0, 0, np.inf]]))


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_ply(tmp_path / "room.ply", POINTS)
    before = (tmp_path / "room.ply").read_bytes()

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_ply(tmp_path / "room.ply", POINTS + 1)
    assert os.listdir(tmp_path) == ["room.ply"]
    assert (tmp_path / "room.ply").read_bytes() == before


def test_an_existing_file_is_replaced(tmp_path):
    write_ply(tmp_path / "room.ply", POINTS)
    write_ply(tmp_path / "room.ply", POINTS + 1)
    assert read_scene(tmp_path / "room.ply").points.tolist() == (POINTS + 1).tolist()
