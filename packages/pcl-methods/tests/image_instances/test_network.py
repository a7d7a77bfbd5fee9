"""The network, from a configuration alone."""

import pytest
import torch

from pcl_methods.image_instances.network import InstanceNetwork, NetworkSizes


def test_every_layer_says_classes_and_masks(make_network):
    network = make_network().eval()
    found = network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert len(found.earlier) == 1
    for one in (found.last, *found.earlier):
        assert one.class_logits.shape == (2, 6, 4)
        assert one.mask_logits.shape == (2, 6, 16, 16)
    assert found.features.shape == (2, 64, 2, 2)


def test_pixels_are_normalized_as_of_imagenet(make_network, monkeypatch):
    network, seen = make_network(), []
    network.model.forward = lambda pixels, **_: seen.append(pixels) or 1 / 0
    image = torch.tensor([255, 0, 51], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 64, 64)
    with pytest.raises(ZeroDivisionError):
        network(image)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_no_object_is_as_likely_as_all_classes_at_first(make_network):
    network = make_network(40)
    bias = network.model.class_predictor.bias.softmax(dim=0)
    assert bias[-1].item() == pytest.approx(0.5)
    assert bias[:-1].tolist() == pytest.approx([1 / 80] * 40)


def test_weights_are_those_of_the_seed(make_network):
    one, same = make_network().state_dict(), make_network().state_dict()
    assert all((one[name] == same[name]).all() for name in one)


@pytest.mark.parametrize("name", ["image_size", "width"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_size_that_does_not_fit_is_refused(name, size):
    with pytest.raises(ValueError, match=f"{name} must be a multiple of 32, got {size}"):
        NetworkSizes(**{name: size})


def test_no_class_is_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        InstanceNetwork(0)


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install pcl-methods\[images\]"):
        InstanceNetwork(1)
