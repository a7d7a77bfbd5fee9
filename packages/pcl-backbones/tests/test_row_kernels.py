"""Tests of pcl_backbones.row_kernels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones.row_kernels import cut_slots, match_sorted

keys = st.sets(st.integers(-30, 30), max_size=20).map(lambda found: np.array(sorted(found), int))


@given(keys, keys, st.integers(-8, 8))
def test_match_sorted_finds_every_equal_pair(source, target, shift):
    inputs, outputs = match_sorted(source, target, shift)
    wanted = [(i, j) for j, b in enumerate(target) for i, a in enumerate(source) if a == b + shift]
    assert list(zip(inputs, outputs, strict=True)) == wanted


@given(st.lists(keys, min_size=1, max_size=5), keys.filter(len))
def test_cut_slots_counts_the_pairs_before_each_bound(slots, bounds):
    starts = np.cumsum([0, *map(len, slots)])
    cuts = cut_slots(np.concatenate(slots), starts, bounds)
    wanted = [
        [*(start + (rows < bound).sum() for start, rows in zip(starts, slots, strict=False)), bound]
        for bound in bounds
    ]
    assert cuts.tolist() == wanted
