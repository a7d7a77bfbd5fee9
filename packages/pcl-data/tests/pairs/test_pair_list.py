"""Tests of pcl_data.pairs.pair_list."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.pairs import FramePairs, load_pairs, save_pairs

NAMES = ["0", "25", "50", "b/75"]
PAIRS = FramePairs(np.array([[0, 1], [0, 3], [1, 2]]), np.array([0.5, 1 / 3, 1.0]))


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=5))
def test_pairs_come_back_as_they_were(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    pairs = FramePairs(
        np.array([[a, a + 1] for a, _ in rows], np.int64).reshape(-1, 2),
        np.array([overlap for _, overlap in rows], np.float64),
    )
    save_pairs(path, NAMES, pairs)
    found = load_pairs(path, NAMES)
    np.testing.assert_array_equal(found.pairs, pairs.pairs)
    np.testing.assert_array_equal(found.overlap, pairs.overlap)


def test_a_line_is_two_names_and_the_overlap(tmp_path):
    save_pairs(tmp_path / "pairs.txt", NAMES, PAIRS)
    text = (tmp_path / "pairs.txt").read_text()
    assert text == "0 25 0.5\n0 b/75 0.3333333333333333\n25 50 1.0\n"


def test_pairs_follow_their_frames_when_the_order_changes(tmp_path):
    save_pairs(tmp_path / "pairs.txt", NAMES, PAIRS)
    found = load_pairs(tmp_path / "pairs.txt", NAMES[::-1])
    assert found.pairs.tolist() == [[3, 2], [3, 0], [2, 1]]


def test_a_file_stays_as_it_was_if_the_new_pairs_are_bad(tmp_path):
    path = tmp_path / "pairs.txt"
    save_pairs(path, NAMES, PAIRS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"pairs must lie in \[0, 3\), the names, got \[0, 3\]"):
        save_pairs(path, NAMES[:3], PAIRS)
    with pytest.raises(ValueError, match=r"pairs must lie in \[0, 4\), the names, got \[-1, 2\]"):
        save_pairs(path, NAMES, FramePairs(np.array([[-1, 2]]), np.array([0.5])))
    assert path.read_bytes() == before


def test_a_file_stays_as_it_was_if_the_disk_fails(tmp_path, monkeypatch):
    path = tmp_path / "pairs.txt"
    save_pairs(path, NAMES, PAIRS)

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        save_pairs(path, NAMES, FramePairs(PAIRS.pairs[:1], PAIRS.overlap[:1]))
    assert len(path.read_text().splitlines()) == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0", "a b", "1", "2"], "names must have no white space and not be empty, got 'a b'"),
        (["0", "", "1", "2"], "names must have no white space and not be empty, got ''"),
        (["0", "1", "0", "2"], "names must be distinct, got 1 repeated"),
    ],
)
def test_names_that_a_line_cannot_hold_are_rejected(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        save_pairs(tmp_path / "pairs.txt", names, PAIRS)
    with pytest.raises(ValueError, match=message):
        load_pairs(tmp_path / "pairs.txt", names)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 25", "line 2 must be two names and an overlap, got '0 25'"),
        ("0 25 0.5 1", "line 2 must be two names and an overlap"),
        ("", "line 2 must be two names and an overlap, got ''"),
        ("0 99 0.5", "line 2 must name frames of the scene, got '99'"),
        ("0 0 0.5", "line 2 must name two frames, got '0' twice"),
        ("0 25 half", r"line 2 must have an overlap in \[0, 1\], got 'half'"),
        ("0 25 nan", r"line 2 must have an overlap in \[0, 1\], got 'nan'"),
        ("0 25 1.5", r"line 2 must have an overlap in \[0, 1\], got '1.5'"),
    ],
)
def test_bad_lines_are_rejected_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "pairs.txt"
    path.write_text(f"0 25 0.5\n{line}\n0 50 0.5\n")
    with pytest.raises(ValueError, match=f"pairs.txt: {message}"):
        load_pairs(path, NAMES)


def test_files_that_are_missing_or_no_text_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_pairs(tmp_path / "none.txt", NAMES)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="binary"):
        load_pairs(tmp_path / "binary.txt", NAMES)
