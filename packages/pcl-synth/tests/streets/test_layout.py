"""Tests of the layout and the traffic of pcl_synth.streets."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcl_data import SEMANTICKITTI19
from pcl_synth.streets import dataset
from pcl_synth.streets.layout import random_street
from pcl_synth.streets.road import random_drive
from pcl_synth.streets.street import LABELS
from pcl_synth.streets.style import StreetStyle


@pytest.fixture(scope="module")
def streets():
    return [dataset._street(0, 0)[0], random_street("business", np.random.default_rng(7))]


def test_all_classes_occur_on_two_streets(streets):
    labels = np.concatenate(
        [np.unique(street.soup.label) for street in streets]
        + [[mover.label for mover in street.movers] for street in streets]
    )
    assert set(labels[labels >= 0].tolist()) >= set(range(SEMANTICKITTI19.n_classes)) - {6, 7}
    train = SEMANTICKITTI19.to_train(LABELS.to_raw(labels))
    assert set(train.tolist()) == {*range(SEMANTICKITTI19.n_classes), -1}


def test_the_drive_is_known_without_the_street(streets):
    seconds = np.array([0.0, 3.3])
    drives = (dataset.drive_of(0, 0), random_drive(StreetStyle(np.random.default_rng(7))))
    for street, drive in zip(streets, drives, strict=True):
        assert np.array_equal(street.drive.poses(seconds), drive.poses(seconds))


def test_instances_are_numbered_from_zero_and_in_order(streets):
    for street in streets:
        things = street.things_at(4.0)
        assert [thing.instance for thing in things] == list(range(len(things)))
        soup = street.soup
        for thing in things[: len(street.things)]:
            assert (soup.label[soup.instance == thing.instance] == thing.label).all()
        assert (np.isin(soup.label, LABELS.things) == (soup.instance >= 0)).all()


def test_an_extent_bounds_its_triangles(streets):
    street = streets[0]
    moving = street.moving_soup(6.0, 150.0, 1000.0)
    for thing in street.things_at(6.0):
        soup = street.soup if thing.instance < len(street.things) else moving
        vertices = soup.triangles[soup.instance == thing.instance].reshape(-1, 3)
        local = (vertices - thing.pose[:3, 3]) @ thing.pose[:3, :3]
        assert (local > thing.extent[0] - 1e-3).all()
        assert (local < thing.extent[1] + 1e-3).all()


def test_movers_keep_their_speed_and_face_where_they_go(streets):
    for street in streets:
        for mover in street.movers:
            before, after = (street.pose_of(mover, t) for t in (2.0, 2.1))
            step = (after - before)[:3, 3]
            assert np.linalg.norm(step[:2]) == pytest.approx(abs(mover.speed) / 10, rel=0.25)
            assert step[:2] @ before[:2, 0] > 0


def test_nothing_stands_in_the_way_of_the_drive(streets):
    for street in streets:
        seconds = np.arange(0, 20, 0.5)
        poses = street.drive.poses(seconds)
        leaves = LABELS.names.index("vegetation")  # these may hang over
        corners = street.soup.triangles[street.soup.label != leaves].reshape(-1, 3)
        near, _ = cKDTree(poses[:, :2, 3]).query(corners[:, :2], distance_upper_bound=3)
        corners = corners[np.isfinite(near)]
        for pose in poses:
            local = (corners - pose[:3, 3]) @ pose[:3, :3]
            inside = (np.abs(local) < (2.5, 0.95, 1.7)).all(axis=1) & (local[:, 2] > 0.3)
            assert not inside.any()


def test_no_mover_meets_the_car_with_the_sensors(streets):
    for street in streets:
        for seconds in np.arange(0, 20, 0.25):
            station = street.drive.stations(float(seconds))
            for mover in street.movers:
                half = np.abs(mover.extent).max(axis=0)
                beside = abs(mover.d - street.drive.lane) > half[1] + 0.9
                assert beside or abs(mover.station(seconds) - station) > half[0] + 2.2
