"""Tests of pcl_pseudolabel.quality."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_pseudolabel import PseudoLabelQuality, PseudoLabels, pseudo_label_quality


def pseudo_of(labels, offsets, valid) -> PseudoLabels:
    """Each point with an offset is its own proposal."""
    own = torch.where(valid, torch.arange(len(labels)), -1)
    ones = torch.ones(len(labels))
    return PseudoLabels(labels, own, offsets, ones, ones.long(), torch.zeros_like(offsets))


def scene(seed: int, n: int):
    generator = torch.Generator().manual_seed(seed)
    labels, pseudo_labels, instances = torch.randint(-1, 3, (3, n), generator=generator)
    predicted, offsets = torch.randint(0, 9, (2, n, 3), generator=generator).double()
    valid = torch.rand(n, generator=generator) < 0.5
    return pseudo_of(pseudo_labels, predicted, valid), labels, offsets, instances


@given(st.integers(0, 10_000), st.integers(0, 25))
def test_figures_are_those_of_a_loop(seed, n):
    pseudo, labels, offsets, instances = scene(seed, n)
    hits, errors, labeled = [], [], 0
    for i in range(n):
        if labels[i] >= 0:
            labeled += 1
            if pseudo.labels[i] >= 0:
                hits.append(bool(pseudo.labels[i] == labels[i]))
        if pseudo.valid[i] and instances[i] >= 0:
            errors.append(math.dist(pseudo.centroid_offsets[i].tolist(), offsets[i].tolist()))
    quality = pseudo_label_quality(pseudo, labels, offsets, instances)
    expected = [
        sum(hits) / len(hits) if hits else math.nan,
        sum(errors) / len(errors) if errors else math.nan,
        len(hits) / labeled if labeled else math.nan,
    ]
    found = [quality.semantic_accuracy, quality.offset_error, quality.coverage]
    for a, b in zip(found, expected, strict=True):
        assert math.isclose(a, b, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))


def test_scenes_add_up_to_their_union():
    scenes = [scene(1, 20), scene(2, 30)]
    added = sum((pseudo_label_quality(*one) for one in scenes), start=PseudoLabelQuality())
    (pseudo_a, *truth_a), (pseudo_b, *truth_b) = scenes
    union = pseudo_of(*(torch.cat(pair) for pair in zip(pseudo_a, pseudo_b, strict=True)))
    truth = (torch.cat(pair) for pair in zip(truth_a, truth_b, strict=True))
    whole = pseudo_label_quality(union, *truth)
    assert added.semantic_accuracy == whole.semantic_accuracy
    assert added.coverage == whole.coverage
    assert math.isclose(added.offset_error, whole.offset_error)
