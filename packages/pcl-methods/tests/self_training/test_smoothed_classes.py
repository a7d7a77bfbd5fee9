"""Tests of pcl_methods.self_training.smoothed_classes."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pcl_methods.segmentation.testing import CHAIR, FLOOR, TABLE
from pcl_methods.self_training.judgment import see_scene
from pcl_methods.self_training.smoothed_classes import (
    Smoothing,
    instance_embeddings,
    smoothed_classes,
)


def test_an_embedding_is_the_mean_feature_of_the_points_of_an_instance(model, split):
    scene = split.load("scene0")
    embeddings, labels = instance_embeddings(model, scene)
    assert labels.tolist() == sorted([FLOOR, CHAIR, CHAIR, TABLE, TABLE])
    seen = see_scene(model, scene)
    features = seen.voxels.features[seen.inverse].numpy()
    slow = [features[scene.instances == one].mean(axis=0) for one in np.unique(scene.instances)]
    for row in slow:
        assert min(np.abs(embeddings.numpy() - row).max(axis=1)) < 1e-5


@pytest.mark.parametrize(("kind", "gamma"), [("frequency", 1.5), ("similarity", 0.0)])
def test_a_row_is_equation_3_with_the_similarity_of_mean_embeddings(model, split, kind, gamma):
    """And with the counts of instances: two scenes of one floor, two chairs and two tables."""
    found = smoothed_classes(model, split, Smoothing(kind, 0.3))
    parts = [instance_embeddings(model, split.load(name)) for name in split.labeled]
    means, counts = {}, dict.fromkeys(range(20), 1)
    for c in (FLOOR, CHAIR, TABLE):
        rows = torch.cat([embeddings[labels == c] for embeddings, labels in parts])
        means[c], counts[c] = rows.mean(dim=0), len(rows)
    assert [counts[c] for c in (FLOOR, CHAIR, TABLE)] == [2, 4, 4]

    def similarity(a: int, b: int) -> float:
        if a == b:
            return 1.0
        if a not in means or b not in means:
            return 0.0
        return float(torch.cosine_similarity(means[a], means[b], dim=0))

    for a in (FLOOR, CHAIR, 0):
        weights = [math.exp(similarity(a, b) / counts[b] ** gamma) for b in range(20)]
        wanted = [0.3 * weight / sum(weights) + 0.7 * (a == b) for b, weight in enumerate(weights)]
        assert found[a].tolist() == pytest.approx(wanted, abs=1e-5)


def test_uniform_smoothing_needs_no_features(model, split):
    found = smoothed_classes(model, split, Smoothing("uniform", 0.2))
    assert_close(found, 0.8 * torch.eye(20) + 0.01)
