"""Tests of pcl_clip3d.image_pixels."""

import pytest
import torch
from torch.testing import assert_close

from pcl_clip3d.image_pixels import normalized_pixels

MEAN, STD = [0.5, 0.25, 0.0], [0.5, 1.0, 2.0]


def test_an_image_of_the_size_is_shifted_and_scaled_channel_by_channel():
    image = torch.tensor([[[255, 0, 255], [0, 255, 51]]], dtype=torch.uint8)  # (1, 2, 3)
    found = normalized_pixels(image, (1, 2), mean=MEAN, std=STD)
    assert_close(found, torch.tensor([[[[1.0, -1.0]], [[-0.25, 0.75]], [[0.5, 0.1]]]]))


def test_resizing_averages_and_stays_in_range(photo):
    found = normalized_pixels(photo, (4, 6), mean=[0.0] * 3, std=[1.0] * 3)
    assert found.shape == (1, 3, 4, 6)
    assert float((found.mean() * 255 - photo.float().mean()).abs()) < 10  # noise, averaged
    assert float(found.std()) < 0.5 * float(photo.float().std() / 255)  # not aliased
    edge = torch.zeros(8, 8, 3, dtype=torch.uint8)
    edge[:, 4:] = 255
    large = normalized_pixels(edge, (32, 32), mean=[0.0] * 3, std=[1.0] * 3)
    assert float(large.min()) == 0  # cubic overshoot is cut
    assert float(large.max()) == 1


def test_bad_images_are_refused():
    with pytest.raises(ValueError, match="image must have at least one pixel"):
        normalized_pixels(torch.zeros(0, 4, 3, dtype=torch.uint8), (2, 2), mean=MEAN, std=STD)
    with pytest.raises(ValueError, match="image must be of uint8, got float32"):
        normalized_pixels(torch.zeros(4, 4, 3), (2, 2), mean=MEAN, std=STD)
    with pytest.raises(ValueError, match=r"image must have shape \(h, w, 3\), got \(4, 4, 4\)"):
        normalized_pixels(torch.zeros(4, 4, 4, dtype=torch.uint8), (2, 2), mean=MEAN, std=STD)
