"""Tests of pcl_contrastive.sinkhorn."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pcl_contrastive.sinkhorn import sinkhorn_assignment


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


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match="scores must be finite"):
        sinkhorn_assignment(torch.tensor([[0.0, torch.nan]]))
    with pytest.raises(ValueError, match=r"column for each cluster, got \(2, 0\)"):
        sinkhorn_assignment(torch.zeros(2, 0))
