"""Tests of pcl_backbones.row_kernels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones.row_kernels import add_rows, gather_rows, match_sorted

keys = st.sets(st.integers(-30, 30), max_size=20).map(lambda found: np.array(sorted(found), int))


@given(keys, keys, st.integers(-8, 8))
def test_match_sorted_finds_every_equal_pair(source, target, shift):
    inputs, outputs = match_sorted(source, target, shift)
    wanted = [(i, j) for j, b in enumerate(target) for i, a in enumerate(source) if a == b + shift]
    assert list(zip(inputs, outputs, strict=True)) == wanted


@given(st.data(), st.sampled_from([np.float32, np.float64, np.int16]))
def test_rows_are_copied_and_added_by_index(data, dtype):
    n, n_channels = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 5))
    low = data.draw(st.integers(0, n))
    high = data.draw(st.integers(low, n))
    index = np.array(data.draw(st.permutations(range(n))))
    source = np.arange(n * n_channels).reshape(n, n_channels).astype(dtype)
    out = np.full_like(source, -1)
    gather_rows(source, index, low, high, out)
    assert np.array_equal(out[: high - low], source[index[low:high]])
    assert (out[high - low :] == -1).all()

    total = np.ones((n + 3, n_channels), dtype)
    wanted = total.copy()
    wanted[index[low:high] + 3] += source[: high - low]
    add_rows(source, index, low, high, -3, total)
    assert np.array_equal(total, wanted)
