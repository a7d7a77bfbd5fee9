"""Tests of pcl_data.splits.scenes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.splits import limited_reconstructions, read_split

NAMES = [f"scene{i:04d}_00" for i in range(100)]


@given(st.data(), st.integers(0, 3))
def test_smaller_subsets_lie_in_larger_ones(data, seed):
    small = data.draw(st.integers(1, 100))
    large = data.draw(st.integers(small, 100))
    chosen = limited_reconstructions(NAMES, count=small, seed=seed)
    assert len(set(chosen)) == small
    assert set(chosen) <= set(limited_reconstructions(NAMES, count=large, seed=seed)) <= set(NAMES)


@given(st.permutations(NAMES[:10]))
def test_the_order_of_the_names_does_not_matter(names):
    expected = limited_reconstructions(NAMES[:10], count=4)
    assert limited_reconstructions(names, count=4) == expected
    assert list(expected) == sorted(expected)


def test_another_seed_chooses_others():
    assert len({limited_reconstructions(NAMES, count=10, seed=seed) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("fraction", "count"),
    [(0.01, 12), (0.05, 60), (0.1, 120), (0.2, 240), (0.4, 480), (0.8, 960), (1.0, 1201)],
)
def test_fractions_of_scannet_are_those_of_the_benchmark(fraction, count):
    names = [str(i) for i in range(1201)]
    assert len(limited_reconstructions(names, fraction=fraction)) == count


def test_a_fraction_that_is_whole_is_not_rounded_down():
    assert len(limited_reconstructions(NAMES, fraction=0.29)) == 29  # 0.29 * 100 < 29


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of fraction and count must be given, got None and None"),
        ({"fraction": 0.5, "count": 1}, "exactly one of fraction and count"),
        ({"fraction": 1.5}, r"fraction must lie in \(0, 1\], got 1.5"),
        ({"fraction": 0.0}, r"fraction must lie in \(0, 1\], got 0.0"),
        ({"fraction": 0.001}, r"count must lie in \[1, 100\], the scenes given, got 0"),
        ({"count": 101}, r"count must lie in \[1, 100\], the scenes given, got 101"),
        ({"count": 0}, r"count must lie in \[1, 100\], the scenes given, got 0"),
    ],
)
def test_impossible_amounts_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        limited_reconstructions(NAMES, **arguments)


def test_repeated_names_are_rejected():
    with pytest.raises(ValueError, match=r"names must be distinct, got \['a'\] more than once"):
        limited_reconstructions(["a", "b", "a"], count=1)


def test_a_published_list_is_read_in_its_order(tmp_path):
    (tmp_path / "12.txt").write_text("b\r\n\n a \nc")
    assert read_split(tmp_path / "12.txt", ["a", "b", "c", "d"]) == ("b", "a", "c")
    assert read_split(tmp_path / "12.txt") == ("b", "a", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nz\n", r"12.txt must hold names of the given scenes, got \['z'\]"),
        ("a\nb\na\n", r"12.txt must be distinct, got \['a'\] more than once"),
        ("\n", "12.txt must hold at least one scene name, got none"),
    ],
)
def test_bad_lists_are_rejected(tmp_path, text, message):
    (tmp_path / "12.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_split(tmp_path / "12.txt", ["a", "b"])


def test_a_list_of_sweep_files_gives_the_names_of_the_sweeps(tmp_path):
    lines = ["/data/train/00/velodyne/000012.bin", "07/velodyne/001100.bin", "10/000001"]
    (tmp_path / "1pct.txt").write_text("\n".join(lines))
    names = ["00/000012", "07/001100", "10/000001", "10/000002"]
    assert read_split(tmp_path / "1pct.txt", names) == ("00/000012", "07/001100", "10/000001")


def test_a_list_that_is_no_text_or_missing_is_rejected(tmp_path):
    (tmp_path / "12.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"12\.txt: "):
        read_split(tmp_path / "12.txt", ["a"])
    with pytest.raises(FileNotFoundError):
        read_split(tmp_path / "none.txt", ["a"])


@pytest.mark.parametrize("name", ["a" * 256, "a\0b", "a\x1bb"])
def test_what_is_no_name_is_an_error(tmp_path, name):
    (tmp_path / "list.txt").write_text(f"b\n{name}\n")
    with pytest.raises(ValueError, match=r"list\.txt must hold names, got 'a"):
        read_split(tmp_path / "list.txt")
