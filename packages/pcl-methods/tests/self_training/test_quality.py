"""Tests of pcl_methods.self_training.quality."""

import dataclasses

import torch

from pcl_methods.self_training.quality import (
    QUALITY,
    Scoring,
    evaluate_scenes,
    pseudo_scores,
    scene_quality,
)
from pcl_pseudolabel import Provenance, PseudoLabels, PseudoLabelStore, proposal_centers


def true_labels(scene) -> PseudoLabels:
    labels, instances = torch.tensor(scene.labels), torch.tensor(scene.instances)
    points, m = torch.tensor(scene.points), int(instances.max()) + 1
    centers = proposal_centers(points, torch.zeros_like(points), instances, m)
    return PseudoLabels(labels, instances, centers, torch.ones(m), torch.zeros(m).long())


def test_the_truth_has_the_best_quality(split):
    scene = split.load("scene3")
    quality = scene_quality(true_labels(scene), scene)
    assert quality.semantic_accuracy == quality.coverage == 1
    assert quality.offset_error < 1e-6


def test_a_scene_without_truth_counts_for_nothing(split):
    scene = split.load("scene3")
    hidden = dataclasses.replace(scene, labels=None, instances=None)
    assert scene_quality(true_labels(scene), hidden).labeled == 0


def test_scores_are_over_the_unlabeled_scenes(split, tmp_path):
    store = PseudoLabelStore(tmp_path, Provenance("", "", 1))
    for name in split.unlabeled:
        pseudo = true_labels(split.load(name))
        if name == "scene4":
            pseudo = dataclasses.replace(pseudo, labels=torch.full_like(pseudo.labels, -1))
        store.save(name, pseudo)
    scores = pseudo_scores(store, split)
    assert tuple(scores) == QUALITY
    assert scores["pseudo_semantic_accuracy"] == 1
    assert abs(scores["pseudo_coverage"] - 2 / 3) < 1e-9
    blind = dataclasses.replace(
        split, load=lambda name: dataclasses.replace(split.load(name), labels=None, instances=None)
    )
    assert pseudo_scores(store, blind) == dict.fromkeys(QUALITY)


def test_held_out_scores_name_the_label_budget(model, split):
    scores = evaluate_scenes(model, split, Scoring(min_region=50))
    assert scores["protocol"] == "rooms/scannet20/held-out/points/no-tta/min_region=50/lr-2"
    assert 0 <= scores["ap50"] <= scores["ap25"] <= 1
