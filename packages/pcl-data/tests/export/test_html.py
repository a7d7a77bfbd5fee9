"""Tests of pcl_data.export.html."""

import base64
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.colormaps import Layer
from pcl_data.export import write_html

COLORS = np.zeros((2, 3), np.uint8)
BLACK = {"colour": Layer(COLORS)}


def read_page(path) -> tuple[str, dict]:
    page = path.read_text(encoding="utf-8")
    return page, json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1])


def decoded(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(-1, 3)


def told(layer: dict) -> list:
    """What the page says of each point: a row of the typed array, or the name in that row."""
    kinds = {"Uint8Array": "u1", "Uint16Array": "<u2", "Float32Array": "<f4"}
    values = np.frombuffer(base64.b64decode(layer["values"]), kinds[layer["kind"]])
    return [layer["names"][value] for value in values] if "names" in layer else values.tolist()


@given(st.integers(0, 2**32))
def test_positions_are_those_of_the_points_to_a_65535th(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("page") / "a.html"
    points = np.random.default_rng(seed).normal(0, 50, (20, 3))
    colors = np.random.default_rng(seed).integers(0, 256, (20, 3), dtype=np.uint8)
    write_html(path, points, {"colour": Layer(colors)})
    _, data = read_page(path)
    low, high = np.array(data["low"]), np.array(data["high"])
    back = low + decoded(data["positions"], "<u2") / 65535 * (high - low)
    assert np.abs(back - points).max() <= (high - low).max() / 65535 * 0.51
    np.testing.assert_array_equal(decoded(data["layers"][0]["colors"], "u1"), colors)


def test_layers_keep_their_order_and_legends(tmp_path):
    layers = {"labels": Layer(COLORS, [("a <b>", (1, 2, 3))])} | BLACK
    write_html(tmp_path / "a.html", np.eye(3)[:2], layers)
    page, data = read_page(tmp_path / "a.html")
    assert [layer["name"] for layer in data["layers"]] == ["labels", "colour"]
    assert data["layers"][0]["legend"] == [["a <b>", "rgb(1, 2, 3)"]]
    assert data["layers"][1]["legend"] == []
    assert "2 points" in page


def test_a_part_of_many_points_is_shown_and_the_page_says_so(tmp_path):
    points = np.random.default_rng(0).random((1500, 3))
    colors, millionths = np.zeros((1500, 3), np.uint8), (points[:, 0] * 1e6).astype(np.int64)
    layers = {"x": Layer(colors, values=points[:, 0]), "id": Layer(colors, values=millionths)}
    write_html(tmp_path / "a.html", points, layers, max_points=1000)
    write_html(tmp_path / "b.html", points, layers, max_points=1000)
    page, data = read_page(tmp_path / "a.html")
    x = decoded(data["positions"], "<u2")[:, 0] / 65535
    assert len(x) == 1000
    low, high = data["low"][0], data["high"][0]
    quantities, ids = map(told, data["layers"])
    np.testing.assert_allclose(quantities, low + x * (high - low), atol=1e-5)
    np.testing.assert_allclose(np.array(ids, int) / 1e6, quantities, atol=2e-6)
    assert "1,000 of 1,500 points" in page
    assert page == read_page(tmp_path / "b.html")[0]


@given(st.lists(st.one_of(st.integers(-1, 3), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_a_point_has_the_name_of_its_id_else_its_number(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("page") / "a.html"
    names = {-1: "none", 2: "chair", 5: "nowhere"}
    layer = Layer(np.zeros((len(ids), 3), np.uint8), values=np.array(ids), names=names)
    write_html(path, np.zeros((len(ids), 3)), {"ids": layer})
    (data,) = read_page(path)[1]["layers"]
    assert told(data) == [names.get(each, str(each)) for each in ids]


@pytest.mark.parametrize(("n", "kind"), [(256, "Uint8Array"), (257, "Uint16Array")])
def test_ids_take_no_more_bytes_than_they_need(tmp_path, n, kind):
    layer = Layer(np.zeros((n, 3), np.uint8), values=np.arange(n) * 10**12)
    write_html(tmp_path / "a.html", np.zeros((n, 3)), {"ids": layer})
    (data,) = read_page(tmp_path / "a.html")[1]["layers"]
    assert data["kind"] == kind
    assert told(data) == [str(each * 10**12) for each in range(n)]


def test_a_quantity_is_told_as_float32_and_may_be_unknown(tmp_path):
    layers = {"relevance": Layer(COLORS, values=np.array([0.1, np.nan]))} | BLACK
    write_html(tmp_path / "a.html", np.zeros((2, 3)), layers)
    relevance, colour = read_page(tmp_path / "a.html")[1]["layers"]
    np.testing.assert_array_equal(told(relevance), np.array([0.1, np.nan], np.float32))
    assert "values" not in colour


def test_the_page_knows_the_origin(tmp_path):
    origin = np.array([683000.0, 4812000.0, 100.0])
    write_html(tmp_path / "a.html", np.eye(3)[:2], BLACK, origin=origin)
    write_html(tmp_path / "b.html", np.eye(3)[:2], BLACK)
    data = read_page(tmp_path / "a.html")[1]
    assert data["origin"] == origin.tolist()
    assert data["low"] == [0, 0, 0]
    assert read_page(tmp_path / "b.html")[1]["origin"] == [0, 0, 0]


def test_names_cannot_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script>$data"
    layer = Layer(COLORS, [(evil, (0, 0, 0))], np.zeros(2, np.int64), {0: evil})
    write_html(tmp_path / "a.html", np.zeros((2, 3)), {evil: layer}, title=evil)
    page, data = read_page(tmp_path / "a.html")
    assert "<script>alert" not in page
    assert data["layers"][0]["name"] == evil
    assert told(data["layers"][0]) == [evil, evil]


def test_the_page_takes_no_text_as_html(tmp_path):
    write_html(tmp_path / "a.html", np.zeros((2, 3)), BLACK)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(",
        read_page(tmp_path / "a.html")[0],
    )


def test_the_page_needs_nothing_from_outside(tmp_path):
    write_html(tmp_path / "a.html", np.zeros((2, 3)), BLACK)
    page, _ = read_page(tmp_path / "a.html")
    assert not re.search(r"(src|href)\s*=|@import|https?://", page)


@pytest.mark.parametrize(
    ("points", "layers", "origin", "message"),
    [
        (np.zeros((0, 3)), {"colour": Layer(COLORS[:0])}, None, "got 0 and 1"),
        (np.zeros((2, 3)), {}, None, "got 2 and 0"),
        (np.full((2, 3), np.nan), BLACK, None, "points and origin must be finite"),
        (np.zeros((2, 3)), BLACK, np.full(3, np.inf), "points and origin must be finite"),
        (np.zeros((3, 3)), BLACK, None, r"shape \(3, 3\), got uint8 \(2, 3\) in 'colour'"),
        (np.zeros((2, 3)), {"a": Layer(COLORS / 255)}, None, "uint8 .* got float64 .* in 'a'"),
        (
            np.zeros((2, 3)),
            {"a": Layer(COLORS, values=np.zeros(3))},
            None,
            r"values of shape \(2,\), got \(3,\) in 'a'",
        ),
    ],
)
def test_bad_input_leaves_no_file(tmp_path, points, layers, origin, message):
    with pytest.raises(ValueError, match=message):
        write_html(tmp_path / "a.html", points, layers, origin=origin)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("max_points", [0, -1])
def test_a_page_without_points_is_not_made(tmp_path, max_points):
    with pytest.raises(ValueError, match=f"max_points must be at least 1, got {max_points}"):
        write_html(tmp_path / "a.html", np.zeros((2, 3)), BLACK, max_points=max_points)
