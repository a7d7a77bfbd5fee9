"""Tests of pcl_data.readers.table: what columns without names are."""

import warnings

import numpy as np
import pytest

from pcl_data.readers import read_scene, unread_columns

RNG = np.random.default_rng(0)
N = 2000
POINTS = RNG.uniform(-5, 5, (N, 3)).round(3)
COLORS = RNG.integers(0, 256, (N, 3))
LABELS, INSTANCES = RNG.integers(0, 13, N), RNG.integers(-1, 200, N)
NORMALS = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
UNSIGNED, SIGNED = RNG.integers(0, 256, N), RNG.integers(-1800, 2000, N)
ARRAYS = {
    "color": COLORS,
    "fraction": COLORS / 255,
    "normal": NORMALS,
    "label": LABELS,
    "instance": INSTANCES,
    "unsigned": UNSIGNED,
    "signed": SIGNED,
    "float": UNSIGNED / 255,
}


def write(path, kinds):
    table = np.column_stack([POINTS, *(ARRAYS[kind] for kind in kinds.split())])
    if path.suffix == ".npy":
        np.save(path, table)
    else:
        head = f"{N}\n" if path.suffix == ".pts" else ""
        path.write_text(head + "\n".join(" ".join(f"{v:.9g}" for v in row) for row in table))
    return path


@pytest.mark.parametrize("suffix", ["txt", "npy", "pts"])
@pytest.mark.parametrize("kinds", ["", "color", "fraction", "color label", "color label instance"])
def test_the_usual_orders_are_read_without_a_word(tmp_path, kinds, suffix):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(read_scene(write(tmp_path / f"a.{suffix}", kinds)), kinds)


@pytest.mark.parametrize("suffix", ["txt", "npy", "pts"])
@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        ("unsigned color", "x y z intensity red green blue"),
        ("signed color", "x y z intensity red green blue"),
        ("float color", "x y z intensity red green blue"),
        ("unsigned color label", "x y z intensity red green blue label"),
        ("color signed", "x y z red green blue intensity"),
        ("float", "x y z intensity"),
        ("signed", "x y z intensity"),
        ("label", "x y z label"),
        ("normal", "x y z nx ny nz"),
        ("color normal", "x y z red green blue nx ny nz"),
        ("normal label", "x y z nx ny nz label"),
    ],
)
def test_other_orders_are_found_by_their_ranges_and_told(tmp_path, kinds, says, suffix):
    path = write(tmp_path / f"a.{suffix}", kinds)
    with pytest.warns(UserWarning, match=rf"a\.{suffix}: columns without names are read as {says}"):
        scene = read_scene(path)
    check(scene, kinds)
    assert unread_columns(path) == ()


def check(scene, kinds):
    kinds = kinds.split()
    expected = {
        "colors": COLORS if {"color", "fraction"} & set(kinds) else None,
        "labels": LABELS if "label" in kinds else None,
        "instances": INSTANCES if "instance" in kinds else None,
    }
    for field, array in expected.items():
        found = getattr(scene, field)
        assert (found is None) == (array is None)
        assert found is None or np.array_equal(found, array), field
    assert (scene.normals is not None) == ("normal" in kinds)
    assert (scene.intensity is not None) == bool({"unsigned", "signed", "float"} & set(kinds))
    if "unsigned" in kinds:
        np.testing.assert_allclose(scene.intensity, UNSIGNED / 255, atol=1e-6)
    np.testing.assert_allclose(scene.points, POINTS, atol=1e-6)


def test_an_open_choice_is_told_with_the_other_orders(tmp_path):
    """Few points: the last column may be a class or blue."""
    (tmp_path / "a.txt").write_text("0 0 0 10 20 30 4\n1 1 1 40 50 60 7\n")
    with pytest.warns(UserWarning, match="blue label, and not as x y z intensity red green blue"):
        assert read_scene(tmp_path / "a.txt").labels.tolist() == [4, 7]


def test_places_tell_what_columns_without_names_are(tmp_path):
    (tmp_path / "a.txt").write_text("9 0 0 10 20 30 4\n8 1 1 40 50 60 7\n")
    given = {"intensity": "4", "red": "5", "green": "6", "blue": "7"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene = read_scene(tmp_path / "a.txt", columns=given)
    assert scene.colors.tolist() == [[20, 30, 4], [50, 60, 7]]
    assert scene.points[:, 0].tolist() == [9, 8]
    with pytest.warns(UserWarning, match="not understood: 4, 5, 6"):
        scene = read_scene(tmp_path / "a.txt", columns={"z": "1", "x": "3", "label": "7"})
    assert scene.points[:, 2].tolist() == [9, 8]
    assert scene.labels.tolist() == [4, 7]


def test_numbers_that_fit_no_order_are_an_error_that_names_the_way_out(tmp_path):
    (tmp_path / "a.txt").write_text("0 0 0 10 20 30 0.5 -7 3 8 9\n" * 2)
    with pytest.raises(
        ValueError, match=r"rows of 11 numbers must be .*columns=\{red: 4, \.\.\.\}"
    ):
        read_scene(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "text",
    [
        "//X;Y;Z;Rf;Gf;Bf;semantic_label\n{rows}",
        "# made in B\u00fcro\n# x y z red green blue label\n{rows}",
        "//X;Y;Z;R;G;B;Label\n2\n{rows}",
        "X\tY\tZ\tR\tG\tB\tScalar Label\n{rows}",
        "\ufeffx,y,z,r,g,b,class\r\n{rows}",
    ],
)
def test_names_stand_in_a_first_line_or_a_comment(tmp_path, text):
    mark = ";" if ";" in text else "," if "," in text else "\t" if "\t" in text else " "
    rows = "".join(f"{mark.join(row.split())}\n" for row in ("1 2 3 0 0.5 1 4", "2 3 4 0 1 0.5 9"))
    for encoding in ("utf-8", "latin-1") if "\ufeff" not in text else ("utf-8",):
        (tmp_path / "a.csv").write_bytes(text.format(rows=rows).encode(encoding))
        scene = read_scene(tmp_path / "a.csv")
        assert scene.points.tolist() == [[1, 2, 3], [2, 3, 4]]
        assert scene.labels.tolist() == [4, 9]
        assert scene.colors.tolist() == [[0, 128, 255], [0, 255, 128]]
