"""Tests of pcl_data.colormaps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import SCANNET20, Scene
from pcl_data.colormaps import NOTHING, id_colors, scene_layers

POINTS = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2]], np.float32)


def test_a_full_scene_has_every_layer_and_colour_comes_first():
    ids = np.array([4, -1, 4])
    scene = Scene(
        "a",
        POINTS,
        colors=np.array([[1, 2, 3]] * 3, np.uint8),
        labels=ids,
        instances=ids,
        superpoints=ids,
        intensity=np.array([0, 0.5, 1], np.float32),
        label_set=SCANNET20,
    )
    layers = scene_layers(scene)
    assert list(layers) == ["colour", "labels", "instances", "superpoints", "intensity", "height"]
    assert layers["colour"].colors.tolist() == [[1, 2, 3]] * 3
    assert layers["labels"].colors.tolist() == [
        list(SCANNET20.colors[4]),
        list(NOTHING),
        list(SCANNET20.colors[4]),
    ]
    assert layers["labels"].values.tolist() == ids.tolist()
    assert layers["labels"].names == {4: "chair", -1: "unlabeled"}
    for name in ("instances", "superpoints"):
        assert layers[name].values.tolist() == ids.tolist()
        assert layers[name].names == {-1: "none"}
    assert layers["intensity"].values.tolist() == [0, 0.5, 1]
    assert layers["height"].values.tolist() == [0, 1, 2]
    assert layers["colour"].values is None
    assert layers["labels"].legend == [("chair", SCANNET20.colors[4]), ("unlabeled", NOTHING)]


def test_labels_without_a_label_set_are_shown_by_number():
    layer = scene_layers(Scene("a", POINTS, labels=np.array([3, 900, 3])))["labels"]
    assert [name for name, _ in layer.legend] == ["3", "900"]
    assert layer.names == {3: "3", 900: "900", -1: "unlabeled"}
    assert layer.colors[0].tolist() == layer.colors[2].tolist() == list(layer.legend[0][1])


@given(st.lists(st.integers(-1, 10**6), min_size=1, max_size=30))
def test_equal_ids_have_equal_colours_and_only_none_is_grey(ids):
    colors = id_colors(np.array(ids))
    for i, color in zip(ids, colors.tolist(), strict=True):
        assert color == colors[ids.index(i)].tolist()
        assert (tuple(color) == NOTHING) == (i == -1)


def test_neighbouring_ids_have_different_colours():
    colors = id_colors(np.arange(100)).astype(int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 60


def test_height_rises_from_dark_to_bright():
    layer = scene_layers(Scene("a", POINTS))["height"]
    brightness = layer.colors.astype(int).sum(axis=1)
    assert (np.diff(brightness) > 0).all()
    assert layer.legend[0][0].endswith(" m")


def test_a_flat_cloud_has_a_height_too():
    assert scene_layers(Scene("a", POINTS * 0))["height"].colors.shape == (3, 3)
