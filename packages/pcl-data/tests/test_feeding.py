"""Tests of pcl_data.feeding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import PointBudgetSampler, Scene, augmentation, collate
from pcl_data.feeding import SeededSamples, voxel_sample


@pytest.fixture(scope="module")
def scene() -> Scene:
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 20, 3000)
    return Scene(
        "room",
        generator.uniform(0, 2, (3000, 3)).astype(np.float32),
        colors=generator.integers(0, 256, (3000, 3), dtype=np.uint8),
        labels=labels,
        instances=np.where(labels > 1, labels, -1),
        intensity=generator.random(3000, dtype=np.float32),
    )


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


def test_workers_and_resumption_change_no_batch(scene):
    data = pytest.importorskip("torch.utils.data")
    samples = SeededSamples([scene] * 6, voxel_sample, seed=3)

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


@given(st.integers(0, 2**32))
def test_every_voxel_is_one_point_with_its_annotations(seed):
    generator = np.random.default_rng(seed)
    points = generator.uniform(0, 1, (40, 3)).astype(np.float32)
    colors = np.full((40, 3), 128, np.uint8)
    ids = np.arange(40)
    scene = Scene("a", points, colors=colors, labels=ids, instances=ids)
    sample = voxel_sample(scene, generator, voxel_size=0.001, distortions=())
    n = len(sample["coords"])
    assert n in (32, 40)  # a fifth is dropped, or nothing
    assert all(len(array) == n for array in sample.values())
    np.testing.assert_array_equal(sample["labels"], sample["instances"])
    # Rotation, scaling and flip keep the ratios of distances.
    kept = points[sample["labels"]]
    moved = sample["points"]
    ratio = np.linalg.norm(moved[1:] - moved[0], axis=1) / np.linalg.norm(
        kept[1:] - kept[0], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
    assert 0.9 <= ratio[0] <= 1.1
    # The grid is that of the moved points, up to one whole shift.
    shift = sample["coords"] - np.floor(moved.astype(float) / 0.001)
    assert np.abs(shift - shift[0]).max() <= 1  # a border may round to the other side


def test_values_are_those_that_networks_read(scene):
    sample = voxel_sample(scene, np.random.default_rng(0), voxel_size=0.05)
    assert sample["coords"].dtype == np.int32
    assert sample["colors"].dtype == sample["points"].dtype == np.float32
    assert -0.5 <= sample["colors"].min() < -0.4
    assert 0.4 < sample["colors"].max() <= 0.5
    assert sample["intensity"].shape == (len(sample["coords"]), 1)


def test_one_annotated_point_labels_its_voxel():
    labels = np.full(500, -1)
    labels[300] = 7
    scene = Scene("a", np.zeros((500, 3), np.float32), labels=labels)
    sample = voxel_sample(scene, np.random.default_rng(0), distortions=())
    assert sample["labels"].tolist() == [7]


def test_a_scene_of_points_alone_gives_coordinates_alone():
    scene = Scene("a", np.ones((3, 3), np.float32))
    assert set(voxel_sample(scene, np.random.default_rng(0))) == {"coords", "points"}


def test_distortions_are_applied_all_or_none(monkeypatch):
    calls = []
    monkeypatch.setattr(
        augmentation, "elastic_distortion", lambda points, *how: calls.append(how[:2]) or points
    )
    scene, generator = Scene("a", np.ones((3, 3), np.float32)), np.random.default_rng(0)
    for _ in range(200):
        voxel_sample(scene, generator)
    assert set(calls) == {(0.2, 0.4), (0.8, 1.6)}
    assert abs(len(calls) / 2 - 190) < 10  # three standard deviations of 200 times 0.95
