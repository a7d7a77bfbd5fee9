"""Tests of pcl_backbones.coordinates."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_backbones.coordinates import CoordinateCache, Level, kernel_offsets, pack, unpack

space = st.integers(-(2**15), 2**15 - 1)
rows = st.lists(st.tuples(st.integers(0, 4095), space, space, space), min_size=1, max_size=30)


@given(rows)
def test_unpack_undoes_pack_and_keys_sort_as_rows(coords):
    keys = pack(torch.tensor(coords, dtype=torch.int32))
    assert [tuple(row) for row in unpack(keys).tolist()] == coords
    assert unpack(keys.sort().values).tolist() == [list(row) for row in sorted(coords)]


def test_offsets_run_fastest_along_x():
    for size, first in ((2, 0), (3, -1), (5, -2)):
        for slot, (x, y, z) in enumerate(kernel_offsets(size)):
            assert slot == (x - first) + size * (y - first) + size**2 * (z - first)


def slow_pairs(inputs, outputs, size, stride):
    """Every slot: rows (i, o) with inputs[i] = outputs[o] + stride * offset."""
    where = {tuple(row): i for i, row in enumerate(inputs.tolist())}
    found = []
    for dx, dy, dz in kernel_offsets(size):
        meets = (
            (where.get((b, x + stride * dx, y + stride * dy, z + stride * dz)), o)
            for o, (b, x, y, z) in enumerate(outputs.tolist())
        )
        found.append({pair for pair in meets if pair[0] is not None})
    return found


@given(
    st.sets(st.tuples(st.integers(0, 2), *[st.integers(-3, 3)] * 3), min_size=1, max_size=40),
    st.sampled_from([(3, 1), (2, 2), (3, 2), (2, 1), (1, 1), (5, 1), (1, 2)]),
    st.sampled_from([1, 2, 4]),
)
def test_maps_hold_exactly_the_pairs_of_the_definition(voxels, sizes, stride):
    size, factor = sizes
    voxels = {(b, *(c * stride for c in xyz)) for b, *xyz in voxels}
    coords = torch.tensor(list(voxels), dtype=torch.int32)
    cache = CoordinateCache({stride: Level.of(pack(coords))})
    found = cache.kernel_map(stride, size, factor)
    outputs = cache.levels[stride * factor].coords
    expected = slow_pairs(coords, outputs, size, stride)
    for slot, pair in enumerate(found.pairs):
        itself = [(i, i) for i in range(len(coords))]
        got = itself if pair is None else list(zip(*(p.tolist() for p in pair), strict=True))
        assert len(got) == len(expected[slot])
        assert set(got) == expected[slot]
    edge = stride * factor
    floored = {(b, *(c // edge * edge for c in xyz)) for b, *xyz in voxels}
    assert {tuple(row) for row in outputs.tolist()} == floored


def test_neighbours_do_not_wrap_around_at_the_edge_of_the_range():
    edge = 2**15 - 1
    coords = [
        [0, 0, edge, edge],
        [0, 1, -edge - 1, -edge - 1],
        [1, -edge - 1, 0, 0],
        [0, edge, 0, 0],
    ]
    cache = CoordinateCache({1: Level.of(pack(torch.tensor(coords, dtype=torch.int32)))})
    pairs = cache.kernel_map(1, 3, 1).pairs
    assert all(pair is None or len(pair[0]) == 0 for pair in pairs)


def test_a_map_is_searched_once():
    cache = CoordinateCache({1: Level.of(pack(torch.zeros(1, 4, dtype=torch.int32)))})
    assert cache.kernel_map(1, 3, 1) is cache.kernel_map(1, 3, 1)
    assert cache.kernel_map(1, 2, 2).transposed is cache.kernel_map(1, 2, 2).transposed
