"""What no public function accepts: a table of good arguments, each of which is then spoilt."""

import inspect
import math
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

import pcl_contrastive as package
from pcl_contrastive import (
    FeatureQueue,
    QueueClusters,
    byol_loss,
    cluster_info_nce,
    crop_volumes,
    fit_linear_probe,
    hardest_contrastive_loss,
    knn_probe,
    linear_probe,
    nearest_labels,
    object_coverage,
    point_info_nce,
    pool_volumes,
    representation_health,
    sample_matches,
    scene_context_loss,
    scene_context_partition,
    scene_info_nce,
    select_points_by_input,
    select_points_csc_reference,
    select_points_to_label,
    sinkhorn_assignment,
    split_volumes,
    volume_classification_loss,
    volume_info_nce,
)

GENERATOR = torch.Generator().manual_seed(0)
ROWS, OTHERS = torch.rand(2, 6, 4, generator=GENERATOR)
QUEUE = torch.rand(8, 4, generator=GENERATOR)
POINTS, COLORS = torch.rand(2, 6, 3, generator=GENERATOR)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
QUEUE_LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
MATCHES = torch.tensor([[0, 1], [2, 3], [5, 7]])
PAIR = {"queries": ROWS, "keys": OTHERS}
VIEWS = {"student": ROWS, "teacher": OTHERS}
PROBE = {"train_features": ROWS, "train_labels": LABELS}

GOOD = {
    byol_loss: {"predictions": ROWS, "targets": OTHERS},
    cluster_info_nce: {**VIEWS, "queue": QUEUE, "queue_labels": QUEUE_LABELS},
    crop_volumes: {"points": POINTS, "volumes": LABELS, "fraction": 0.5},
    fit_linear_probe: PROBE,
    hardest_contrastive_loss: {"features_a": ROWS, "features_b": QUEUE, "matches": MATCHES},
    knn_probe: {**PROBE, "features": QUEUE, "n_neighbours": 2},
    linear_probe: {**PROBE, "features": QUEUE},
    nearest_labels: {"features": ROWS, "queue": QUEUE, "queue_labels": QUEUE_LABELS},
    object_coverage: {"selected": LABELS, "instances": QUEUE_LABELS},
    point_info_nce: {**PAIR, "temperature": 0.4},
    pool_volumes: {"features": ROWS, "volumes": LABELS, "n_volumes": 3},
    representation_health: {**PAIR, "temperature": 0.4},
    sample_matches: {"matches": MATCHES, "n_matches": 2},
    scene_context_loss: {**PAIR, "points": POINTS},
    scene_context_partition: {"points": POINTS},
    scene_info_nce: {**PAIR, "queue": QUEUE},
    sinkhorn_assignment: {"scores": QUEUE},
    split_volumes: {"points": POINTS, "volume_size": 0.3},
    volume_classification_loss: {
        "student_logits": ROWS,
        "teacher_logits": OTHERS,
        "labels": LABELS,
    },
    volume_info_nce: VIEWS,
    select_points_csc_reference: {
        **{"features": ROWS, "colors": COLORS, "points": POINTS},
        "n_labels": 3,
    },
    FeatureQueue(9, 4).enqueue: {"features": ROWS},
    QueueClusters(4, 2, queue_size=9).refresh: {"queue": QUEUE},
    QueueClusters(4, 2, queue_size=9).assign: {"features": ROWS},
}
WITHOUT = {"select_points_at_random"}  # takes no array
SELECT = {
    select_points_by_input: {"colors": COLORS, "points": POINTS, "n_labels": 3},
    select_points_to_label: {"features": ROWS, "points": POINTS, "n_labels": 3},
}
if find_spec("faiss"):
    GOOD |= SELECT
else:
    WITHOUT |= {function.__name__ for function in SELECT}

# Arrays whose length no other has, and those of any number of columns.
ALONE = (
    object_coverage,
    sample_matches,
    scene_context_partition,
    sinkhorn_assignment,
    split_volumes,
)
ANY_LENGTH = {(f, name) for f, given in GOOD.items() for name in given if f in ALONE}
ANY_LENGTH |= {(f, "queue") for f in (scene_info_nce,)}
ANY_LENGTH |= {(f, "features") for f in (knn_probe, linear_probe, nearest_labels)}
ANY_LENGTH |= {(hardest_contrastive_loss, name) for name in ("features_a", "features_b", "matches")}
ANY_LENGTH |= {(f, name) for f, given in GOOD.items() if inspect.ismethod(f) for name in given}
ANY_WIDTH = {(f, "features") for f in (pool_volumes, select_points_to_label)}
ANY_WIDTH |= {(sinkhorn_assignment, "scores"), (fit_linear_probe, "train_features")}
ANY_WIDTH |= {(select_points_csc_reference, "features")}

OUTSIDE = {
    (hardest_contrastive_loss, "matches"): (-1, 8, 2**40),
    (object_coverage, "selected"): (-1, 8, 2**40),
    (pool_volumes, "volumes"): (3, 2**20),
    (volume_classification_loss, "labels"): (-2, 4, 2**40),
    (cluster_info_nce, "queue_labels"): (-1,),
}
MUST_BE_FINITE = [
    *(
        (f, name)
        for f in (crop_volumes, split_volumes, scene_context_partition)
        for name in ("points",)
    ),
    *((f, name) for f in (knn_probe, linear_probe) for name in ("train_features", "features")),
    *((representation_health, name) for name in PAIR),
    (fit_linear_probe, "train_features"),
    (sinkhorn_assignment, "scores"),
    *((select_points_csc_reference, name) for name in ("features", "colors", "points")),
    *((f, name) for f in SELECT if f in GOOD for name in SELECT[f] if name != "n_labels"),
]


COMPARED = [f for f in GOOD if inspect.isfunction(f)]
COMPARED.remove(fit_linear_probe)  # gives a function
COMPARED.remove(representation_health)  # gives a record


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


@pytest.mark.parametrize("far", [1e16, 1e20, 1e30])
def test_coordinates_that_faiss_cannot_square_are_refused(far):
    pytest.importorskip("faiss")
    points = POINTS.clone()
    points[0] = far
    for function in SELECT:
        with pytest.raises(ValueError, match="points must lie within 1e"):
            function(**SELECT[function] | {"points": points})
    with pytest.raises(ValueError, match="features must be finite"):
        select_points_to_label(ROWS * 1e30, POINTS, 3)


def test_a_probe_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match=r"features must have shape \(m, 4\), got \(6, 3\)"):
        fit_linear_probe(ROWS, LABELS)(POINTS)


def test_edges_are_one_or_three():
    unchecked = inspect.unwrap(split_volumes)  # without the type checker of the tests
    with pytest.raises(ValueError, match="volume_size must be one edge or three"):
        unchecked(POINTS, volume_size=(1.0, 2.0))
    with pytest.raises(ValueError, match="n_volumes must be at least 0, got -1"):
        pool_volumes(ROWS, LABELS, -1)
    with pytest.raises(ValueError, match=r"positive_margin must lie in \[0, 2\], got nan"):
        hardest_contrastive_loss(ROWS, QUEUE, MATCHES, positive_margin=math.nan)
