"""Tests of pcl_data.batching."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import PointBudgetSampler, collate, voxelize


def make_sample(seed: int, n: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    points = generator.uniform(-1, 1, (n, 3))
    coords, index, inverse = voxelize(points, 0.5)
    instances = generator.integers(-1, 4, n)
    features = points.astype(np.float32)[index]
    return {
        "coords": coords,
        "index": index,
        "inverse": inverse,
        "points": points,
        "features": features,
        "instances": instances,
    }


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_shifted_indices_pick_the_rows_of_their_own_sample(sizes):
    samples = [make_sample(seed, n) for seed, n in enumerate(sizes)]
    batch = collate(samples)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    cells = np.floor(batch["points"] / 0.5)
    rows = batch["coords"][batch["inverse"]]
    np.testing.assert_array_equal(rows, np.column_stack([owner, cells]))
    np.testing.assert_array_equal(batch["points"][batch["index"]].astype("f4"), batch["features"])
    assert batch["coords"].dtype == np.int32
    np.testing.assert_array_equal(batch["batch_index"], batch["coords"][:, 0])
    assert batch["batch_index"].dtype == np.int64


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_instances_of_two_samples_never_meet(sizes):
    samples = [make_sample(seed, n) for seed, n in enumerate(sizes)]
    got = np.split(collate(samples)["instances"], np.cumsum(sizes)[:-1])
    seen = set()
    for shifted, sample in zip(got, samples, strict=True):
        np.testing.assert_array_equal(shifted == -1, sample["instances"] == -1)
        pairs = set(zip(shifted.tolist(), sample["instances"].tolist(), strict=True)) - {(-1, -1)}
        assert len({new for new, _ in pairs}) == len({old for _, old in pairs}) == len(pairs)
        assert not seen & {new for new, _ in pairs}
        seen |= {new for new, _ in pairs}


def test_a_batch_by_hand():
    first = {"coords": np.array([[5, 6, 7]]), "inverse": np.array([0, 0]), "index": np.array([0])}
    second = {"coords": np.array([[1, 2, 3]]), "inverse": np.array([0]), "index": np.array([0])}
    batch = collate([first, second])
    assert batch["coords"].tolist() == [[0, 5, 6, 7], [1, 1, 2, 3]]
    assert batch["inverse"].tolist() == [0, 0, 1]
    assert batch["index"].tolist() == [0, 2]
    assert batch["batch_index"].tolist() == [0, 1]


def test_samples_without_instances_do_not_shift_the_next():
    coords = np.zeros((1, 3), np.int32)
    ids = [np.array([-1]), np.array([0]), np.zeros(0, np.int64), np.array([2])]
    batch = collate([{"coords": coords, "instances": one} for one in ids])
    assert batch["instances"].tolist() == [-1, 0, 3]


COORDS = np.zeros((1, 3), np.int32)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "samples must hold at least one sample, got 0"),
        (
            [{"coords": COORDS}, {"coords": COORDS, "labels": COORDS}],
            r"the same names \['coords'\], got \['coords', 'labels'\] in sample 1",
        ),
        ([{"points": COORDS}], r"must have coords.* got \['points'\]"),
        ([{"coords": COORDS, "index": COORDS}], r"and inverse if there is index"),
    ],
)
def test_bad_samples_are_rejected(samples, message):
    with pytest.raises(ValueError, match=message):
        collate(samples)


@given(st.lists(st.integers(0, 10), max_size=30), st.integers(0, 3), st.integers(0, 3))
def test_batches_cover_every_scene_once_within_the_budget(sizes, seed, epoch):
    sampler = PointBudgetSampler(sizes, 12, seed=seed, epoch=epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    keys = [key for batch in batches for key in batch]
    assert sorted(keys) == [(epoch, scene) for scene in range(len(sizes))]
    assert all(batch and sum(sizes[scene] for _, scene in batch) <= 12 for batch in batches)
    for left, right in pairwise(batches):  # no batch ends early
        assert sum(sizes[scene] for _, scene in [*left, right[0]]) > 12
    assert list(PointBudgetSampler(np.array(sizes, int), 12, seed=seed, epoch=epoch)) == batches


def test_a_resumed_epoch_goes_on_where_it_stopped():
    whole = list(PointBudgetSampler([1] * 20, 5, epoch=1))
    for start in range(5):
        assert list(PointBudgetSampler([1] * 20, 5, epoch=1, start=start)) == whole[start:]
    with pytest.raises(ValueError, match=r"start must lie in \[0, 4\], got 5"):
        PointBudgetSampler([1] * 20, 5, start=5)


def test_seed_and_epoch_change_the_order():
    orders = {
        tuple(
            scene
            for batch in PointBudgetSampler([1] * 20, 5, seed=seed, epoch=epoch)
            for _, scene in batch
        )
        for seed in range(2)
        for epoch in range(2)
    }
    assert len(orders) == 4


def test_a_scene_over_the_budget_is_named():
    with pytest.raises(ValueError, match="at most max_points=5, got 6 in scene 1"):
        PointBudgetSampler([5, 6], 5)
