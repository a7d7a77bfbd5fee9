"""Weak and strong views."""

import numpy as np
import pytest
import torch

from pcl_methods.image_instances.views import flipped, jittered

IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8))


def test_jitter_scales_brightness_then_contrast_then_saturation():
    brightness, contrast, saturation = 1 + 0.5 * np.random.default_rng(3).uniform(-1, 1, 3)
    expected = np.zeros((3, 4, 5))
    bright = IMAGE.numpy().astype(float) * brightness
    for y in range(4):
        for x in range(5):
            pixel = [
                bright[c].mean() + contrast * (bright[c, y, x] - bright[c].mean()) for c in range(3)
            ]
            gray = sum(pixel) / 3
            for c in range(3):
                expected[c, y, x] = gray + saturation * (pixel[c] - gray)
    found = jittered(IMAGE, np.random.default_rng(3), 0.5)
    assert found.dtype == torch.uint8
    assert (
        np.abs(found.numpy() - expected.clip(0, 255)).max() <= 0.51
    )  # rounded in single precision


def test_no_jitter_changes_nothing():
    assert (jittered(IMAGE, np.random.default_rng(0), 0) == IMAGE).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_view_depends_on_its_numbers(seed):
    one, same, other = (jittered(IMAGE, np.random.default_rng(k)) for k in (seed, seed, seed + 9))
    assert (one == same).all()
    assert not (one == other).all()


def test_columns_are_reversed_where_asked():
    assert (flipped(IMAGE, True)[..., 0] == IMAGE[..., -1]).all()
    assert flipped(IMAGE, False) is IMAGE
