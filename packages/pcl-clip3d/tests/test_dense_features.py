"""Tests of pcl_clip3d.dense_features."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from pcl_clip3d.class_encoders import SegmentationEncoder, TableEncoder
from pcl_clip3d.dense_features import DenseFeatures, ImageEncoder, check_text


def random_grid(seed, d, a, b) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(d, a, b, generator=generator).double(), dim=0)


def between(values, size, cells, place) -> list[tuple[int, float]]:
    """The two cells around a pixel along one axis, and their shares."""
    spot = min(max((place + 0.5) * cells / size - 0.5, 0), cells - 1)
    low = min(int(spot), cells - 1)
    return [(low, 1 - (spot - low)), (min(low + 1, cells - 1), spot - low)]


@given(st.integers(0, 999), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9))
def test_a_pixel_lies_bilinearly_between_the_centres_of_cells(seed, a, b, height):
    width = height + 3
    grid = random_grid(seed, 2, a, b)
    pixels = [(row, column) for row in range(height) for column in range(0, width, 2)]
    found = DenseFeatures(grid, (height, width)).at(torch.tensor(pixels))
    for feature, (row, column) in zip(found, pixels, strict=True):
        wanted = torch.zeros(2).double()
        for i, share_i in between(grid, height, a, row):
            for j, share_j in between(grid, width, b, column):
                wanted += share_i * share_j * grid[:, i, j]
        assert_close(feature, wanted)


@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 5), st.integers(1, 8))
def test_logits_are_the_features_of_all_pixels_times_the_texts(seed, a, b, height):
    features = DenseFeatures(random_grid(seed, 3, a, b), (height, 6))
    texts = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)).double()
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(6))
    wanted = (features.at(pixels) @ texts.T).T.unflatten(1, (height, 6))
    assert_close(features.logits(texts), wanted)


def test_one_cell_is_everywhere_and_no_pixel_gives_no_row():
    features = DenseFeatures(torch.tensor([[[1.0]], [[0.0]]]), (2, 3))
    assert features.at(torch.tensor([[1, 2]])).tolist() == [[1.0, 0.0]]
    assert features.at(torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 2)
    assert features.logits(torch.eye(2)).tolist() == [[[1.0] * 3] * 2, [[0.0] * 3] * 2]


@pytest.mark.parametrize("pixel", [(-1, 0), (0, -1), (2, 0), (0, 3)])
def test_a_pixel_outside_the_image_is_refused(pixel):
    features = DenseFeatures(torch.ones(1, 1, 1), (2, 3))
    with pytest.raises(ValueError, match=r"pixel_index must lie in the image \(2, 3\)"):
        features.at(torch.tensor([pixel]))


def test_bad_arguments_are_refused():
    features = DenseFeatures(torch.ones(2, 1, 1), (2, 3))
    with pytest.raises(ValueError, match="pixel_index must be of signed integers"):
        features.at(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="text_features must have 2 columns, got 3"):
        features.logits(torch.eye(3))
    with pytest.raises(ValueError, match="grid must have shape"):
        DenseFeatures(torch.ones(2, 0, 1), (2, 3))
    with pytest.raises(ValueError, match="image_size must be at least"):
        DenseFeatures(torch.ones(2, 1, 1), (0, 3))


def test_texts_of_another_space_or_size_are_refused():
    encoder = TableEncoder(torch.eye(3), text_space="ViT-B-16/openai")
    check_text(encoder, torch.ones(7, 3), "ViT-B-16/openai")
    message = "text_space must be that of the encoder, 'ViT-B-16/openai', got 'ViT-B-32/openai'"
    with pytest.raises(ValueError, match=message):
        check_text(encoder, torch.eye(3), "ViT-B-32/openai")
    with pytest.raises(ValueError, match=r"text_features must have shape \(c, 3\), got \(4, 4\)"):
        check_text(encoder, torch.eye(4), "ViT-B-16/openai")


def test_a_network_times_texts_is_an_image_encoder():
    encoder = SegmentationEncoder(
        lambda pixels: pixels,
        torch.eye(3),
        text_space="any",
        mean=[0.0] * 3,
        std=[1.0] * 3,
        input_size=(2, 2),
    )
    assert isinstance(encoder, ImageEncoder)
    grid = encoder(torch.ones(1, 1, 3, dtype=torch.uint8)).grid
    assert_close(grid.norm(dim=0), torch.ones(2, 2))
