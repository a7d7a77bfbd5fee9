"""Tests of pcl_data.readers.scan_columns, and of `columns` through every format with names."""

import warnings

import laspy
import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from pcl_data.readers import read_scene, scan_from_columns, unread_columns
from pcl_data.readers.scan_columns import guessed_role, roles_of, unread_names

XYZ = {axis: np.array([0.5, 1, 2], np.float32) for axis in "xyz"}
LABELS, INSTANCES, STRENGTH = np.array([4, 7, 4]), np.array([1, -1, 2]), np.array([0, 51, 255])


def write_ply(path, columns):
    table = np.empty(3, [(name, "f4" if name in XYZ else "i4") for name in columns])
    for name, column in columns.items():
        table[name] = column
    PlyData([PlyElement.describe(table, "vertex")]).write(str(path))


def write_pcd(path, columns):
    eights, floats, ones = (" ".join(mark * len(columns)) for mark in "8F1")
    header = f"FIELDS {' '.join(columns)}\nSIZE {eights}\nTYPE {floats}\n"
    header += f"COUNT {ones}\nWIDTH 3\nHEIGHT 1\nPOINTS 3\nDATA binary\n"
    body = np.stack(list(columns.values()), axis=1).astype("<f8").tobytes()
    path.write_bytes(b"# B\xfcro\n" + header.encode() + body)


def write_npz(path, columns):
    np.savez(path, **columns)


def write_text(path, columns):
    np.savetxt(path, np.stack(list(columns.values()), 1), "%g", ";", header=";".join(columns))


def write_las(path, columns):
    header = laspy.LasHeader(point_format=0, version="1.2")
    header.scales = [0.001] * 3
    for name in columns:
        if name not in (*"xyz", "intensity"):
            header.add_extra_dim(laspy.ExtraBytesParams(name=name, type="i4"))
    cloud = laspy.LasData(header)
    for name, column in columns.items():
        cloud[name] = column
    cloud.write(str(path))


WRITERS = {
    "a.ply": write_ply,
    "a.pcd": write_pcd,
    "a.npz": write_npz,
    "a.txt": write_text,
    "a.las": write_las,
}


@pytest.mark.parametrize("name", WRITERS)
def test_labels_instances_and_intensity_are_read_in_every_format(tmp_path, name):
    columns = XYZ | {"label": LABELS, "instance": INSTANCES, "intensity": STRENGTH}
    WRITERS[name](tmp_path / name, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene = read_scene(tmp_path / name)
    assert scene.labels.tolist() == LABELS.tolist()
    assert scene.instances.tolist() == INSTANCES.tolist()
    np.testing.assert_allclose(scene.intensity, [0, 0.2, 1], atol=1e-6)
    assert unread_columns(tmp_path / name) == ()


@pytest.mark.parametrize("name", WRITERS)
def test_columns_that_are_not_understood_are_told_and_read_on_request(tmp_path, name):
    WRITERS[name](tmp_path / name, XYZ | {"semanticID": LABELS, "deviation": INSTANCES})
    with pytest.warns(UserWarning, match=rf"{name}: columns that are not understood: ") as caught:
        assert read_scene(tmp_path / name).labels is None
    assert "semanticID: label?, deviation;" in str(caught[0].message)
    assert set(unread_columns(tmp_path / name)) - {"classification"} == {"semanticID", "deviation"}
    given = {"label": "semanticID", "instance": "Deviation"}
    assert read_scene(tmp_path / name, columns=given).labels.tolist() == LABELS.tolist()
    assert read_scene(tmp_path / name, columns=given).instances.tolist() == INSTANCES.tolist()
    with pytest.raises(
        ValueError, match=rf"{name}: .*columns of the file, .*semanticID.*: nothing"
    ):
        read_scene(tmp_path / name, columns={"label": "nothing"})


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ("X Y Z R G B", "x y z red green blue"),
        ("x y z Rf Gf Bf", "x y z red green blue"),
        ("x y z scalar_Intensity scalar_Label", "x y z intensity label"),
        ("x y z semantic_label instance_label", "x y z label instance"),
        ("x y z normal_x normal_y normal_z", "x y z nx ny nz"),
        ("x y z reflectance", "x y z intensity"),
        ("x y z scalar_Classification", "x y z classification"),
        ("x y z red green", "x y z"),
        ("x y z semanticID objectId NYU40", "x y z"),
    ],
)
def test_names_that_can_be_nothing_else_are_known(names, roles):
    assert list(roles_of(names.split())) == roles.split()


def test_of_two_columns_of_a_role_the_second_is_not_read():
    names = ["x", "y", "z", "class", "label"]
    assert roles_of(names)["label"] == "label"
    assert unread_names(names, roles_of(names)) == ("class",)


def test_columns_of_no_use_are_not_told():
    names = ["x", "y", "z", "curvature", "alpha", "gps_time", "confidence", "Quality"]
    assert unread_names(names, roles_of(names)) == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": "a"}, "columns must have roles of x, .*, got 'labels': did you mean 'label'"),
        ({"label": "b"}, "columns must name columns of the file, x, y, z, a, got label: b"),
        ({"red": "a"}, "columns must give all of red, green, blue"),
    ],
)
def test_given_columns_that_are_not_there_are_an_error(given, message):
    with pytest.raises(ValueError, match=message):
        roles_of(["x", "y", "z", "a"], given)


def test_given_names_take_the_place_of_x_y_z():
    columns = {"east": XYZ["x"], "north": XYZ["y"], "up": XYZ["z"]}
    given = {"x": "east", "y": "north", "z": "up"}
    assert scan_from_columns(columns, given).points[:, 0].tolist() == [0.5, 1, 2]
    with pytest.raises(ValueError, match="columns must include x, y and z, got east, north, up"):
        scan_from_columns(columns)


@pytest.mark.parametrize(
    ("name", "role"), [("instanceID", "instance"), ("gt_class", "label"), ("Length", None)]
)
def test_a_role_is_guessed_from_a_part_of_the_name(name, role):
    assert guessed_role(name) == role


def test_the_classification_is_told_where_there_are_no_labels(tmp_path):
    write_ply(tmp_path / "a.ply", XYZ | {"classification": LABELS})
    with pytest.warns(UserWarning, match="classification: label?"):
        assert read_scene(tmp_path / "a.ply").labels is None
    assert unread_columns(tmp_path / "a.ply") == ("classification",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_scene(tmp_path / "a.ply", label_ids="none")


def test_arrays_of_three_columns_are_given_by_their_name(tmp_path):
    points = np.arange(9.0).reshape(3, 3)
    np.savez(tmp_path / "a.npz", vertices=points, tint=points.astype(np.uint8), extra=points)
    given = dict.fromkeys("xyz", "vertices") | dict.fromkeys(("red", "green", "blue"), "tint")
    with pytest.warns(UserWarning, match="not understood: extra"):
        scene = read_scene(tmp_path / "a.npz", columns=given)
    np.savez(tmp_path / "b.npz", coord=points, nyu40=LABELS, extra=points)
    assert unread_columns(tmp_path / "b.npz") == ("extra",)
    assert scene.points.tolist() == scene.colors.tolist() == points.tolist()
