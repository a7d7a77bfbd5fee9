"""Masks and their encodings."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pcl_methods.image_instances.masks import decode_mask, encode_mask, mask_box

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(arrays(bool, SHAPES))
def test_runs_are_decoded_to_the_same_mask(mask):
    runs = json.loads(json.dumps(encode_mask(mask)))
    assert (decode_mask(runs, *mask.shape) == mask).all()


@given(arrays(bool, SHAPES))
def test_a_box_is_the_smallest_around_the_mask(mask):
    x, y, width, height = (int(value) for value in mask_box(mask))
    inside = np.zeros_like(mask)
    inside[y : y + height, x : x + width] = True
    assert not (mask & ~inside).any()
    if mask.any():
        part = mask[y : y + height, x : x + width]
        assert all(part[side].any() for side in (0, -1))
        assert all(part[:, side].any() for side in (0, -1))


def test_runs_without_compression_go_down_the_columns():
    mask = decode_mask({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3)
    assert mask.tolist() == [[False, True, False], [True, False, False]]


def test_polygons_of_an_object_are_joined():
    squares = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 0, 6, 0, 6, 2, 4, 2]]
    mask = decode_mask(squares, 3, 7)
    assert mask[:2].tolist() == [[True, True, False, False, True, True, False]] * 2
    assert not mask[2].any()


def test_runs_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"segmentation must have size \[3, 2\], got \[2, 3\]"):
        decode_mask(encode_mask(np.ones((2, 3), bool)), 3, 2)
