"""Tests of the road, the ground and the drive of pcl_synth.streets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pcl_synth.streets.ground import CELL, REACH, Ground, stripe
from pcl_synth.streets.road import LENGTH, START, Drive, Road, random_drive
from pcl_synth.streets.style import StreetStyle


def _style(seed=0):
    return StreetStyle(np.random.default_rng(seed))


def _straight(waves=((0.0, 1.0, 0.0),), tilt=(0.0, 0.0)):
    x = np.arange(-220.0, LENGTH + 221, 0.25)
    return Road(np.stack([x, 0 * x, 0 * x], axis=1), np.array(waves), tilt)


def test_a_metre_along_the_road_is_a_metre():
    for seed in range(5):
        road = random_drive(_style(seed)).road
        s = np.arange(0.0, LENGTH)
        steps = np.linalg.norm(np.diff(road.points(s, 0.0)[:, :2], axis=0), axis=1)
        assert_allclose(steps, 1, atol=1e-3)


def test_d_counts_to_the_left_at_right_angles():
    road = _straight()
    assert_allclose(road.points(10.0, 3.0)[:2] - road.points(10.0, 0.0)[:2], [0, 3], atol=1e-12)
    road = random_drive(_style(2)).road
    left = road.points(50.0, 2.0) - road.points(50.0, 0.0)
    ahead = road.points(50.5, 0.0) - road.points(49.5, 0.0)
    assert abs(left[:2] @ ahead[:2]) < 1e-2
    assert ahead[0] * left[1] > ahead[1] * left[0]


def test_height_is_hills_and_tilt():
    road = _straight(((2.0, 0.1, 0.5),), (0.05, -0.1))
    assert road.height(3.0, 0.0) == pytest.approx(2 * np.sin(0.8))
    assert road.height(0.0, 18.0) == pytest.approx(2 * np.sin(0.5) + 0.5 - 0.09)
    assert road.height(0.0, -18.0) == pytest.approx(2 * np.sin(0.5) - 1.0 - 0.09)


def test_poses_of_a_drive_are_rigid_lead_ahead_and_stand_on_the_ground():
    for seed in range(3):
        drive = random_drive(_style(seed))
        seconds = np.linspace(0, 20, 41)
        poses = drive.poses(seconds)
        rotation = poses[:, :3, :3]
        identity = np.broadcast_to(np.eye(3), rotation.shape)
        assert_allclose(rotation.transpose(0, 2, 1) @ rotation, identity, atol=1e-12)
        assert_allclose(np.linalg.det(rotation), 1)
        velocity = (drive.poses(seconds + 0.01) - poses)[:, :3, 3]
        velocity /= np.linalg.norm(velocity, axis=1, keepdims=True)
        assert (np.sum(velocity * rotation[:, :, 0], axis=1) > 0.999).all()
        assert (rotation[:, 2, 2] > 0.99).all()
        s, d = drive.stations(seconds), drive.lane + 0.12 * np.sin(0.4 * seconds + 2 * drive.phase)
        assert_allclose(poses[:, 2, 3], drive.road.height(s, d))


def test_a_drive_starts_at_the_start_and_stays_on_the_street():
    drive = Drive(_straight(), -1.5, 10.0, 0.7)
    assert drive.stations(0.0) == START
    assert drive.stations(20.0) < LENGTH - 80


def test_paint_covers_what_it_is_told_and_lifts_it():
    ground = Ground(_style(), _straight(), [0.0, 4.0, -4.0])
    ground.paint((0, LENGTH), (-4, 4), "road")
    ground.paint((100, 110), (4, 8), "lot")
    assert ground.name(50.5, 0.5) == ground.name(50.5, -3.9) == "road"
    assert ground.name(50.5, 4.1) == "grass"
    assert (ground.name(104.5, 5.0), ground.name(110.5, 5.0)) == ("lot", "grass")
    assert ground.lift(104.5, 5.0) == 0.05
    assert ground.lift(50.5, 0.5) == 0


def test_the_ground_is_one_surface_with_kerbs():
    ground = Ground(_style(), _straight(), [0.0, 4.0, -4.0])
    ground.paint((0, LENGTH), (-4, 4), "road")
    flat = 0.0
    for part, label in ground.parts():
        a, b = np.diff(part.triangles, axis=1).transpose(1, 0, 2)
        normal = np.cross(a, b)
        flat += np.abs(normal[:, 2]).sum() / 2
        assert label in ("road", "terrain")
        if label == "road":
            height = part.triangles[..., 2] - ground.road.height(0, part.triangles[..., 1])
            assert_allclose(height, 0, atol=1e-9)
        else:  # two kerbs, 12 cm high
            kerb = np.abs(np.abs(part.triangles[..., 1]) - 4).max(axis=1) < 1e-9
            assert np.linalg.norm(normal[kerb], axis=1).sum() / 2 == pytest.approx(
                2 * 0.12 * LENGTH
            )
    assert flat == pytest.approx(2 * REACH * LENGTH)
    assert len(ground.s) == LENGTH / CELL + 1


def test_a_stripe_lies_on_the_road():
    road = random_drive(_style(1)).road
    vertices = stripe(road, (10.0, 13.0), (1.0, 1.2), _style().marking()).triangles.reshape(-1, 3)
    centre = road.points(11.5, 1.1)
    assert np.linalg.norm(vertices - centre, axis=1).max() < 1.6
