"""Tests of pcl_contrastive.feature_queue."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_contrastive.feature_queue import FeatureQueue
from pcl_contrastive.scene_contrast import scene_info_nce


def rows(first: int, n: int) -> torch.Tensor:
    """n rows that say which they are."""
    return torch.arange(first, first + n).float()[:, None].repeat(1, 2)


@given(st.integers(1, 7), st.lists(st.integers(0, 17), max_size=6))
def test_it_holds_the_last_rows_in_the_ring_order_of_a_loop(size, arrivals):
    queue = FeatureQueue(size, 2)
    expected: dict[int, float] = {}
    seen = 0
    for n in arrivals:
        before = dict(expected)
        for value in range(seen, seen + n):
            expected[value % size] = float(value)
        slots = queue.enqueue(rows(seen, n))
        changed = {slot for slot in expected if expected[slot] != before.get(slot)}
        assert set(slots.tolist()) == changed
        seen += n
    assert len(queue) == min(seen, size)
    assert queue.is_full == (seen >= size)
    assert queue.filled.tolist() == [[expected[i]] * 2 for i in range(len(queue))]


def test_slots_say_where_each_kept_row_went():
    queue = FeatureQueue(5, 2)
    queue.enqueue(rows(0, 3))
    arriving = rows(3, 9)
    slots = queue.enqueue(arriving)
    assert torch.equal(queue.features[slots], arriving[-5:])


def test_filled_is_a_view():
    queue = FeatureQueue(3, 2)
    queue.enqueue(rows(0, 2))
    assert queue.filled.data_ptr() == queue.features.data_ptr()


def test_rows_keep_their_values_but_not_their_graph():
    features = torch.full((1, 2), 3.0, dtype=torch.float64, requires_grad=True)
    queue = FeatureQueue(2, 2)
    queue.enqueue(features * 2)
    assert queue.filled.tolist() == [[6.0, 6.0]]
    assert queue.features.dtype == torch.float32
    assert not queue.features.requires_grad


def test_a_resumed_queue_continues_the_same():
    queue = FeatureQueue(5, 2)
    queue.enqueue(rows(0, 7))
    resumed = FeatureQueue(5, 2)
    resumed.load_state_dict(copy.deepcopy(queue.state_dict()))
    for one in (queue, resumed):
        one.enqueue(rows(7, 2))
    assert torch.equal(queue.features, resumed.features)
    assert len(resumed) == 5


def test_it_may_move_on_between_loss_and_gradient():
    queue = FeatureQueue(2, 2)
    queue.enqueue(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    gradients = []
    for moves_on in (False, True):
        query = torch.tensor([[1.0, 2.0]], requires_grad=True)
        loss = scene_info_nce(query, query.detach(), queue.filled)
        if moves_on:
            queue.enqueue(torch.tensor([[5.0, 5.0]]))
        loss.backward()
        gradients.append(query.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize(("size", "dim"), [(0, 2), (2, 0)])
def test_sizes_below_one_are_refused(size, dim):
    with pytest.raises(ValueError, match=f"at least 1, got {size} and {dim}"):
        FeatureQueue(size, dim)


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r"features must have shape \(m, 3\), got \(4, 2\)"):
        FeatureQueue(5, 3).enqueue(torch.zeros(4, 2))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_row_that_is_not_finite_is_refused_and_leaves_no_trace(value):
    queue = FeatureQueue(5, 1)
    with pytest.raises(ValueError, match="features must be finite"):
        queue.enqueue(torch.tensor([[1.0], [value]]))
    assert len(queue) == 0
