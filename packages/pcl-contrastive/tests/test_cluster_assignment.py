"""Tests of pcl_contrastive.cluster_assignment."""

import copy
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pcl_contrastive.cluster_assignment import (
    REFRESH_TOLERANCE,
    QueueClusters,
    sinkhorn_assignment,
    sinkhorn_codes,
)


def random_scores(n: int, k: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed))


def plan_of_asano(scores: torch.Tensor, sharpness: float, tolerance: float) -> np.ndarray:
    """The transport plan from the published equations, on probabilities and in float64."""
    a = scores.double().softmax(dim=1).numpy() ** sharpness
    n, k = a.shape
    c, step, error = np.full(n, 1 / n), 0, np.inf
    while error >= tolerance:
        r = (1 / k) / (a.T @ c)
        c_new = (1 / n) / (a @ r)
        if step % 10 == 0:
            error = np.abs(c / c_new - 1).sum()
        c, step = c_new, step + 1
    return c[:, None] * a * r


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_the_published_iteration(seed):
    scores = random_scores(200, 7, seed=seed) * 0.5  # sharper scores underflow in the reference
    plan = plan_of_asano(scores, 25.0, 1e-6)
    assert np.allclose(plan.sum(axis=0), 1 / 7, atol=1e-3)
    assert np.allclose(plan.sum(axis=1), 1 / 200, atol=1e-3)
    labels = sinkhorn_assignment(scores, tolerance=1e-6, max_iterations=5000)
    assert labels.tolist() == plan.argmax(axis=1).tolist()


def test_it_stops_at_the_first_look_that_meets_the_tolerance():
    scores = random_scores(200, 7) * 0.5
    plan = plan_of_asano(scores, 25.0, 50.0)
    assert np.abs(plan.sum(axis=0) - 1 / 7).max() > 1e-4  # stopped early indeed
    loose = sinkhorn_assignment(scores, tolerance=50.0)
    assert loose.tolist() == plan.argmax(axis=1).tolist()


def test_random_scores_give_clusters_of_equal_size():
    counts = sinkhorn_assignment(random_scores(6400, 16)).bincount(minlength=16)
    # Rows between two clusters are counted whole: some tens of 400.
    assert (counts - 400).abs().max() < 40


def test_a_column_that_always_wins_is_shared_out():
    scores = random_scores(600, 3)
    scores[:, 1] += 50
    assert (scores.argmax(dim=1) == 1).all()
    counts = sinkhorn_assignment(scores).bincount(minlength=3)
    assert (counts - 200).abs().max() < 20


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_scores_too_sharp_for_probabilities_are_balanced_still(scale):
    scores = random_scores(60, 3, seed=1) * scale  # softmax ** 25 underflows in float64 too
    assert (scores.double().softmax(dim=1) ** 25 == 0).any(dim=0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is slow where the plan is hard
        counts = sinkhorn_assignment(scores, max_iterations=5000).bincount(minlength=3)
    assert (counts - 20).abs().max() <= 4


def test_a_cluster_out_of_reach_of_float64_is_filled():
    # Row i prefers column 1 by e^(1000 i), beyond float64: half of the rows have to be moved by
    # scalings that do not fit beside one kernel. An iteration moves by e^2 at most.
    scores = torch.zeros(8, 2)
    scores[:, 1] = torch.arange(8) * 40.0
    labels = sinkhorn_assignment(scores, max_iterations=5000)
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 6))
def test_labels_follow_their_rows_and_columns(seed, n, k):
    scores = random_scores(n, k, seed=seed)
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    columns = torch.randperm(k, generator=torch.Generator().manual_seed(seed + 1))
    # Soft enough that all cases converge. One row alone would be a tie of all clusters.
    labels = sinkhorn_assignment(scores, sharpness=2.0)
    permuted = sinkhorn_assignment(scores[rows][:, columns], sharpness=2.0)
    assert torch.equal(columns[permuted], labels[rows])


def test_adding_to_a_row_changes_nothing():
    scores = random_scores(50, 4)
    assert torch.equal(sinkhorn_assignment(scores), sinkhorn_assignment(scores + 7.0))


def test_float32_scores_converge_over_many_rows():
    # The criterion is a sum over rows: in float32 its rounding alone exceeds 0.1 here.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sinkhorn_assignment(functional.normalize(random_scores(50_000, 8), dim=1))


def test_what_does_not_converge_warns_and_returns_labels():
    with pytest.warns(UserWarning, match="ends after 10 iterations with a criterion of"):
        labels = sinkhorn_assignment(random_scores(500, 5) * 3, max_iterations=10)
    assert labels.unique().tolist() == [0, 1, 2, 3, 4]


def test_few_rows_have_labels_too():
    assert sinkhorn_assignment(torch.zeros(0, 3)).shape == (0,)
    assert sinkhorn_assignment(torch.tensor([[0.0, 5.0, 1.0]])).shape == (1,)
    assert sinkhorn_assignment(torch.zeros(4, 1)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sharpness": 0.0}, "must be positive, got 0.0 and 0.1"),
        ({"tolerance": -1.0}, "must be positive, got 25.0 and -1.0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
    ],
)
def test_bad_options_of_the_assignment_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_assignment(torch.zeros(2, 2), **options)


@pytest.mark.parametrize("function", [sinkhorn_assignment, sinkhorn_codes])
def test_bad_scores_are_refused(function):
    with pytest.raises(ValueError, match="scores must be finite"):
        function(torch.tensor([[0.0, torch.nan]]))
    with pytest.raises(ValueError, match=r"column for each cluster, got \(2, 0\)"):
        function(torch.zeros(2, 0))


def codes_of_swav(scores: torch.Tensor, epsilon: float, n_iterations: int) -> torch.Tensor:
    q = (scores.double() / epsilon).exp().T
    q /= q.sum()
    k, b = q.shape
    for _ in range(n_iterations):
        for cluster in range(k):
            q[cluster] /= q[cluster].sum() * k
        for sample in range(b):
            q[:, sample] /= q[:, sample].sum() * b
    return (q * b).T


@pytest.mark.parametrize("n_iterations", [1, 3])
def test_codes_are_those_of_the_published_iteration(n_iterations):
    scores = random_scores(30, 4).tanh()
    codes = sinkhorn_codes(scores, n_iterations=n_iterations)
    # Scores over epsilon reach 20, which float32 holds to 1e-6.
    expected = codes_of_swav(scores, 0.05, n_iterations).float()
    assert torch.allclose(codes, expected, atol=1e-5)


def test_codes_have_both_marginals_after_many_iterations():
    codes = sinkhorn_codes(random_scores(64, 8).double().tanh(), n_iterations=500)
    assert torch.allclose(codes.sum(dim=1), torch.ones(64).double())
    assert torch.allclose(codes.sum(dim=0), torch.full((8,), 8.0).double(), atol=1e-3)


def test_codes_of_sharp_scores_are_finite():
    codes = sinkhorn_codes(random_scores(10, 3) * 1e4)
    assert codes.isfinite().all()
    assert torch.allclose(codes.sum(dim=1), torch.ones(10))


def test_codes_carry_no_graph():
    assert not sinkhorn_codes(torch.zeros(2, 2, requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be positive, got 0.0"),
        ({"n_iterations": 0}, "n_iterations must be at least 1, got 0"),
    ],
)
def test_bad_options_of_the_codes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_codes(torch.zeros(2, 2), **options)


def blobs(n: int, n_blobs: int, dim: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = functional.normalize(torch.randn(n_blobs, dim, generator=generator), dim=1)
    blob = torch.arange(n) % n_blobs
    return centers[blob] + 0.05 * torch.randn(n, dim, generator=generator), blob


def test_prototypes_start_as_directions():
    clusters = QueueClusters(16, 5, queue_size=3)
    assert torch.allclose(clusters.prototypes.norm(dim=1), torch.ones(5))
    assert clusters.labels.tolist() == [-1, -1, -1]
    assert list(clusters.parameters()) == []


def test_a_refresh_labels_by_sinkhorn_and_moves_prototypes_to_the_means():
    features, _ = blobs(40, 4, 8)
    clusters = QueueClusters(8, 4, queue_size=50)
    unit = features / features.norm(dim=1, keepdim=True)
    labels = sinkhorn_assignment(unit @ clusters.prototypes.T, tolerance=REFRESH_TOLERANCE * 40)
    clusters.refresh(features)
    assert torch.equal(clusters.labels[:40], labels)
    assert (clusters.labels[40:] == -1).all()
    for cluster in range(4):
        total = sum(unit[i] for i in range(40) if labels[i] == cluster)
        assert torch.allclose(clusters.prototypes[cluster], total / total.norm(), atol=1e-6)


def test_refreshes_find_blobs_and_assign_agrees():
    features, blob = blobs(400, 4, 16)
    clusters = QueueClusters(16, 4, queue_size=400)
    for _ in range(10):
        clusters.refresh(features)
    for one in range(4):
        assert len(clusters.labels[blob == one].unique()) == 1
    assert clusters.labels.unique().tolist() == [0, 1, 2, 3]
    assert torch.equal(clusters.assign(features), clusters.labels)


def test_an_unused_cluster_keeps_its_prototype():
    clusters = QueueClusters(4, 3, queue_size=5)
    before = clusters.prototypes.clone()
    clusters.refresh(torch.eye(4)[:1].repeat(5, 1))  # equal rows, hence one label
    used = clusters.labels[0]
    unused = torch.arange(3) != used
    assert torch.equal(clusters.prototypes[unused], before[unused])
    assert torch.allclose(clusters.prototypes[used], torch.eye(4)[0])


def test_assigning_is_the_argmax_of_p_at_any_length():
    clusters = QueueClusters(8, 5, queue_size=1)
    features = random_scores(20, 8)
    expected = (features @ clusters.prototypes.T).softmax(dim=1).argmax(dim=1)
    assert torch.equal(clusters.assign(features), expected)
    assert torch.equal(clusters.assign(features * 9), expected)
    assert clusters.assign(features[:0]).shape == (0,)


def test_resumed_clusters_continue_bit_for_bit():
    features, _ = blobs(60, 6, 8)
    clusters = QueueClusters(8, 5, queue_size=60)
    clusters.refresh(features)
    resumed = QueueClusters(8, 5, queue_size=60, seed=9)
    resumed.load_state_dict(copy.deepcopy(clusters.state_dict()))
    for one in (clusters, resumed):
        one.refresh(features.flip(1))
    assert torch.equal(clusters.prototypes, resumed.prototypes)
    assert torch.equal(clusters.labels, resumed.labels)


def test_the_seed_decides_the_first_prototypes():
    first, same, other = (QueueClusters(4, 2, queue_size=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.prototypes, same.prototypes)
    assert not torch.equal(first.prototypes, other.prototypes)


@pytest.mark.parametrize("n", [0, 4])
def test_a_queue_of_another_size_is_refused(n):
    with pytest.raises(ValueError, match=f"queue must hold 1 to 3 rows, got {n}"):
        QueueClusters(2, 2, queue_size=3).refresh(torch.ones(n, 2))


def test_clusters_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 2, 0 and 3"):
        QueueClusters(2, 0, queue_size=3)
