"""Tests of pcl_data.splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Scene
from pcl_data.splits import limited_annotations, limited_reconstructions, read_split

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


def make_scene(name="room", n=40) -> Scene:
    labels = np.arange(n) % 5 - 1
    return Scene(name, np.zeros((n, 3), np.float32), labels=labels, instances=np.arange(n) // 4)


@given(st.integers(1, 50), st.integers(1, 50))
def test_annotations_are_kept_at_the_same_points_of_a_larger_budget(a, b):
    scene = make_scene()
    small, large = (limited_annotations(scene, count) for count in sorted([a, b]))
    kept = small.labels != -1
    assert kept.sum() == min(a, b, 32)  # 8 of 40 points are unlabelled
    np.testing.assert_array_equal(small.labels[kept], scene.labels[kept])
    np.testing.assert_array_equal(small.instances, np.where(kept, scene.instances, -1))
    assert (large.labels[kept] != -1).all()


def test_annotations_depend_on_scene_and_seed():
    chosen = {
        tuple(np.flatnonzero(limited_annotations(make_scene(name), 5, seed=seed).labels != -1))
        for name in ("room", "hall")
        for seed in range(3)
    }
    assert len(chosen) == 6


def test_annotations_need_labels_and_a_count():
    with pytest.raises(ValueError, match="scene 'room': labels must be given, got None"):
        limited_annotations(Scene("room", np.zeros((1, 3), np.float32)), 1)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        limited_annotations(make_scene(), 0)


def test_a_published_list_is_read_in_its_order(tmp_path):
    (tmp_path / "12.txt").write_text("b\r\n\n a \nc")
    assert read_split(tmp_path / "12.txt", ["a", "b", "c", "d"]) == ("b", "a", "c")


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


@pytest.mark.real
def test_the_lists_of_scannet_are_read(real_data):
    path = real_data / "scannet" / "scannetv2_train.txt"
    names = path.read_text().split()
    assert len(read_split(path, names)) == 1201
