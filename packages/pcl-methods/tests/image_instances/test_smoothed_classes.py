"""Targets of annotated classes."""

import pytest
import torch

from pcl_calibration import class_similarity, similarity_smoothing
from pcl_methods.image_instances.image_set import Example
from pcl_methods.image_instances.smoothed_classes import instance_embeddings, smoothed_classes
from pcl_methods.self_training.smoothed_classes import Smoothing


def make_example(masks, labels):
    known = torch.ones(3, dtype=torch.bool)
    size = masks.shape[-1]
    image = torch.zeros(3, size, size, dtype=torch.uint8)
    return Example(image, masks, torch.tensor(labels), known, known)


def test_an_embedding_is_the_mean_over_the_mask():
    features = torch.arange(8.0).reshape(2, 2, 2)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2, :2] = True  # the first cell
    masks[1, 1, 1:3] = True  # a quarter of the first and of the second cell
    found, labels = instance_embeddings(features, make_example(masks, [2, 1]))
    assert found.tolist() == [[0, 4], [0.5, 4.5]]
    assert labels.tolist() == [2, 1]


def test_an_image_without_objects_has_no_embedding():
    nothing = make_example(torch.zeros(0, 4, 4, dtype=torch.bool), [])
    nothing = nothing._replace(labels=torch.zeros(0, dtype=torch.long))
    found, labels = instance_embeddings(torch.ones(2, 2, 2), nothing)
    assert found.shape == (0, 2)
    assert labels.shape == (0,)


@pytest.fixture
def network(told):
    features = torch.zeros(2, 2, 2)
    features[:, 0, 0], features[:, 1, 1] = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0])
    return told(torch.zeros(1, 4), torch.zeros(1, 8, 8), features)


def test_without_smoothing_a_class_is_learned_as_it_is(network, images):
    assert smoothed_classes(network, images, None).tolist() == torch.eye(3, 4).tolist()


def test_uniform_smoothing_gives_to_all_classes_alike(network, images):
    found = smoothed_classes(network, images, Smoothing("uniform", 0.3))
    assert found[0].tolist() == pytest.approx([0.8, 0.1, 0.1, 0])


@pytest.mark.parametrize(("kind", "gamma"), [("similarity", 0), ("frequency", 1.5)])
def test_smoothing_by_similarity_follows_the_equations(network, images, kind, gamma):
    features = network.told.features[0]
    sums, counts = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)
    for one in images.ids:
        example = images.example(one, 32)
        for mask, label in zip(example.masks, example.labels, strict=True):
            cells = mask.float().reshape(2, 16, 2, 16).mean(dim=(1, 3))
            sums[label] += (cells * features).sum(dim=(1, 2)) / cells.sum()
            counts[label] += 1
    similarity = class_similarity(sums / counts.clamp(min=1)[:, None])
    towards = similarity_smoothing(similarity, counts, gamma=gamma)
    expected = 0.8 * torch.eye(3) + 0.2 * towards.float()
    found = smoothed_classes(network, images, Smoothing(kind, 0.2))
    assert torch.allclose(found[:, :3], expected, atol=1e-6)
    assert (found[:, 3] == 0).all()
