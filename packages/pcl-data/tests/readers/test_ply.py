"""Tests of pcl_data.readers.ply."""

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from pcl_data import SCANNET20
from pcl_data.readers import read_scene

POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5], [0.5, 0.5, 1]], np.float32)
HEADER = "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"


def vertices(**columns) -> PlyElement:
    columns = {"x": POINTS[:, 0], "y": POINTS[:, 1], "z": POINTS[:, 2]} | columns
    table = np.empty(len(POINTS), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return PlyElement.describe(table, "vertex")


def polygons(*corners: tuple[int, ...], name: str = "vertex_indices") -> PlyElement:
    table = np.empty(len(corners), [(name, object)])
    table[name] = [np.array(row, np.int32) for row in corners]
    return PlyElement.describe(table, "face", len_types={name: "u1"}, val_types={name: "i4"})


@pytest.mark.parametrize(("text", "order"), [(True, "<"), (False, "<"), (False, ">")])
def test_every_encoding_gives_the_same_scene(tmp_path, text, order):
    gray = np.arange(5, dtype=np.uint8)
    element = vertices(
        red=gray,
        green=gray + np.uint8(10),
        blue=gray + np.uint8(20),
        nx=np.full(5, 0.6),
        ny=np.full(5, 0.8),
        nz=np.zeros(5),
        label=np.array([0, 1, 2, -1, -1], np.int16),
        instance=np.array([7, 7, -1, 0, 0], np.int32),
    )
    faces = polygons((0, 1, 2), (2, 3, 4))
    PlyData([element, faces], text=text, byte_order=order).write(str(tmp_path / "room.ply"))
    scene = read_scene(tmp_path / "room.ply")
    assert scene.name == "room"
    np.testing.assert_array_equal(scene.points, POINTS)
    np.testing.assert_array_equal(scene.colors, gray[:, None] + np.array([0, 10, 20]))
    np.testing.assert_array_equal(scene.normals[0], np.float32([0.6, 0.8, 0]))
    assert scene.labels.tolist() == [0, 1, 2, -1, -1]
    assert scene.instances.tolist() == [7, 7, -1, 0, 0]
    assert scene.faces.tolist() == [[0, 1, 2], [2, 3, 4]]


@pytest.mark.parametrize("text", [True, False])
def test_polygons_become_fans(tmp_path, text):
    faces = polygons((4, 0, 1), (0, 1, 2, 3), name="vertex_index")
    PlyData([vertices(), faces], text=text).write(str(tmp_path / "room.ply"))
    found = read_scene(tmp_path / "room.ply").faces.tolist()
    assert sorted(found) == [[0, 1, 2], [0, 2, 3], [4, 0, 1]]


def test_a_mesh_without_faces_has_an_empty_list(tmp_path):
    PlyData([vertices(), polygons()]).write(str(tmp_path / "room.ply"))
    assert read_scene(tmp_path / "room.ply").faces.shape == (0, 3)


def test_scalar_fields_of_cloudcompare_are_labels(tmp_path):
    element = vertices(scalar_Label=np.array([0, 1, 2, 3, 4], np.float32))
    PlyData([element]).write(str(tmp_path / "room.ply"))
    assert read_scene(tmp_path / "room.ply").labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no end_header"),
        (b"ply\n" + b" " * 70000 + b"end_header\n", "no end_header in the first 65536"),
        (b"nothing\nend_header\n", "complete PLY file"),
        ((HEADER.format(10**12) + "end_header\n").encode(), "element vertex of 1000000000000 rows"),
        ((HEADER.format(-1) + "end_header\n").encode(), "element vertex of -1 rows"),
        ((HEADER.format(30) + "end_header\n0 0\n").encode(), "element vertex of 30 rows"),
        ((HEADER.format(1) + "end_header\n0 0\n").encode(), "columns must include x, y and z"),
        (b"ply\nformat ascii 1.0\nend_header\n", "no element vertex"),
    ],
)
def test_broken_files_are_named(tmp_path, content, message):
    (tmp_path / "room.ply").write_bytes(content)
    with pytest.raises(ValueError, match=rf"room\.ply: .*{message}"):
        read_scene(tmp_path / "room.ply")


def test_a_binary_count_is_held_against_the_bytes_of_its_rows(tmp_path):
    header = HEADER.format(300).replace("ascii", "binary_little_endian") + "end_header\n"
    (tmp_path / "room.ply").write_bytes(header.encode() + bytes(1500))  # a row has 8 bytes
    with pytest.raises(ValueError, match="element vertex of 300 rows in"):
        read_scene(tmp_path / "room.ply")


def test_a_cut_file_is_an_error(tmp_path):
    path = tmp_path / "room.ply"
    PlyData([vertices(), polygons((0, 1, 2))]).write(str(path))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"room\.ply: must be a complete PLY file"):
        read_scene(path)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("odd", [(0, 1), (), (0, 1, 5)])
def test_an_odd_face_is_left_out_and_counted(tmp_path, odd, text):
    faces = polygons((0, 1, 2), odd, (2, 3, 4))
    PlyData([vertices(), faces], text=text).write(str(tmp_path / "room.ply"))
    with pytest.warns(UserWarning, match=r"room\.ply: 1 of 3 faces .*: they are left out"):
        scene = read_scene(tmp_path / "room.ply")
    assert scene.faces.tolist() == [[0, 1, 2], [2, 3, 4]]


@pytest.mark.parametrize("comment", ["comment möbel".encode(), "obj_info möbel".encode("latin-1")])
def test_comments_are_of_any_encoding(tmp_path, comment):
    header = HEADER.format(1).replace("float y\n", "float y\nproperty float z\n").encode()
    content = header.replace(b"element", comment + b" end_header\nelement", 1)
    (tmp_path / "room.ply").write_bytes(content + b"end_header\n1 2 3\n")
    assert read_scene(tmp_path / "room.ply").points.tolist() == [[1, 2, 3]]


def test_line_ends_of_windows_end_the_header_too(tmp_path):
    header = HEADER.format(1).replace("float y\n", "float y\nproperty float z\n")
    header = header.replace("ascii", "binary_little_endian") + "end_header\n"
    points = np.array([[1, 2, 3]], "<f4")
    for end in ("\n", "\r\n", "\r"):
        content = header.replace("\n", end).encode() + points.tobytes()
        (tmp_path / "room.ply").write_bytes(content)
        assert read_scene(tmp_path / "room.ply").points.tolist() == [[1, 2, 3]]


def test_extra_elements_and_lists_are_passed_over(tmp_path):
    lists = PlyElement.describe(
        np.array([([1.5],), ([2.5, 3.5],)], [("weights", object)]), "material",
        val_types={"weights": "f4"},
    )
    for text in (True, False):
        PlyData([lists, vertices(), polygons((0, 1, 2))], text=text).write(str(tmp_path / "a.ply"))
        scene = read_scene(tmp_path / "a.ply")
        assert len(scene.points) == 5
        assert scene.faces.tolist() == [[0, 1, 2]]


@pytest.mark.real
def test_reads_the_meshes_of_scannet(real_data):
    folder = real_data / "scannet" / "scans" / "scene0000_00"
    mesh = read_scene(folder / "scene0000_00_vh_clean_2.ply")
    labeled = read_scene(
        folder / "scene0000_00_vh_clean_2.labels.ply", label_set=SCANNET20, label_ids="raw"
    )
    assert mesh.points.shape == (81369, 3)
    assert mesh.faces.shape == (153587, 3)
    assert mesh.labels is None
    np.testing.assert_array_equal(labeled.points, mesh.points)
    raw = PlyData.read(str(folder / "scene0000_00_vh_clean_2.labels.ply"))["vertex"]["label"]
    kept = np.isin(raw, SCANNET20.raw_ids)
    np.testing.assert_array_equal(SCANNET20.to_raw(labeled.labels), np.where(kept, raw, 0))
    assert len(np.unique(labeled.labels)) > 10
