"""Tests of pcl_pseudolabel.provenance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_pseudolabel import hash_configuration, hash_weights, shard


@given(st.sets(st.text(max_size=5), max_size=20), st.integers(1, 7), st.randoms())
def test_shards_share_out_every_name_once_evenly_in_any_order(names, count, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    parts = [shard(names, i, count) for i in range(count)]
    assert parts == [shard(shuffled, i, count) for i in range(count)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("index", "count", "message"),
    [
        (0, 0, "count must be at least 1, got 0"),
        (2, 2, r"index must lie in \[0, 2\), got 2"),
        (-1, 2, r"index must lie in \[0, 2\), got -1"),
    ],
)
def test_shard_rejects(index, count, message):
    with pytest.raises(ValueError, match=message):
        shard(["a"], index, count)


def test_weights_hash_sees_names_values_shapes_and_types():
    zeros = torch.zeros(4)
    states = [
        {"a": zeros},
        {"b": zeros},
        {"a": torch.tensor([0.0, 0, 0, 1])},
        {"a": zeros.view(2, 2)},
        {"a": zeros.int()},
        {"a": zeros.bfloat16()},
        {"a": torch.tensor(0.0)},
        {"a": zeros, "b": torch.zeros(0)},
        {},
    ]
    assert len({hash_weights(state) for state in states}) == len(states)


def test_weights_hash_ignores_order_strides_and_gradients():
    a, b = torch.arange(6.0).view(2, 3), torch.ones(2)
    expected = hash_weights({"a": a, "b": b})
    strided = a.T.contiguous().T.requires_grad_()
    assert not strided.is_contiguous()
    assert hash_weights({"b": b, "a": strided}) == expected


def test_configuration_hash_ignores_order_only():
    one = hash_configuration({"radius": 0.03, "model": {"width": 1, "depth": 2}})
    assert one == hash_configuration({"model": {"depth": 2, "width": 1}, "radius": 0.03})
    assert one != hash_configuration({"model": {"depth": 2, "width": 1}, "radius": 0.04})
    with pytest.raises(TypeError):
        hash_configuration({"device": torch.device("cpu")})
