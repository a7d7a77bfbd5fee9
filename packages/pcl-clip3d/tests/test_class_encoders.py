"""Tests of pcl_clip3d.class_encoders."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_clip3d.class_encoders import SegmentationEncoder, TableEncoder
from pcl_clip3d.image_pixels import normalized_pixels

TEXTS = torch.nn.functional.normalize(
    torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), dim=1
)
PIXELS = {"mean": [0.5, 0.25, 0.125], "std": [0.5, 0.25, 1.0]}


def network(pixels) -> torch.Tensor:
    """Each channel of the pixels is the logit of a class, on a grid of half the size."""
    return torch.nn.functional.avg_pool2d(pixels, 2)


@given(st.integers(0, 999))
def test_features_are_the_unit_mixture_of_the_texts(seed):
    generator = torch.Generator().manual_seed(seed)
    table = torch.rand(3, 2, 4, generator=generator).softmax(dim=0)
    found = TableEncoder(TEXTS, text_space="any").encode(table)
    assert found.image_size == (2, 4)
    texts, shares = TEXTS.tolist(), table.tolist()
    for i in range(2):
        for j in range(4):
            mixed = [sum(shares[k][i][j] * texts[k][d] for k in range(3)) for d in range(5)]
            length = math.sqrt(sum(x * x for x in mixed))
            assert_close(found.grid[:, i, j], torch.tensor([x / length for x in mixed]))


def test_a_certain_class_is_its_text():
    table = torch.eye(3).view(3, 1, 3)
    found = TableEncoder(2 * TEXTS, text_space="any").encode(table)
    assert_close(found.logits(TEXTS)[:, 0].argmax(dim=0), torch.arange(3))
    assert_close(found.grid[:, 0], TEXTS.T)


def test_a_network_speaks_through_its_softmax(photo):
    encoder = SegmentationEncoder(network, TEXTS, text_space="any", input_size=(6, 8), **PIXELS)
    logits = network(normalized_pixels(photo, (6, 8), **PIXELS))
    wanted = TableEncoder(TEXTS, text_space="any").encode(logits[0].softmax(dim=0))
    found = encoder(photo)
    assert_close(found.grid, wanted.grid)
    assert found.grid.shape == (5, 3, 4)
    assert found.image_size == (40, 56)
    assert (encoder.dim, encoder.text_space) == (5, "any")


def test_networks_with_weights_get_no_gradients(photo):
    layer = torch.nn.Conv2d(3, 3, 1)
    encoder = SegmentationEncoder(layer, TEXTS, text_space="any", input_size=(4, 4), **PIXELS)
    assert not encoder(photo).grid.requires_grad


def test_bad_tables_are_refused():
    encoder = TableEncoder(TEXTS, text_space="any")
    with pytest.raises(ValueError, match="probabilities must have 3 rows, got 2"):
        encoder.encode(torch.full((2, 1, 1), 0.5))
    with pytest.raises(ValueError, match="probabilities must sum to 1 at each pixel"):
        encoder.encode(torch.full((3, 1, 1), 0.5))
    with pytest.raises(ValueError, match="probabilities must sum to 1 at each pixel"):
        encoder.encode(torch.tensor([-0.5, 0.5, 1.0]).view(3, 1, 1))
    with pytest.raises(ValueError, match="probabilities must sum to 1 at each pixel"):
        encoder.encode(torch.full((3, 1, 1), math.nan))
    with pytest.raises(ValueError, match="grid must have shape"):
        encoder.encode(torch.zeros(3, 0, 2))


def test_bad_texts_are_refused():
    with pytest.raises(ValueError, match=r"text_features must be finite, got NaN"):
        TableEncoder(torch.full((2, 2), math.nan), text_space="any")
    with pytest.raises(ValueError, match=r"text_features must have shape \(k, d\), got \(0, 2\)"):
        TableEncoder(torch.zeros(0, 2), text_space="any")


def test_a_network_of_other_classes_and_bad_images_are_refused(photo):
    encoder = SegmentationEncoder(
        lambda pixels: pixels[:, :2], TEXTS, text_space="any", input_size=(4, 4), **PIXELS
    )
    with pytest.raises(ValueError, match=r"network must return logits \(1, 3, a, b\), got"):
        encoder(photo)
    with pytest.raises(ValueError, match="image must be of uint8, got float32"):
        encoder(photo.float())
    with pytest.raises(ValueError, match="image must have at least one pixel"):
        encoder(photo[:0])
