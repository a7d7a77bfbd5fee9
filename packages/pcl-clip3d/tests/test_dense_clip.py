"""Tests of pcl_clip3d.dense_clip."""

import math

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from pcl_clip3d.class_prompts import encode_class_names
from pcl_clip3d.clip_towers import image_tower
from pcl_clip3d.dense_clip import DenseClip
from pcl_clip3d.dense_features import ImageEncoder, check_text
from pcl_clip3d.word_tokenizer import WordTokenizer

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def encoder(model, **how) -> DenseClip:
    return DenseClip(model, WordTokenizer([f"w{i}" for i in range(13)], 8), name="tiny", **how)


def normalized(photo) -> torch.Tensor:
    return ((photo.permute(2, 0, 1) / 255 - MEAN) / STD)[None]


@torch.no_grad()
def test_an_image_of_whole_patches_is_normalised_and_read_at_each(vit, photo):
    found = encoder(vit)(photo)
    wanted = image_tower(vit.visual, "identity").features(normalized(photo))
    assert_close(found.grid, wanted)
    assert found.grid.shape == (24, 5, 7)
    assert found.image_size == (40, 56)


def test_it_is_an_image_encoder_without_gradients(vit):
    model = encoder(vit)
    assert isinstance(model, ImageEncoder)
    assert (model.text_space, model.dim, model.training) == ("tiny", 24, False)
    assert not any(values.requires_grad for values in model.parameters())
    check_text(model, torch.ones(2, 24), "tiny")


@pytest.mark.parametrize(
    ("size", "short_side", "grid"),
    [
        ((41, 55), None, (5, 7)),  # the nearest multiples of 8: 40 and 56
        ((1, 1), None, (1, 1)),
        ((40, 56), 16, (2, 3)),  # 16 x 22.4
        ((56, 40), 32, (6, 4)),  # 44.8 x 32
        ((4, 4), 32, (4, 4)),
    ],
)
def test_an_image_is_covered_by_whole_patches(vit, size, short_side, grid):
    found = encoder(vit, short_side=short_side)(torch.zeros(*size, 3, dtype=torch.uint8))
    assert found.grid.shape[1:] == grid
    assert found.image_size == size
    assert_close(found.grid.norm(dim=0), torch.ones(grid))


@torch.no_grad()
@pytest.mark.parametrize(
    ("window", "stride", "rows", "columns"),
    [
        (32, 24, [0, 1], [0, 3]),  # cells: 5 and 7 long, windows of 4
        (32, 8, [0, 1], [0, 1, 2, 3]),
        (16, None, [0, 2, 3], [0, 2, 4, 5]),
        (800, 8, [0], [0]),
    ],
)
def test_windows_average_where_they_overlap(vit, photo, window, stride, rows, columns):
    tower, pixels = image_tower(vit.visual, "sclip"), normalized(photo)
    high, wide = min(window // 8, 5), min(window // 8, 7)
    total, count = torch.zeros(24, 5, 7), torch.zeros(5, 7)
    keys = torch.zeros(64, 5, 7)
    for top in rows:
        for left in columns:
            part = pixels[:, :, 8 * top : 8 * (top + high), 8 * left : 8 * (left + wide)]
            total[:, top : top + high, left : left + wide] += tower.features(part)
            keys[:, top : top + high, left : left + wide] += tower.keys(part)
            count[top : top + high, left : left + wide] += 1
    model = encoder(vit, attention="sclip", window=window, stride=stride)
    assert_close(model(photo).grid, functional.normalize(total, dim=0))
    assert_close(model.keys(photo), keys / count)


def test_a_resnet_reads_cells_of_32_pixels(resnet, photo):
    model = encoder(resnet, short_side=64)
    assert model(photo).grid.shape == (24, 2, 3)
    assert model.keys(photo).shape == (256, 2, 3)


def test_texts_have_length_1_and_make_classes(vit):
    model = encoder(vit)
    found = model.encode_text(["w1 w2", "w3"])
    assert_close(found.norm(dim=1), torch.ones(2))
    with torch.no_grad():
        own = vit.encode_text(model.tokenizer(["w1 w2", "w3"]), normalize=True)
    assert_close(found, own)
    classes = encode_class_names(["w1", "w5"], model.encode_text, templates=["w0 {}", "{} w2"])
    assert classes.shape == (2, 24)


def test_a_model_in_half_precision_gives_single_precision(build, photo):
    model = encoder(build().bfloat16())
    assert model(photo).grid.dtype == torch.float32
    whole = encoder(build())(photo).grid
    assert float((model(photo).grid * whole).sum(dim=0).min()) > 0.99


def test_bad_images_and_texts_are_refused(vit):
    model = encoder(vit)
    with pytest.raises(ValueError, match="image must have at least one pixel, got"):
        model(torch.zeros(0, 5, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="image must be of uint8, got float32"):
        model(torch.zeros(8, 8, 3))
    with pytest.raises(ValueError, match=r"image must have shape \(h, w, 3\), got \(3, 8, 8\)"):
        model.keys(torch.zeros(3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="texts must be a list of one text or more"):
        model.encode_text([])
    with pytest.raises(ValueError, match=r"got 'a' in 'a table'"):
        model.encode_text(["a table"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"short_side": 0}, "short_side must be at least 1, got 0"),
        ({"window": 30}, r"window must be a multiple of the patch \(8, 8\), got 30"),
        ({"window": 0}, "window must be a multiple of the patch"),
        ({"window": 32, "stride": 12}, "stride must be a multiple of the patch"),
        ({"window": 32, "stride": 40}, "stride must be at most the window, 32, got 40"),
        ({"stride": 16}, "stride must be at most the window, None, got 16"),
        ({"attention": "best"}, "attention must be one of"),
    ],
)
def test_bad_options_are_refused(vit, how, message):
    with pytest.raises(ValueError, match=message):
        encoder(vit, **how)


def test_weights_that_are_not_finite_are_refused(build):
    model = build()
    model.visual.proj.data[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"finite weights, got NaN or infinity in visual\.proj"):
        encoder(model)
