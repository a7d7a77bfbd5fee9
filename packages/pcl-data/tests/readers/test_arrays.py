"""Tests of pcl_data.readers.npz, pcl_data.readers.npy and pcl_data.readers.text."""

import io
import zipfile

import numpy as np
import pytest

from pcl_data import NYU40, SCANNET20
from pcl_data.readers import read_scene, size_bounds

TABLE = np.array([[0, 0, 1.5, 255, 0, 7, 2, 5], [1, 2, 3, 0, 9, 8, -1, -1]])


def npy_with_header(header: str, data: bytes = b"") -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


@pytest.mark.parametrize(
    "keys",
    [
        ("coord", "color", "normal", "segment", "instance", "superpoint"),
        ("points", "colors", "normals", "labels", "instances", "superpoints"),
        ("xyz", "rgb", "normal", "label", "instance", "superpoint"),
        ("xyz", "rgb", "normal", "semantic", "instance", "superpoint"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_names_of_npz_arrays_in_use_are_known(tmp_path, keys, save):
    arrays = (
        np.arange(6.0).reshape(2, 3),
        np.array([[1, 2, 3], [4, 5, 6]], np.uint8),
        np.array([[0, 0, 1], [0, 1, 0]], np.float64),
        np.array([[3], [-1]], np.int16),
        np.array([8, -1]),
        np.array([[4], [5]], np.uint8),
    )
    save(tmp_path / "room.npz", **dict(zip(keys, arrays, strict=True)), other=np.array(["?"]))
    scene = read_scene(tmp_path / "room.npz", label_set=SCANNET20)
    assert scene.points.tolist() == arrays[0].tolist()
    assert scene.colors.tolist() == arrays[1].tolist()
    assert scene.normals.tolist() == arrays[2].tolist()
    assert scene.labels.tolist() == [3, -1]
    assert scene.instances.tolist() == [8, -1]
    assert scene.superpoints.tolist() == [4, 5]


def test_nyu40_is_raw_whatever_the_caller_says(tmp_path):
    np.savez(
        tmp_path / "room.npz",
        coord=np.zeros((5, 3), np.float32),
        nyu40=np.array([1, 5, 5, 13, 0], np.uint8),  # wall, chair, chair, blinds, none
        instance=np.array([1, 2, 0, 4, 5], np.uint16),
    )
    scene = read_scene(tmp_path / "room.npz", label_set=SCANNET20)
    assert scene.labels.tolist() == [0, 4, 4, -1, -1]
    assert scene.instances.tolist() == [-1, 2, -1, -1, -1]
    scene = read_scene(tmp_path / "room.npz", label_set=NYU40, label_ids="raw")
    assert scene.labels.tolist() == [0, 4, 4, 12, -1]
    assert scene.instances.tolist() == [-1, 2, -1, 4, -1]
    with pytest.raises(ValueError, match=r"room\.npz: label_set must be given for raw labels"):
        read_scene(tmp_path / "room.npz")


def test_pickles_are_never_opened(tmp_path):
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    array = np.array([Bomb()], object)
    np.savez(tmp_path / "room.npz", coord=array)
    np.save(tmp_path / "room.npy", array)
    for name in ("room.npz", "room.npy"):
        with pytest.raises(ValueError, match=rf"{name}: .*an array of object, not of numbers"):
            read_scene(tmp_path / name)
    assert not marker.exists()


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "room.npz", coord=np.zeros((10000, 3), np.float32))
    assert (tmp_path / "room.npz").stat().st_size < 2000
    monkeypatch.setattr(size_bounds, "MAX_ARRAY_BYTES", 100000)
    monkeypatch.setattr(size_bounds, "_WIDENING", 1)
    with pytest.raises(ValueError, match="arrays up to coord of 240000 bytes unpacked, more than 100000"):
        read_scene(tmp_path / "room.npz")


def test_an_archive_without_points_says_what_it_has(tmp_path):
    np.savez(tmp_path / "room.npz", bbox=np.zeros(3))
    with pytest.raises(ValueError, match=r"columns must include x, y and z, got bbox"):
        read_scene(tmp_path / "room.npz")


def test_an_npz_header_cannot_claim_more_than_its_member(tmp_path):
    claim = npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**0, 3)}")
    claim = claim.replace(b"10**0", b"90000")
    with zipfile.ZipFile(tmp_path / "room.npz", "w") as archive:
        archive.writestr("coord.npy", claim)
    with pytest.raises(ValueError, match=r"shape \(90000, 3\) of float32 in 128 bytes"):
        read_scene(tmp_path / "room.npz")


def test_arrays_of_different_lengths_are_an_error(tmp_path):
    np.savez(tmp_path / "room.npz", coord=np.zeros((5, 3)), label=np.zeros(4, int))
    with pytest.raises(ValueError, match=r"labels must have shape \(5,\), got \(4,\)"):
        read_scene(tmp_path / "room.npz")


@pytest.mark.parametrize("n_columns", [3, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["npy", "txt", "xyz", "csv"])
def test_columns_have_the_known_order(tmp_path, suffix, n_columns):
    path = tmp_path / f"room.{suffix}"
    table = TABLE[:, :n_columns]
    if suffix == "npy":
        np.save(path, np.asfortranarray(table))
    else:
        np.savetxt(path, table, fmt="%g", delimiter={"txt": " ", "xyz": "\t", "csv": ";"}[suffix])
    scene = read_scene(path)
    assert scene.points.tolist() == TABLE[:, :3].tolist()
    assert (scene.colors is None) == (n_columns < 6)
    assert scene.colors is None or scene.colors.tolist() == TABLE[:, 3:6].tolist()
    assert (scene.labels is None) == (n_columns < 7)
    assert scene.labels is None or scene.labels.tolist() == [2, -1]
    assert (scene.instances is None) == (n_columns < 8)
    assert scene.instances is None or scene.instances.tolist() == [5, -1]


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 5), (5, 9), (2, 2, 3), ()])
def test_other_npy_shapes_are_an_error(tmp_path, shape):
    np.save(tmp_path / "room.npy", np.zeros(shape))
    with pytest.raises(ValueError, match=r"room\.npy: (array must have shape|rows of \d numbers must be)"):
        read_scene(tmp_path / "room.npy")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 3)}", "99999999999"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}", r"\(-1, 3\)"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -3)}", r"\(-1, -3\)"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", "24 bytes of data, got 20"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1, 3)}", "array of object"),
        ("{'descr': '<U3', 'fortran_order': False, 'shape': (1, 3)}", "array of <U3"),
        ("nothing", "complete NPY file"),
    ],
)
def test_broken_npy_headers_are_named(tmp_path, header, message):
    (tmp_path / "room.npy").write_bytes(npy_with_header(header, bytes(20)))
    with pytest.raises(ValueError, match=rf"room\.npy: .*{message}"):
        read_scene(tmp_path / "room.npy")


def test_big_endian_arrays_are_numbers_like_any_other(tmp_path):
    np.save(tmp_path / "room.npy", np.array([[1, 2, 3]], ">f8"))
    assert read_scene(tmp_path / "room.npy").points.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2\n3,4,5\n",
        "0 1 2\n3 4 5",
        "0;1;2\n3;4;5\n",
        "\ufeff0,1,2\r\n3,4,5\r\n",
        "# made by hand, for a test\n0\t1\t2\n\n3\t4\t5\n",
        "// another\n0,1,2\n3,4,5 # the last\n",
        "x,y,z\n0,1,2\n3,4,5\n",
        'Z,"Y",X,intensity\n2,1,0,9\n5,4,3,9\n',
        "//X Y Z\n0 1 2\n3 4 5\n",
    ],
)
def test_separators_comments_and_names_are_found(tmp_path, text):
    (tmp_path / "room.csv").write_bytes(text.encode())
    assert read_scene(tmp_path / "room.csv").points.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text file, got: loadtxt: input contained no data"),
        ("# nothing\n", "no data"),
        ("0 1 2\n3 4\n", "row 2"),
        ("0 1 2\n3 4 five\n", "row 1, column 3"),
        ("0 1 2 3 4\n", "rows of 5 numbers must be named"),
        ("7\n0 1 2\n", "7 rows announced, got 1"),
        ("x y z\n0 1 2 3\n", "3 columns named, got 4"),
        ("a b c\n0 1 2\n", "columns must include x, y and z, got a, b, c"),
        ("\x00\xff\x10", "complete text file"),
    ],
)
def test_broken_text_is_named(tmp_path, text, message):
    (tmp_path / "room.txt").write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=rf"room\.txt: .*{message}"):
        read_scene(tmp_path / "room.txt")


def test_a_cut_archive_is_an_error(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, coord=np.zeros((5, 3)))
    (tmp_path / "room.npz").write_bytes(buffer.getvalue()[:-30])
    with pytest.raises(ValueError, match=r"room\.npz: must be a complete NPZ file"):
        read_scene(tmp_path / "room.npz")


@pytest.mark.real
def test_reads_the_npz_scans_of_scannet_and_s3dis(real_data):
    for path in sorted((real_data / "scannet" / "points50k").glob("*.npz")):
        scene = read_scene(path, label_set=SCANNET20)
        raw = np.load(path)
        assert scene.points.shape == scene.colors.shape == (50000, 3)
        known = np.isin(raw["nyu40"], SCANNET20.raw_ids)
        np.testing.assert_array_equal(scene.labels >= 0, known)
        assert not np.isin(scene.labels[scene.instances >= 0], (-1, 0, 1)).any()
        things = np.isin(scene.labels, SCANNET20.things) & (raw["instance"] > 0)
        np.testing.assert_array_equal(scene.instances[things], raw["instance"][things])
        assert things.any()
        assert (scene.instances[~things] == -1).all()
    room = read_scene(real_data / "s3dis" / "Area_6_copyRoom_1.npz")
    assert (len(room.points), room.labels.max()) == (46676, 12)


@pytest.mark.real
def test_reads_the_text_layout_of_s3dis(real_data):
    files = sorted((real_data / "s3dis").glob("Stanford*/*/*/*.txt"))
    scene = read_scene(files[0])
    assert scene.colors.shape == scene.points.shape
    assert 1 < np.ptp(scene.points, axis=0).max() < 20
