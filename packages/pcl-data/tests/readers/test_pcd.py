"""Tests of pcl_data.readers.pcd and pcl_data.readers.lzf."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.readers import read_scene
from pcl_data.readers.lzf import decompress_lzf

HEADER = """# .PCD v0.7
VERSION 0.7
FIELDS x y _ rgb z label
SIZE 4 4 1 4 4 4
TYPE F F U {rgb} F U
COUNT 1 1 3 1 1 1
WIDTH {width}
HEIGHT {height}
VIEWPOINT 0 0 0 1 0 0 0
POINTS {n}
DATA {data}
"""
ROW = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("_", "u1", 3), ("rgb", "<u4"), ("z", "<f4"), ("label", "<u4")]
)


def cloud() -> np.ndarray:
    """A 2 x 3 organised cloud."""
    table = np.zeros(6, ROW)
    table["x"], table["y"], table["z"] = np.arange(18, dtype=np.float32).reshape(3, 6) / 4
    table["rgb"] = 0xFF010200 + np.arange(6)  # alpha 255, red 1, green 2, blue 0...5
    table["label"] = [0, 1, 2, 3, 4, 2**31]
    return table


def pcd(table: np.ndarray, data: str, *, rgb: str = "U", **change) -> bytes:
    values = {"rgb": rgb, "width": 3, "height": 2, "n": 6, "data": data}
    header = HEADER.format(**(values | change)).encode()
    if data == "binary":
        return header + table.tobytes()
    if data == "binary_compressed":
        plain = b"".join(np.ascontiguousarray(table[name]).tobytes() for name in ROW.names)
        packed = literal_lzf(plain)
        return header + struct.pack("<II", len(packed), len(plain)) + packed
    colors = table["rgb"] if rgb == "U" else table["rgb"].view(np.float32)
    return header + b"".join(
        f"{row['x']} {row['y']} 0 0 0 {color!s} {row['z']} {row['label']}\n".encode()
        for row, color in zip(table, colors, strict=True)
    )


def literal_lzf(data: bytes) -> bytes:
    chunks = [data[i : i + 32] for i in range(0, len(data), 32)]
    return b"".join(bytes([len(chunk) - 1]) + chunk for chunk in chunks)


@pytest.mark.parametrize("rgb", ["U", "F"])
@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_every_encoding_gives_the_same_scene(tmp_path, data, rgb):
    table = cloud()
    if rgb == "F":
        table["rgb"] &= 0xFFFFFF  # with alpha 255 the float would be NaN, which text cannot carry
    (tmp_path / "table.pcd").write_bytes(pcd(table, data, rgb=rgb))
    scene = read_scene(tmp_path / "table.pcd")
    np.testing.assert_array_equal(scene.points, np.stack([table[k] for k in "xyz"], axis=1))
    assert scene.colors.tolist() == [[1, 2, i] for i in range(6)]
    assert scene.labels.tolist() == [0, 1, 2, 3, 4, 2**31]


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_missing_points_are_counted_or_dropped(tmp_path, data):
    table = cloud()
    table["z"][[1, 4]] = np.nan
    (tmp_path / "table.pcd").write_bytes(pcd(table, data))
    with pytest.raises(ValueError, match="got 2 NaN or infinite ones among 6; drop_invalid=true"):
        read_scene(tmp_path / "table.pcd")
    scene = read_scene(tmp_path / "table.pcd", drop_invalid=True)
    assert scene.labels.tolist() == [0, 2, 3, 2**31]
    assert scene.colors[:, 2].tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("WIDTH 3", "WIDTH 4", "6 points of width 4 and height 2"),
        ("WIDTH 3\nHEIGHT 2", "WIDTH -3\nHEIGHT -2", "6 points of width -3"),
        ("WIDTH 3", "WIDTH three", "invalid literal"),
        ("SIZE 4 4 1", "SIZE 4 3 1", "type and size F3"),
        ("COUNT 1 1 3", "COUNT 1 1 0", "counts"),
        ("COUNT 1 1 3", "COUNT 1 3", "6 fields, 6 types"),
        ("TYPE F F U", "TYPE F F", "zip"),
        ("FIELDS", "NAMES", "no FIELDS in the header"),
        ("DATA binary", "DATA packed", "data 'packed'"),
        ("FIELDS x", "FIELDS w", "columns must include x, y and z"),
        ("WIDTH 3\nHEIGHT 2", "WIDTH 3000000000\nHEIGHT 1", "6 points of width"),
    ],
)
def test_broken_headers_are_named(tmp_path, old, new, message):
    content = pcd(cloud(), "binary").decode("latin1")
    assert old in content
    (tmp_path / "table.pcd").write_bytes(content.replace(old, new).encode("latin1"))
    with pytest.raises(ValueError, match=rf"table\.pcd: .*{message}"):
        read_scene(tmp_path / "table.pcd")


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_more_points_than_the_file_holds_is_an_error(tmp_path, data):
    for n in (7, 10**15):
        (tmp_path / "table.pcd").write_bytes(pcd(cloud(), data, width=n, height=1, n=n))
        with pytest.raises(ValueError, match=r"table\.pcd: must be a complete PCD file"):
            read_scene(tmp_path / "table.pcd")


def test_literals_and_references_are_unpacked():
    assert decompress_lzf(bytes([2]) + b"abc", 3) == b"abc"
    assert decompress_lzf(b"", 0) == b""
    # length 7 + 5 + 2 = 14 from 1 back: a run
    assert decompress_lzf(bytes([0, 120, 0b111_00000, 5, 0]), 15) == b"x" * 15
    # length 1 + 2 = 3 from 0x101 + 1 back
    data = bytes(range(256)) * 2
    packed = literal_lzf(data) + bytes([0b001_00001, 1])
    assert decompress_lzf(packed, 515) == data + data[-258:-255]


tokens = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=32), st.tuples(st.integers(3, 264), st.integers(1, 40))
    ),
    max_size=20,
)


@given(tokens)
def test_unpacks_as_one_byte_after_the_other(tokens):
    packed, expected = bytearray(), bytearray()
    for token in tokens:
        if isinstance(token, bytes):
            packed += bytes([len(token) - 1]) + token
            expected += token
        elif token[1] <= len(expected):
            length, distance = token
            code, offset = length - 2, distance - 1
            packed += bytes([code << 5 | offset >> 8] if code < 7 else [7 << 5, code - 7])
            packed += bytes([offset & 255])
            for _ in range(length):
                expected.append(expected[-distance])
    assert decompress_lzf(bytes(packed), len(expected)) == expected


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (bytes([0, 97, 0b001_00000, 5]), 4, "before the beginning"),
        (bytes([3, 97]), 4, "must give 4 bytes"),
        (bytes([0, 97, 0b001_00000]), 4, "are cut"),
        (bytes([0, 97]), 2, "must give 2 bytes, got 1"),
        (bytes([1, 97, 97]), 1, "must give 1 bytes, got 2"),
        (bytes([0, 97]), 10**12, "2 compressed bytes cannot hold 1000000000000"),
    ],
)
def test_broken_lzf_is_an_error(data, size, message):
    with pytest.raises(ValueError, match=message):
        decompress_lzf(data, size)


@pytest.mark.real
def test_reads_organised_kinect_clouds(real_data):
    scene = read_scene(real_data / "osd" / "learn0.pcd", drop_invalid=True)
    assert len(scene.points) == 640 * 480 - 124908
    assert 0.5 < scene.points[:, 2].min() < scene.points[:, 2].max() < 1.5  # a table, metres
    assert scene.labels.min() == 1
    assert scene.colors.std() > 10
    with pytest.raises(ValueError, match="124908 NaN or infinite ones among 307200"):
        read_scene(real_data / "osd" / "learn0.pcd")
