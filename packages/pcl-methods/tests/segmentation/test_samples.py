"""Tests of pcl_methods.segmentation.samples."""

import numpy as np
import pytest

from pcl_data import Scene
from pcl_methods.segmentation.samples import training_sample

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
    assert sample.keys() == {"coords", "features", "points", "point_index", "labels"}
    assert np.array_equal(sample["labels"], sweep.labels[sample["point_index"]])
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


def test_a_few_annotated_points_are_not_lost_among_the_others():
    """Twenty places a metre apart, nine points each within a voxel, the last one annotated."""
    rng = np.random.default_rng(0)
    places = np.repeat(np.stack(np.meshgrid(range(5), range(4), [0]), axis=-1).reshape(20, 3), 9, 0)
    is_annotated = np.arange(180) % 9 == 8
    scene = Scene(
        "few",
        (places + rng.uniform(-1e-3, 1e-3, (180, 3))).astype(np.float32),
        intensity=is_annotated.astype(np.float32),
        labels=np.where(is_annotated, np.arange(180) % 7, -1),
        instances=np.where(is_annotated, np.arange(180) // 9, -1),
    )
    n_whole = 0
    for seed in range(10):
        sample = sample_of(scene, seed, features="intensity", elastic=False)
        annotated = sample["labels"] >= 0
        n_whole += annotated.sum() == 20
        assert np.array_equal(sample["instances"] >= 0, annotated)
        assert np.array_equal(sample["features"][:, 0] == 1, annotated)
        place = sample["instances"][annotated]
        assert np.array_equal(sample["labels"][annotated], (9 * place + 8) % 7)
        # Each instance is one point, and so its own centre.
        assert np.array_equal(sample["centers"][annotated], sample["points"][annotated])
    assert n_whole >= 5  # in a fifth of the samples voxels are dropped


def test_the_first_of_the_annotated_points_counts():
    labels = np.array([-1, 4, 5, -1, -1, -1])
    points = np.zeros((6, 3), np.float32) + 0.04
    points[4:] = 5
    scene = Scene("one", points, intensity=np.arange(6, dtype=np.float32), labels=labels)
    sample = sample_of(scene, 0, features="intensity", elastic=False)  # drops no voxel
    assert sample["labels"].tolist() == [4, -1]
    assert sample["features"].ravel().tolist() == [1, 4]


def test_where_no_label_is_a_decision_the_first_point_counts():
    points = np.repeat(np.float32([[0.04] * 3, [5] * 3]), 2, axis=0)
    intensity = np.arange(4, dtype=np.float32)
    scene = Scene("one", points, intensity=intensity, labels=np.array([-1, 4, 5, -1]))
    sample = sample_of(scene, 0, features="intensity", elastic=False, annotated_first=False)
    assert sample["labels"].tolist() == [-1, 5]
    assert sample["features"].ravel().tolist() == [0, 2]


def test_a_wholly_annotated_scene_is_the_same_either_way(room):
    first, second = (sample_of(room, annotated_first=annotated) for annotated in (True, False))
    assert all(np.array_equal(values, second[key]) for key, values in first.items())


@pytest.mark.parametrize("elastic", [True, False])
def test_a_sample_depends_on_the_generator_alone(room, elastic):
    first, again = (sample_of(room, 3, elastic=elastic) for _ in range(2))
    assert all(np.array_equal(values, again[key]) for key, values in first.items())
    assert not np.array_equal(first["points"][:9], sample_of(room, 4)["points"][:9])
