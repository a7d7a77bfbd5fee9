"""Images with annotations at the size of a network."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcl_methods.image_instances.image_set import ImageSet, inner_size, scaled


def test_an_example_has_the_image_at_its_upper_left(images):
    one = images.example(103, 64)
    assert one.image.shape == (3, 64, 64)
    assert (one.image[:, 10:22, 14:26] == 255).all()  # columns 6 to 14 and rows 4 to 12, doubled
    assert (one.image[:, 48:] == 0).all()
    assert one.labels.tolist() == [0, 1]
    assert one.masks.sum(dim=(1, 2)).tolist() == [256, 256]
    assert one.masks[0, 8:24, 12:28].all()
    assert one.masks[1, 32:40, 24:56].all()


def test_what_is_known_of_an_image_follows_its_annotations(images):
    assert images.example(101, 32).verified.tolist() == [True, False, True]
    assert images.example(101, 32).exhaustive.tolist() == [False, True, True]
    assert images.example(103, 32).verified.tolist() == [True, True, False]
    assert images.example(103, 32).exhaustive.tolist() == [True, True, True]


def test_an_image_without_objects_has_no_mask(images):
    data = replace(images.data, annotations=())
    one = ImageSet(data, images.folder).example(100, 32)
    assert one.masks.shape == (0, 32, 32)
    assert one.labels.shape == (0,)


def test_some_images_keep_all_classes(images):
    some = images.of_images([102])
    assert some.ids == [102]
    assert some.n_classes == 3


def test_an_image_of_another_size_is_refused(images, tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "0.png")
    with pytest.raises(ValueError, match=r"0.png must have size \(24, 32\), got \(4, 5\)"):
        ImageSet(images.data, tmp_path).pixels(100)


def test_a_missing_image_is_named(images, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"0\.png"):
        ImageSet(images.data, tmp_path).pixels(100)


def test_a_gray_image_has_three_channels(images, tmp_path):
    Image.new("L", (32, 24), 9).save(tmp_path / "0.png")
    assert ImageSet(images.data, tmp_path).pixels(100).shape == (24, 32, 3)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 300))
def test_the_longer_side_gets_the_size(height, width, size):
    inner = inner_size(height, width, size)
    assert max(inner) == size
    assert min(inner) >= 1
    assert inner_size(width, height, size) == inner[::-1]


def test_colors_are_averaged_and_masks_are_not():
    colors = torch.tensor([[[0, 100], [100, 200]]], dtype=torch.uint8)
    assert scaled(colors, 1).tolist() == [[[100]]]
    masks = torch.tensor([[[True, False], [False, False]]])
    assert scaled(masks, 4).sum() == 4
    assert scaled(masks, 4).dtype == torch.bool
    corner = torch.zeros(2, 4, 4, dtype=torch.bool)
    corner[0, 0, 0] = corner[1, 1, 1] = True
    assert scaled(corner, 2).sum(dim=(1, 2)).tolist() == [0, 1]  # the cell's nearest pixel


def test_an_object_that_vanishes_is_not_annotated(images):
    one = images.example(103, 4)  # a bar of half a pixel's height
    assert one.labels.tolist() == [0]
    assert one.masks.shape == (1, 4, 4)
    assert one.verified.tolist() == [True, True, False]
    assert one.exhaustive.tolist() == [True, False, True]
