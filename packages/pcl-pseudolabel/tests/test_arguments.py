"""What no public function accepts: a table of good arguments, each of which is then spoilt."""

import inspect
import math

import pytest
import torch
from torch import Tensor

import pcl_pseudolabel as package
from pcl_pseudolabel import (
    PseudoLabels,
    centroid_offsets,
    cluster_proposals,
    matched_labels,
    mutate_proposals,
    offset_loss,
    proposal_centers,
    proposal_confidence,
    proposal_iou,
    pseudo_label_quality,
    recorrection_loss,
    stuff_pseudo_labels,
    threshold_pseudo_labels,
    transform_proposals,
    update_pseudo_labels,
    vote_proposal_labels,
)

GENERATOR = torch.Generator().manual_seed(0)
POINTS, OFFSETS = torch.rand(2, 6, 3, generator=GENERATOR)
PROBABILITIES = torch.rand(6, 4, generator=GENERATOR).softmax(dim=1)
LABELS = torch.tensor([0, 1, 2, 0, 1, -1])
PROPOSALS = torch.tensor([0, 1, 2, 0, 1, -1])
INDEX = torch.tensor([0, 1, 2, 0, 1, 2])
SCENE = torch.zeros(6, dtype=torch.long)
IOU, SCORES = torch.rand(2, 3, generator=GENERATOR)
OF_PROPOSALS = torch.tensor([0, 1, 3])
PSEUDO = PseudoLabels(LABELS, PROPOSALS, torch.rand(3, 3), SCORES, OF_PROPOSALS, POINTS)

GOOD = {
    centroid_offsets: {"points": POINTS, "instances": LABELS, "batch_index": SCENE},
    cluster_proposals: {
        **{"points": POINTS, "labels": LABELS, "batch_index": SCENE},
        **{"radius": 0.5, "min_points": 1},
    },
    matched_labels: {"instance": OF_PROPOSALS[:2], "instances": PROPOSALS, "labels": LABELS},
    mutate_proposals: {"points": POINTS, "batch_index": SCENE, "proposals": PROPOSALS},
    offset_loss: {"predicted": OFFSETS, "target": POINTS, "valid": LABELS >= 0},
    proposal_centers: {
        **{"points": POINTS, "offsets": OFFSETS},
        **{"proposals": PROPOSALS, "n_proposals": 3},
    },
    proposal_confidence: {
        **{"probabilities": PROBABILITIES, "proposals": PROPOSALS},
        "proposal_labels": OF_PROPOSALS,
    },
    proposal_iou: {
        **{"point_index": INDEX, "proposal_index": INDEX, "n_proposals": 3},
        "instances": LABELS,
    },
    pseudo_label_quality: {
        **{"pseudo": PSEUDO, "labels": LABELS},
        **{"centroid_offsets": OFFSETS, "instances": LABELS},
    },
    recorrection_loss: {
        **{"class_logits": PROBABILITIES[:3], "score_logits": SCORES, "iou": IOU},
        "target_labels": OF_PROPOSALS,
    },
    stuff_pseudo_labels: {"labels": LABELS, "probabilities": PROBABILITIES, "stuff": [0]},
    threshold_pseudo_labels: {"probabilities": PROBABILITIES, "offsets": OFFSETS, "points": POINTS},
    transform_proposals: {"points": POINTS, "proposal_index": INDEX, "n_proposals": 3},
    update_pseudo_labels: {
        **{"points": POINTS, "offsets": OFFSETS, "proposals": PROPOSALS},
        **{"proposal_labels": OF_PROPOSALS, "proposal_scores": SCORES},
    },
    vote_proposal_labels: {"labels": LABELS, "proposals": PROPOSALS, "n_proposals": 3},
    PSEUDO.at: {"points": POINTS, "inverse": INDEX},
}
WITHOUT = {"hash_configuration", "hash_weights", "shard"}  # take no arrays

# Arrays whose length no other has, and those of any number of columns.
ANY_LENGTH = {(matched_labels, "instance"), (proposal_iou, "instances")}
ANY_WIDTH = {(recorrection_loss, "class_logits"), (proposal_confidence, "probabilities")}
ANY_WIDTH |= {(f, "probabilities") for f in (stuff_pseudo_labels, threshold_pseudo_labels)}

OUTSIDE = {
    (centroid_offsets, "batch_index"): (-1, 2**20),
    (centroid_offsets, "instances"): (2**40, -(2**62)),
    (cluster_proposals, "batch_index"): (-1, 2**40),
    (cluster_proposals, "labels"): (2**31, -(2**40)),
    (matched_labels, "instance"): (5, 2**40),
    (mutate_proposals, "proposals"): (-2, 6, 2**40),
    (proposal_centers, "proposals"): (-2, 3, 2**40),
    (proposal_confidence, "proposals"): (-2, 3, 2**40),
    (proposal_confidence, "proposal_labels"): (-1, 4, 2**40),
    (proposal_iou, "point_index"): (-1, 6, 2**40),
    (proposal_iou, "proposal_index"): (-1, 3, 2**40),
    (recorrection_loss, "target_labels"): (-2, 4, 2**40),
    (transform_proposals, "proposal_index"): (-1, 3, 2**40),
    (update_pseudo_labels, "proposals"): (-2, 3, 2**40),
    (update_pseudo_labels, "proposal_labels"): (-2, 2**15, 2**40),
    (vote_proposal_labels, "proposals"): (-2, 3, 2**40),
    (vote_proposal_labels, "labels"): (2**15, 2**40),
    (PSEUDO.at, "inverse"): (-1, 6, 2**40),
}
MUST_BE_FINITE = [
    *((f, "points") for f in (centroid_offsets, cluster_proposals)),
    *((f, "points") for f in (mutate_proposals, transform_proposals)),
    *((update_pseudo_labels, name) for name in ("points", "offsets", "proposal_scores")),
    *((f, "probabilities") for f in (stuff_pseudo_labels, threshold_pseudo_labels)),
    (recorrection_loss, "iou"),
    (threshold_pseudo_labels, "offsets"),
]
COMPARED = [f for f in GOOD if inspect.isfunction(f)]
for record in (pseudo_label_quality, threshold_pseudo_labels, update_pseudo_labels):
    COMPARED.remove(record)


def name_of(value):
    return getattr(value, "__name__", value)


def is_array(value):
    return isinstance(value, Tensor)


def damages(value):
    """Arrays that no annotation allows, each of another kind than the value."""
    yield value[None]
    yield value[0] if value.ndim else value.expand(2)
    yield value.bool() if value.dtype != torch.bool else value.long()
    yield value.long() if value.is_floating_point() else value.double()
    if value.ndim == 2:
        yield value[:, :-1]


def shorter(arguments, name):
    return arguments | {name: arguments[name][:-1]}


def strided(value):
    """The same values, not side by side in memory."""
    if not is_array(value) or value.ndim == 0:
        return value
    return torch.stack([value, value], dim=-1)[..., 0]


ARRAYS = [(f, name) for f, given in GOOD.items() for name in given if is_array(given[name])]
TIED = [array for array in ARRAYS if array not in ANY_LENGTH]


def test_every_public_function_is_tried():
    functions = {n for n in package.__all__ if inspect.isfunction(getattr(package, n))}
    assert (
        functions - {"__version__"} == {f.__name__ for f in GOOD if inspect.isfunction(f)} | WITHOUT
    )


@pytest.mark.parametrize(("function", "name"), ARRAYS, ids=name_of)
def test_an_array_of_another_shape_or_type_is_named(function, name):
    for damaged in damages(GOOD[function][name]):
        if (function, name) in ANY_WIDTH and damaged.ndim == 2:
            continue
        with pytest.raises(ValueError, match=r"^\w+ must "):
            function(**GOOD[function] | {name: damaged})
    with pytest.raises(TypeError, match=rf"^{name} must be of class Tensor, got list"):
        function(**GOOD[function] | {name: [1.0]})


@pytest.mark.parametrize(("function", "name"), TIED, ids=name_of)
def test_lengths_that_differ_are_named(function, name):
    with pytest.raises(ValueError, match=r"^\w+ must "):
        function(**shorter(GOOD[function], name))


@pytest.mark.parametrize(("function", "name"), OUTSIDE, ids=name_of)
def test_ids_outside_their_range_are_named(function, name):
    for bad in OUTSIDE[function, name]:
        ids = GOOD[function][name].clone()
        ids.view(-1)[-1] = bad
        with pytest.raises(ValueError, match=rf"^{name}.* must "):
            function(**GOOD[function] | {name: ids})


@pytest.mark.parametrize(("function", "name"), MUST_BE_FINITE, ids=name_of)
def test_what_is_not_finite_is_named(function, name):
    for bad in (math.nan, math.inf, -math.inf):
        values = GOOD[function][name].clone()
        values.view(-1)[-1] = bad
        with pytest.raises(ValueError, match=r"^[\w ]+ must "):
            function(**GOOD[function] | {name: values})


@pytest.mark.parametrize("function", COMPARED, ids=name_of)
def test_arrays_need_not_lie_side_by_side(function):
    def call(change):
        given = {name: change(value) for name, value in GOOD[function].items()}
        if "generator" in inspect.signature(function).parameters:
            given["generator"] = torch.Generator().manual_seed(0)
        return function(**given)

    torch.testing.assert_close(call(strided), call(lambda value: value), equal_nan=True)


@pytest.mark.parametrize("far", [1e6, 1e8])
def test_a_far_point_leaves_the_proposals_of_the_others(far):
    points = torch.cat([POINTS, torch.full((1, 3), far)]).double()
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 0])
    scenes = torch.tensor([0, 0, 0, 0, 0, 0, 2**20 - 1])
    found = cluster_proposals(points, labels, scenes, radius=0.03, min_points=1)
    alone = cluster_proposals(points[:-1], labels[:-1], scenes[:-1], radius=0.03, min_points=1)
    assert torch.equal(found[:-1], alone)
    assert found[-1] == alone.max() + 1


@pytest.mark.parametrize("far", [1e12, 1e20, 1e300, 1.7e308])
def test_points_too_far_for_the_radius_are_refused(far):
    points = POINTS.double()
    points = torch.cat([points, points + far, points - far])
    ids = torch.zeros(18, dtype=torch.long)
    with pytest.raises(ValueError, match="radius must suit the extent of the points, got"):
        cluster_proposals(points, ids, ids, radius=0.03)


def test_ids_of_few_bits_do_not_wrap_around():
    small = torch.tensor([127, 127, 0, 0, 0, -1], dtype=torch.int8)
    scene = torch.tensor([0, 1, 0, 0, 1, 1], dtype=torch.int8)
    given = {"points": POINTS, "batch_index": scene}
    wide = {"points": POINTS, "batch_index": scene.long()}
    for function, name, more in (
        (centroid_offsets, "instances", {}),
        (cluster_proposals, "labels", {"radius": 9.0, "min_points": 1}),
    ):
        found = function(**given, **more, **{name: small})
        assert torch.equal(found, function(**wide, **more, **{name: small.long()}))


@pytest.mark.parametrize("name", ["centers", "scores"])
def test_pseudo_labels_are_finite(name):
    values = {k: getattr(PSEUDO, k) for k in ("labels", "proposals", "centers", "scores")}
    values[name] = values[name] * math.nan
    with pytest.raises(ValueError, match=f"{name} must be finite, got NaN or infinity"):
        PseudoLabels(**values, proposal_labels=OF_PROPOSALS)
