"""Tests of pcl_data.feeding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import PointBudgetSampler, Scene, collate, voxelize
from pcl_data.feeding import SeededSamples


def shuffled_voxels(scene: Scene, generator: np.random.Generator) -> dict[str, np.ndarray]:
    grid = voxelize(scene.points, 0.5)
    rows = generator.permutation(len(grid.coords))
    return {"coords": grid.coords[rows], "points": scene.points[grid.index[rows]]}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_sample_depends_on_seed_epoch_and_index_alone(seed, epoch, index):
    def draw(scene, generator):
        return scene.name, generator.random(3).tolist()

    scenes = [Scene(str(i), np.zeros((1, 3), np.float32)) for i in range(10)]
    first = SeededSamples(scenes, draw, seed=seed)
    _ = first[epoch + 1, index], first[epoch, 9 - index]  # other samples in between
    again = SeededSamples(scenes, draw, seed=seed)
    assert first[epoch, index] == again[epoch, index]
    assert again[epoch, index][0] == str(index)
    others = [SeededSamples(scenes, draw, seed=seed + 1)[epoch, index]]
    others += [first[epoch + 1, index], first[epoch, (index + 1) % 10]]
    assert all(other[1] != first[epoch, index][1] for other in others)


def test_workers_and_resumption_change_no_batch():
    data = pytest.importorskip("torch.utils.data")
    points = np.random.default_rng(0).uniform(0, 2, (3000, 3)).astype(np.float32)
    samples = SeededSamples([Scene("room", points)] * 6, shuffled_voxels, seed=3)

    def batches(n_workers, start=0):
        sampler = PointBudgetSampler([3000] * 6, 6000, seed=3, epoch=2, start=start)
        loader = data.DataLoader(
            samples, batch_sampler=sampler, num_workers=n_workers, collate_fn=collate
        )
        return list(loader)

    alone = batches(0)
    assert len(alone) == 3
    for other in (batches(2), alone[:1] + batches(2, start=1)):
        for got, want in zip(other, alone, strict=True):
            assert got.keys() == want.keys()
            for name, array in want.items():
                np.testing.assert_array_equal(got[name], array)
