"""Tests of pcl_data.readers.las."""

import struct
import sys

import laspy
import numpy as np
import pytest

from pcl_data import LabelSet
from pcl_data.readers import read_scene, size_bounds

AERIAL = LabelSet("aerial", ("ground", "building"), (2, 6), ((9, 9, 9), (9, 0, 0)), (True, False))


def write(path, *, version="1.2", point_format=3, color=256, offset=0.0):
    cloud = laspy.create(point_format=point_format, file_version=version)
    cloud.header.scales, cloud.header.offsets = [0.01] * 3, [offset] * 3
    cloud.xyz = np.array([[0.5, 0, 0], [1, 2, 3], [4, 5, 6.25]]) + offset
    if "red" in cloud.point_format.dimension_names:
        cloud.red, cloud.green, cloud.blue = (np.array([255, 3, i]) * color for i in range(3))
    cloud.classification = np.array([2, 6, 0], np.uint8)
    cloud.write(str(path))


@pytest.mark.parametrize("suffix", ["las", "laz"])
@pytest.mark.parametrize(("version", "point_format"), [("1.2", 3), ("1.4", 7)])
def test_las_and_laz_give_metres_and_eight_bit_colours(tmp_path, suffix, version, point_format):
    path = tmp_path / f"tile.{suffix}"
    write(path, version=version, point_format=point_format)
    scene = read_scene(path)
    np.testing.assert_allclose(scene.points, [[0.5, 0, 0], [1, 2, 3], [4, 5, 6.25]], atol=1e-6)
    assert scene.colors.tolist() == [[255, 255, 255], [3, 3, 3], [0, 1, 2]]
    assert scene.labels is None


def test_eight_bit_colours_stay(tmp_path):
    write(tmp_path / "tile.las", color=1)
    assert read_scene(tmp_path / "tile.las").colors.tolist()[0] == [255, 255, 255]


def test_a_format_without_colours_has_none(tmp_path):
    write(tmp_path / "tile.las", point_format=1)
    assert read_scene(tmp_path / "tile.las").colors is None


def test_the_classification_is_raw_labels_on_request(tmp_path):
    write(tmp_path / "tile.las")
    scene = read_scene(tmp_path / "tile.las", label_set=AERIAL, label_ids="raw")
    assert scene.labels.tolist() == [0, 1, -1]
    assert read_scene(tmp_path / "tile.las", label_set=AERIAL).labels is None


def test_georeferenced_points_are_moved_and_the_origin_is_kept(tmp_path):
    write(tmp_path / "tile.las", offset=636000.0)
    scene = read_scene(tmp_path / "tile.las")
    assert scene.origin.tolist() == [636001, 636002, 636003]
    near = np.array([[0.5, 0, 0], [1, 2, 3], [4, 5, 6.25]])
    np.testing.assert_allclose(scene.points + (scene.origin - 636000), near, atol=1e-6)


def test_without_laspy_the_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path / "tile.las")
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(ImportError, match=r"pip install 'pcl-data\[las\]'"):
        read_scene(tmp_path / "tile.las")


@pytest.mark.parametrize(
    ("suffix", "position", "kind", "value", "message"),
    [
        ("las", 100, "<I", 2**32 - 1, "4294967295 [+] 0 records in"),
        ("las", 107, "<I", 2**31, "2147483648 points of"),
        ("las", 107, "<I", 4, "4 points, got 3"),
        ("laz", 107, "<I", 2**31, "2147483648 points of"),
        ("las", 0, "<4s", b"LASX", "complete LAS file"),
    ],
)
def test_counts_beyond_the_file_are_an_error(tmp_path, suffix, position, kind, value, message):
    path = tmp_path / f"tile.{suffix}"
    write(path)
    content = bytearray(path.read_bytes())
    struct.pack_into(kind, content, position, value)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"tile\.{suffix}: .*{message}"):
        read_scene(path)


def test_extended_records_are_counted_too(tmp_path):
    write(tmp_path / "tile.las", version="1.4", point_format=7)
    content = bytearray((tmp_path / "tile.las").read_bytes())
    struct.pack_into("<I", content, 243, 10**6)
    (tmp_path / "tile.las").write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"0 [+] 1000000 records"):
        read_scene(tmp_path / "tile.las")


@pytest.mark.parametrize("place_at_end", [False, True])
def test_a_chunk_table_beyond_the_file_is_an_error(tmp_path, place_at_end):
    """Lazrs would ask for the memory and abort the process."""
    path = tmp_path / "tile.laz"
    write(path)
    content = bytearray(path.read_bytes())
    (points_at,) = struct.unpack_from("<I", content, 96)
    (table_at,) = struct.unpack_from("<q", content, points_at)
    struct.pack_into("<I", content, table_at + 4, 2**31)
    if place_at_end:
        struct.pack_into("<q", content, points_at, -1)
        content += struct.pack("<q", table_at)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="2147483648 chunks in"):
        read_scene(path)


def test_the_unpacked_size_of_laz_is_bounded(tmp_path, monkeypatch):
    write(tmp_path / "tile.laz")
    monkeypatch.setattr(size_bounds, "MAX_ARRAY_BYTES", 100)
    monkeypatch.setattr(size_bounds, "_WIDENING", 0)
    with pytest.raises(ValueError, match="3 points of 102 bytes unpacked, more than 100"):
        read_scene(tmp_path / "tile.laz")


def test_a_panic_of_lazrs_is_an_error_like_any_other(tmp_path):
    path = tmp_path / "tile.laz"
    write(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, 227 + 54 + 32, 0)  # number of items in the LASzip record
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"tile\.laz: must be a complete LAS file, got: .*LazItem"):
        read_scene(path)


@pytest.mark.real
def test_reads_an_aerial_tile(real_data):
    scene = read_scene(real_data / "aerial" / "autzen_trim.laz")
    assert scene.points.shape == (110000, 3)
    assert scene.origin[0] == 636518
    assert np.abs(scene.points).max() < 500
    assert 0 < scene.intensity.max() <= 1
    assert scene.colors.max() == 236
