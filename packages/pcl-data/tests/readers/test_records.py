"""Tests of pcl_data.readers.records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcl_data.readers import records
from pcl_data.readers.records import (
    read_depth,
    read_image,
    read_json,
    read_matrix,
    read_records,
)

READERS = [
    lambda path: read_records(path, "<f4", 4),
    lambda path: read_matrix(path, (4, 4)),
    read_json,
    read_image,
    read_depth,
]


def test_rows_come_back_in_the_byte_order_asked_for(tmp_path):
    rows = np.arange(8, dtype="<f4").reshape(2, 4)
    rows.tofile(tmp_path / "a.bin")
    np.testing.assert_array_equal(read_records(tmp_path / "a.bin", "<f4", 4), rows)
    np.arange(3, dtype=">u4").tofile(tmp_path / "b.bin")
    assert read_records(tmp_path / "b.bin", ">u4").tolist() == [0, 1, 2]


def test_a_truncated_row_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(17))
    with pytest.raises(ValueError, match=r"a\.bin: must hold rows of 16 bytes, got 17 bytes"):
        read_records(tmp_path / "a.bin", "<f4", 4)


def test_matrices_keep_infinities(tmp_path):
    path = tmp_path / "pose.txt"
    path.write_text("1 0 0\n0 -inf 2.5e-1\n\n")
    assert read_matrix(path, (2, 3)).tolist() == [[1, 0, 0], [0, -np.inf, 0.25]]


@pytest.mark.parametrize("text", ["", "1 2\n3\n", "1 2\n3 four\n", "1 2\n", "1 2 3\n4 5 6\n"])
def test_what_is_no_such_matrix_is_rejected(tmp_path, text):
    (tmp_path / "pose.txt").write_text(text)
    with pytest.raises(ValueError, match=r"pose\.txt: must be a complete matrix file"):
        read_matrix(tmp_path / "pose.txt", (2, 2))


def test_json_of_another_kind_is_rejected(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    assert read_json(tmp_path / "a.json", list) == [1]
    with pytest.raises(ValueError, match=r"a\.json: must hold a dict, got list"):
        read_json(tmp_path / "a.json")


def test_depth_is_in_metres(tmp_path):
    Image.fromarray(np.array([[0, 1500]], np.uint16)).save(tmp_path / "d.png")
    assert read_depth(tmp_path / "d.png").tolist() == [[0, 1.5]]
    assert read_depth(tmp_path / "d.png", 2).tolist() == [[0, 750]]
    Image.fromarray(np.zeros((1, 2, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match=r"rgb\.png: .* mode RGB, not one 16-bit channel"):
        read_depth(tmp_path / "rgb.png")


def test_images_are_rgb(tmp_path):
    Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").tolist() == [[[7, 7, 7]] * 3] * 2


def test_images_too_large_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_PIXELS", 5)
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="2 pixels, more than 5"):
        read_image(tmp_path / "a.png")


def test_bytes_that_are_no_image_are_called_that(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(
        ValueError, match=r"a\.png: must be a complete image file, got: no known im"
    ):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, reader):
    with pytest.raises(ValueError, match=rf"{tmp_path.name}: must be "):
        reader(tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_says_so(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match="absent"):
        reader(tmp_path / "absent")


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_result_or_an_error_that_names_the_file(tmp_path_factory, reader, data):
    path = tmp_path_factory.mktemp("fuzz") / "some.bytes"
    path.write_bytes(data)
    try:
        reader(path)
    except ValueError as error:
        message = str(error)
    else:
        message = "some.bytes"
    assert "some.bytes" in message
