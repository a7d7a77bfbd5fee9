"""Tests of pcl_methods.pretraining.matched_views."""

import numpy as np
import pytest

from pcl_methods.pretraining.matched_views import CutViews, MatchedViews


def distances(first, second):
    pairs = first["points"][first["rows"]] - second["points"][second["rows"]]
    return np.linalg.norm(pairs, axis=1)


def views(scene, **settings):
    return MatchedViews(0.08, **settings)((scene, scene), np.random.default_rng(0))


def test_matches_are_voxels_of_nearby_points(room):
    first, second = views(room)
    assert distances(first, second).max() <= 1.5 * 0.08 + 1e-6
    assert len(np.unique(first["rows"])) == len(first["coords"])  # of the same cloud all match


def test_each_view_of_a_pair_is_turned_on_its_own(room):
    first, second = views(room)
    assert not np.array_equal(first["coords"], second["coords"])


@pytest.mark.parametrize("kind", ["published", "strong"])
def test_strong_views_have_other_colors(room, kind):
    first, second = views(room, augmentation=kind)
    same = distances(first, second) == 0
    pair = [view["features"][view["rows"]][same] for view in (first, second)]
    assert np.allclose(*pair) == (kind == "published")
    assert first["features"].dtype == np.float32
    assert np.abs(first["features"]).max() <= 0.5 + 1e-6


def test_strong_views_have_other_sizes(room):
    extents = {kind: [] for kind in ("published", "strong")}
    for kind, found in extents.items():
        for view in views(room, augmentation=kind):
            found.append(np.linalg.norm(np.ptp(view["coords"], axis=0)))
    spread = {kind: max(found) / min(found) for kind, found in extents.items()}
    assert spread["strong"] > spread["published"]


def test_intensities_are_not_changed(sweep):
    for view in views(sweep, features="intensity", augmentation="strong"):
        assert set(view["features"].ravel()) == {np.float32(0.2), np.float32(0.8)}


def test_views_cut_from_a_scene_are_parts_that_overlap(room):
    maker = CutViews(MatchedViews(0.08), size=0.4)
    first, second = maker(room, np.random.default_rng(0))
    whole = views(room)[0]
    assert max(len(first["coords"]), len(second["coords"])) < 0.6 * len(whole["coords"])
    assert len(first["rows"]) > 0
    assert len(np.unique(first["rows"])) < len(first["coords"])
