"""Tests of pcl_appkit.segmentation.samples."""

import numpy as np
import pytest

from pcl_appkit.segmentation.samples import training_sample
from pcl_data import Scene

SIZE = 0.08


def sample_of(scene: Scene, seed: int = 5, centers=None, **options) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    options = {"voxel_size": SIZE, **options}
    return training_sample(scene, scene.labels, scene.instances, centers, rng, **options)


def centers_of(scene: Scene) -> np.ndarray:
    ids = range(scene.instances.max() + 1)
    return np.stack([scene.points[scene.instances == i].mean(axis=0) for i in ids])


def test_targets_of_true_centers_equal_those_of_instances(room):
    """Rotation, scale and flip move a centre as they move its points."""
    own, given = (sample_of(room, centers=c, elastic=False) for c in (None, centers_of(room)))
    assert np.array_equal(own["points"], given["points"])
    # Centres are means over all points in one, over thinned points in the other.
    assert np.allclose(own["centers"], given["centers"], atol=0.03)
    has_instance = own["instances"] >= 0
    assert has_instance.any()
    assert np.abs(own["centers"][has_instance]).max() > 0.1
    assert (own["centers"][~has_instance] == 0).all()


def test_elastic_distortion_moves_a_center_with_its_points(room):
    for seed in range(4):
        sample = sample_of(room, seed, centers=centers_of(room))
        for instance in range(4):
            rows = sample["instances"] == instance
            mean = sample["points"][rows].mean(axis=0)
            assert np.abs(sample["centers"][rows] - mean).max() < 0.1


def test_points_lie_in_distinct_voxels(room):
    sample = sample_of(room)
    assert np.array_equal(np.floor(sample["points"].astype(float) / SIZE), sample["coords"])
    assert len(np.unique(sample["coords"], axis=0)) == len(sample["coords"])
    assert {len(values) for values in sample.values()} == {len(sample["coords"])}


def test_colors_change_and_stay_centred(room):
    samples = [sample_of(room, seed)["features"] for seed in range(8)]
    assert all(np.abs(colors).max() <= 0.5 for colors in samples)
    own = {color.tobytes() for color in room.colors.astype(np.float32) / 255 - np.float32(0.5)}
    assert not own & {color.tobytes() for color in samples[0]}


def test_a_sweep_has_its_intensity_and_no_instances(sweep):
    sample = sample_of(sweep, voxel_size=0.1, elastic=False, features="intensity")
    assert sample.keys() == {"coords", "features", "points", "labels"}
    assert sample["features"].shape == (len(sample["coords"]), 1)
    assert set(sample["features"].ravel()) <= set(sweep.intensity)


def test_without_distortion_distances_are_scaled_alone(room):
    def extent(points: np.ndarray) -> float:
        return float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())

    scales = [
        extent(sample_of(room, seed, elastic=False)["points"]) / extent(room.points)
        for seed in range(8)
    ]
    assert 0.85 < min(scales) < max(scales) < 1.15  # 0.9 to 1.1, but for voxels that are dropped
    distorted = sample_of(room, 0)["points"], sample_of(room, 0, elastic=False)["points"]
    assert len(distorted[0]) != len(distorted[1])


@pytest.mark.parametrize("elastic", [True, False])
def test_a_sample_depends_on_the_generator_alone(room, elastic):
    first, again = (sample_of(room, 3, elastic=elastic) for _ in range(2))
    assert all(np.array_equal(values, again[key]) for key, values in first.items())
    assert not np.array_equal(first["points"][:9], sample_of(room, 4)["points"][:9])
