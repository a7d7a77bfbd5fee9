from collections import Counter

import numpy as np
import pytest

from pcl_data import collate
from pcl_methods.labelfree.geometric_sets import geometric_sets
from pcl_methods.labelfree.image_labels import ImageLabels, label_images
from pcl_methods.labelfree.samples import SampleOptions, image_label_sample, refine_in_sets
from pcl_methods.labelfree.testing import ColorEncoder, color_text, make_posed_room

OPTIONS = SampleOptions(voxel_size=0.1, n_samples=60)


@pytest.fixture(scope="module")
def room():
    return make_posed_room("room", 0)


@pytest.fixture(scope="module")
def found(room):
    sets = geometric_sets(room, "points")
    return label_images(room, ColorEncoder(), color_text(), sets)


def sample(room, found, seed=0, options=OPTIONS, labels=None):
    labels = found.labels if labels is None else labels
    return image_label_sample(room, found, labels, 20, np.random.default_rng(seed), options)


def test_refined_labels_are_the_commonest_of_a_set_in_a_view(found):
    refined = refine_in_sets(found, 20)
    groups: dict[tuple[int, int], list[int]] = {}
    sets = found.sets[found.point_index]
    for row, key in enumerate(zip(sets.tolist(), found.views.tolist(), strict=True)):
        groups.setdefault(key, []).append(row)
    for (one, _), rows in groups.items():
        if one < 0:
            assert (refined[rows] == found.labels[rows]).all()
            continue
        counts = Counter(found.labels[rows].tolist())
        most = max(counts.values())
        assert set(refined[rows]) == {min(c for c, n in counts.items() if n == most)}


def test_votes_count_every_pair_of_a_point_and_a_view(room, found):
    made = sample(room, found)
    kept = len(made["coords"])
    assert made["votes"].shape == (kept, 20)
    assert made["votes"].sum() <= len(found.labels)
    # Where no voxel is dropped, none of the pairs is lost.
    sums = [sample(room, found, seed)["votes"].sum() for seed in range(10)]
    assert max(sums) == len(found.labels)


def test_at_most_so_many_views_are_learned_from(room, found):
    few = OPTIONS._replace(max_views=1)
    sizes = np.bincount(found.views)
    sums = [int(sample(room, found, seed, few)["votes"].sum()) for seed in range(20)]
    assert all(total <= sizes.max() for total in sums)
    assert set(sums) & set(sizes.tolist())


def test_sampled_voxels_have_votes_for_their_label_and_are_of_all_sets(room, found):
    made = sample(room, found)
    rows = np.flatnonzero(made["sampled"] >= 0)
    assert len(rows) == OPTIONS.n_samples
    assert (made["votes"][rows, made["sampled"][rows]] > 0).all()
    paired = made["votes"].sum(axis=1) > 0
    share = np.bincount(made["instances"][paired] + 1) / paired.sum() * len(rows)
    drawn = np.bincount(made["instances"][rows] + 1, minlength=len(share))
    assert (np.abs(drawn - share) < 1).all()  # largest remainders


def test_a_scene_with_fewer_paired_voxels_gives_all_of_them(room, found):
    made = sample(room, found, options=OPTIONS._replace(n_samples=100_000))
    assert ((made["sampled"] >= 0) == (made["votes"].sum(axis=1) > 0)).all()


def test_sets_of_a_batch_lead_to_their_features(room, found):
    made = [sample(room, found, seed) for seed in (0, 1)]
    batch = collate(made)
    for i, one in enumerate(made):
        rows = batch["batch_index"] == i
        has = one["instances"] >= 0
        expected = one["set_features"][one["instances"][has]]
        np.testing.assert_array_equal(
            batch["set_features"][batch["instances"][rows][has]], expected
        )


def test_a_sample_is_a_function_of_its_generator(room, found):
    for key, value in sample(room, found, 3).items():
        np.testing.assert_array_equal(value, sample(room, found, 3)[key])
    assert not np.array_equal(
        sample(room, found, 3)["features"], sample(room, found, 4)["features"]
    )


def test_a_set_is_of_the_scene_of_its_labels(room, found):
    made = sample(room, found)
    assert made["instances"].max() + 1 == len(made["set_features"])
    assert isinstance(found, ImageLabels)
