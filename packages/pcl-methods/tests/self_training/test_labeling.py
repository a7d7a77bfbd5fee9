"""Tests of pcl_methods.self_training.labeling."""

import dataclasses

import pytest
import torch

from pcl_methods.self_training.judgment import judge_proposals, propose_scene
from pcl_methods.self_training.labeling import (
    Labeling,
    ProposalCorrection,
    label_scene,
    label_scenes,
    open_store,
)
from pcl_methods.self_training.proposals import Clustering
from pcl_methods.self_training.soft_targets import SUPPORT

EVERYTHING = Labeling(score_threshold=0.0)
CLUSTERING = Clustering(radius=0.12, min_points=2)


@pytest.fixture
def model(make_model):
    """Of fresh networks: their proposals are small, but many."""
    return make_model(clustering=CLUSTERING)


@pytest.fixture
def scene(split):
    return split.load("scene0")


@pytest.fixture
def median(model, scene) -> float:
    """The softmax that half of the points exceed."""
    return float(propose_scene(model, scene).voxels.logits.softmax(dim=1).amax(dim=1).median())


def test_a_proposal_needs_a_class_that_both_networks_are_sure_of(model, scene):
    confidence = judge_proposals(model, propose_scene(model, scene)).confidence
    threshold = float(confidence.median())
    everything = label_scene(model, scene, EVERYTHING)
    some = label_scene(model, scene, dataclasses.replace(EVERYTHING, class_threshold=threshold))
    unsure = torch.nonzero(confidence <= threshold).flatten()
    assert 0 < len(unsure) < len(confidence)
    assert everything.proposals[everything.valid].unique().tolist() == [*range(len(confidence))]
    dropped = torch.isin(everything.proposals, unsure)
    assert torch.equal(some.proposals, torch.where(dropped, -1, everything.proposals))
    assert torch.equal(some.labels, torch.where(dropped, -1, everything.labels))


def test_a_class_has_a_threshold_of_its_own_by_its_calibration_error(model, scene):
    judged = judge_proposals(model, propose_scene(model, scene))
    threshold = float(judged.confidence.median())
    trusted_class = int(judged.labels[0])
    shifts = [-1.0] * 20
    shifts[trusted_class] = 1.0
    labeling = dataclasses.replace(EVERYTHING, class_threshold=threshold, class_shifts=(*shifts,))
    found = label_scene(model, scene, labeling)
    everything = label_scene(model, scene, EVERYTHING)
    kept = torch.isin(everything.proposals, torch.nonzero(judged.labels == trusted_class))
    assert torch.equal(found.proposals, torch.where(kept, everything.proposals, -1))


def test_a_proposal_teaches_all_classes_by_their_calibration_errors(model, scene):
    probabilities = judge_proposals(model, propose_scene(model, scene)).probabilities
    soft = dataclasses.replace(EVERYTHING, soft=True)
    assert torch.equal(label_scene(model, scene, soft).class_probabilities, probabilities)
    errors = {"proposals": [0.5] * 20, "proposal_classes": [0.0] * 20}
    errors["proposal_classes"][4] = 0.1
    corrected = soft.corrected(errors, ProposalCorrection(targets=2.0))
    assert corrected.class_shifts is None
    found = label_scene(model, scene, corrected).class_probabilities
    expected = probabilities.clone()
    expected[:, 4] += 0.2 * (probabilities[:, 4] > SUPPORT)
    expected = expected.clamp(0, 1) / expected.clamp(0, 1).sum(dim=1, keepdim=True)
    assert torch.allclose(found, expected, atol=1e-6)
    assert label_scene(model, scene, EVERYTHING).class_probabilities is None


def test_points_of_a_proposal_have_its_class_and_its_centre(model, scene):
    """Eqs. 6 to 8; the centre is the mean over voxels, the offset that of each point."""
    found, pseudo = propose_scene(model, scene), label_scene(model, scene, EVERYTHING)
    judged = judge_proposals(model, found)
    for proposal in range(found.n_proposals):
        voxels = found.proposals == proposal
        center = (found.points + found.offsets)[voxels].mean(dim=0)
        points = pseudo.proposals == proposal
        assert (pseudo.labels[points] == judged.labels[proposal]).all()
        ends = (pseudo.points + pseudo.centroid_offsets)[points]
        assert torch.allclose(ends, center.expand_as(ends), atol=1e-5)  # float32, metres


def test_rows_of_table_4(model, scene, median):
    """II: classes of single points. III: offsets. IV: both. V: all proposals, without Ψ."""
    rows = {
        kind: label_scene(model, scene, Labeling(kind, point_threshold=median))
        for kind in ("semantic", "offset", "points", "proposals")
    }
    points, found = rows["points"], propose_scene(model, scene)
    assert 0 < points.valid.sum() < (points.labels >= 0).sum() < len(points.labels)
    assert torch.equal(rows["semantic"].labels, points.labels)
    assert not rows["semantic"].valid.any()
    assert torch.equal(rows["offset"].proposals, points.proposals)
    assert (rows["offset"].labels == -1).all()
    # each voxel keeps its own offset; its points meet in one centre
    ends = (points.points + points.centroid_offsets)[points.valid]
    own = (found.points + found.offsets)[found.inverse][points.valid]
    assert torch.allclose(ends, own, atol=1e-5)
    assert torch.equal(rows["proposals"].proposals, found.proposals[found.inverse])
    assert torch.equal(rows["proposals"].proposal_labels, found.proposal_labels)


def test_classes_of_points_beside_offsets_of_proposals(model, scene, median):
    """Table 5, row 1."""
    settings = dataclasses.replace(EVERYTHING, point_threshold=median)
    single = label_scene(model, scene, dataclasses.replace(settings, kind="points"))
    both = label_scene(model, scene, dataclasses.replace(settings, pointwise_classes=True))
    assert torch.equal(both.labels, single.labels)
    assert torch.equal(both.proposals, label_scene(model, scene, settings).proposals)


def test_confident_stuff_is_filled_in(model, scene):
    without = label_scene(model, scene, EVERYTHING).labels
    filled = label_scene(model, scene, dataclasses.replace(EVERYTHING, stuff_threshold=0.0)).labels
    added = filled != without
    assert added.any()
    assert (without[added] == -1).all()
    assert set(filled[added].tolist()) <= set(model.stuff)


def test_shares_together_are_all_unlabeled_scenes(model, split, tmp_path):
    store = open_store(tmp_path, model, EVERYTHING, 1)
    label_scenes(store, model, split, EVERYTHING, index=0, count=2)
    assert len(store.names) == 2
    kept = (store.root / f"{store.names[0]}.npz").stat().st_mtime_ns
    label_scenes(store, model, split, EVERYTHING)
    assert tuple(store.names) == split.unlabeled
    assert (store.root / f"{store.names[0]}.npz").stat().st_mtime_ns == kept


def test_a_store_is_bound_to_what_makes_its_pseudo_labels(model, make_model, split, tmp_path):
    label_scenes(open_store(tmp_path, model, EVERYTHING, 1), model, split, EVERYTHING)
    open_store(tmp_path, make_model(clustering=CLUSTERING), EVERYTHING, 1).load("scene2")
    other = make_model(clustering=CLUSTERING)
    torch.nn.init.zeros_(next(other.parameters()))
    clustered = make_model(clustering=dataclasses.replace(CLUSTERING, min_points=6))
    for changed, labeling in (
        (other, EVERYTHING),
        (clustered, EVERYTHING),
        (model, Labeling(score_threshold=0.1)),
    ):
        with pytest.raises(ValueError, match="scene2 must come from Provenance"):
            open_store(tmp_path, changed, labeling, 1).load("scene2")
