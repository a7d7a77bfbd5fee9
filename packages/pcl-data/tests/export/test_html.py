"""Tests of pcl_data.export.html."""

import base64
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.export import write_html

BLACK = {"colour": np.zeros((2, 3), np.uint8)}


def read_page(path) -> tuple[str, dict]:
    page = path.read_text(encoding="utf-8")
    return page, json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1])


def decoded(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(-1, 3)


@given(st.integers(0, 2**32))
def test_positions_are_those_of_the_points_to_a_65535th(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("page") / "a.html"
    points = np.random.default_rng(seed).normal(0, 50, (20, 3))
    colors = np.random.default_rng(seed).integers(0, 256, (20, 3), dtype=np.uint8)
    write_html(path, points, {"colour": colors})
    _, data = read_page(path)
    low, high = np.array(data["low"]), np.array(data["high"])
    back = low + decoded(data["positions"], "<u2") / 65535 * (high - low)
    assert np.abs(back - points).max() <= (high - low).max() / 65535 * 0.51
    np.testing.assert_array_equal(decoded(data["layers"][0]["colors"], "u1"), colors)


def test_layers_keep_their_order_and_legends(tmp_path):
    layers = {"labels": np.full((2, 3), 9, np.uint8)} | BLACK
    write_html(
        tmp_path / "a.html", np.eye(3)[:2], layers, legends={"labels": [("a <b>", (1, 2, 3))]}
    )
    page, data = read_page(tmp_path / "a.html")
    assert [layer["name"] for layer in data["layers"]] == ["labels", "colour"]
    assert data["layers"][0]["legend"] == [["a <b>", "rgb(1, 2, 3)"]]
    assert data["layers"][1]["legend"] == []
    assert "2 points" in page


def test_a_part_of_many_points_is_shown_and_the_page_says_so(tmp_path):
    points = np.random.default_rng(0).random((1500, 3))
    colors = {"colour": np.zeros((1500, 3), np.uint8)}
    write_html(tmp_path / "a.html", points, colors, max_points=1000)
    write_html(tmp_path / "b.html", points, colors, max_points=1000)
    page, data = read_page(tmp_path / "a.html")
    assert len(decoded(data["positions"], "<u2")) == 1000
    assert "1,000 of 1,500 points" in page
    assert page == read_page(tmp_path / "b.html")[0]


def test_names_cannot_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script>$data"
    write_html(tmp_path / "a.html", np.zeros((2, 3)), {evil: BLACK["colour"]}, title=evil)
    page, data = read_page(tmp_path / "a.html")
    assert "<script>alert" not in page
    assert data["layers"][0]["name"] == evil


def test_the_page_needs_nothing_from_outside(tmp_path):
    write_html(tmp_path / "a.html", np.zeros((2, 3)), BLACK)
    page, _ = read_page(tmp_path / "a.html")
    assert not re.search(r"(src|href)\s*=|@import|https?://", page)


@pytest.mark.parametrize(
    ("points", "layers", "legends", "message"),
    [
        (np.zeros((0, 3)), {"colour": np.zeros((0, 3), np.uint8)}, {}, "got 0 and 1"),
        (np.zeros((2, 3)), {}, {}, "got 2 and 0"),
        (np.full((2, 3), np.nan), BLACK, {}, "points must be finite"),
        (np.zeros((3, 3)), BLACK, {}, "each of the 3 points, got 2 in 'colour'"),
        (np.zeros((2, 3)), BLACK, {"labels": []}, r"layers \['colour'\], got 'labels'"),
    ],
)
def test_bad_input_leaves_no_file(tmp_path, points, layers, legends, message):
    with pytest.raises(ValueError, match=message):
        write_html(tmp_path / "a.html", points, layers, legends=legends)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("max_points", [0, -1])
def test_a_page_without_points_is_not_made(tmp_path, max_points):
    with pytest.raises(ValueError, match=f"max_points must be at least 1, got {max_points}"):
        write_html(tmp_path / "a.html", np.zeros((2, 3)), BLACK, max_points=max_points)
