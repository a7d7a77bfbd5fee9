"""Tests of pcl_synth.streets.lidar."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial import cKDTree

from pcl_synth.ray_casting import Soup, tracer
from pcl_synth.streets import dataset, lidar
from pcl_synth.streets.street import LABELS


@pytest.fixture(scope="module")
def street():
    return dataset._street(0, 0)


def _scan(street, seconds, seed=0, beams=32):
    stage = lidar.Stage(*street, seconds)
    return lidar.scan(street[0], stage, seconds, beams, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def sweep(street):
    return _scan(street, 2.0)


def _in_own_frame(drive, sweep, seconds):
    """Points where the scanner was when it measured them."""
    (reference,) = lidar.sensor_poses(drive, np.array([seconds]))
    poses = lidar.sensor_poses(drive, seconds + sweep.times.astype(np.float64))
    world = sweep.points.astype(np.float64) @ reference[:3, :3].T + reference[:3, 3]
    return np.einsum("nji,nj->ni", poses[:, :3, :3], world - poses[:, :3, 3])


@pytest.mark.parametrize("beams", [32, 64])
def test_every_point_lies_on_the_pulse_that_measured_it(street, beams):
    sweep = _scan(street, 2.0, beams=beams)
    local = _in_own_frame(street[0].drive, sweep, 2.0)
    direction = local / np.linalg.norm(local, axis=1, keepdims=True)
    pulses, seconds = lidar.pulses(beams)
    column = np.abs(seconds[None] - sweep.times[:200, None]).argmin(axis=1)
    assert_allclose(seconds[column], sweep.times[:200], atol=1e-8)
    column = np.round((sweep.times / lidar.PERIOD + 0.5) * len(seconds)).astype(int)
    beam = lidar.beams_of(sweep.points, sweep.times, street[0].drive, 2.0, beams)
    assert np.abs(direction - pulses[beam, column]).max() < 1e-5
    assert (np.diff(beam * len(seconds) + column) > 0).all()  # by beam, then by time


def test_pulses_turn_clockwise_from_behind_and_look_ahead_at_time_zero():
    pulses, seconds = lidar.pulses(64)
    assert pulses.shape == (64, 2000, 3)
    assert_allclose(np.linalg.norm(pulses, axis=2), 1)
    middle = int(np.flatnonzero(seconds == 0)[0])
    assert_allclose(pulses[0, middle], [np.cos(np.radians(2)), 0, np.sin(np.radians(2))])
    assert pulses[0, 0, 0] < -0.99
    assert pulses[0, middle // 2, 1] > 0.99  # left before ahead
    assert_allclose(np.degrees(np.arcsin(pulses[[0, -1], 0, 2])), [2, -24.33], atol=1e-9)
    pulses, _ = lidar.pulses(32)
    assert_allclose(np.degrees(np.arcsin(pulses[[0, -1], 0, 2])), [10.67, -30.663], atol=1e-3)


def test_what_stands_stands_where_it_stood(street):
    sweep, later = (_scan(street, seconds, beams=64) for seconds in (2.0, 3.0))
    names = ("pole", "trunk", "car", "traffic-sign", "building")
    upright = [LABELS.names.index(name) for name in names]
    world = []
    for one, seconds in ((sweep, 2.0), (later, 3.0)):
        (pose,) = lidar.sensor_poses(street[0].drive, np.array([seconds]))
        near = np.isin(one.labels, upright) & (np.linalg.norm(one.points, axis=1) < 25)
        world.append(one.points[near] @ pose[:3, :3].T + pose[:3, 3])
    distance, _ = cKDTree(world[1]).query(world[0])
    assert len(distance) > 500
    assert np.median(distance) < 0.1  # the car has driven 6 to 10 m


def test_range_noise_is_that_of_the_constant(street, sweep, monkeypatch):
    monkeypatch.setattr(lidar, "NOISE", 0.0)
    exact = _scan(street, 2.0)
    drive = street[0].drive
    noisy, true = (np.linalg.norm(_in_own_frame(drive, s, 2.0), axis=1) for s in (sweep, exact))
    error = noisy - true
    assert abs(error.mean()) < 0.02 * 4 / np.sqrt(len(error))
    assert error.std() == pytest.approx(0.02, rel=0.03)


def test_what_moves_is_seen(sweep):
    moving = [i for i, name in enumerate(LABELS.names) if name.startswith("moving-")]
    assert np.isin(sweep.labels, moving).sum() > 20


def _surface(n, depth=20.0, cosine=1.0):
    whole = np.zeros(n, np.int64)
    three = np.zeros((n, 3), np.float32)
    depth, cosine = np.full(n, depth, np.float32), np.full(n, cosine, np.float32)
    return lidar.Surface(whole, depth, three, three, cosine, whole, whole, whole)


def _share_kept(share=0.2, gloss=0.0, **surface):
    n = 20_000
    shares, glosses = np.full(n, share, np.float32), np.full(n, gloss, np.float32)
    kept = lidar._returns(_surface(n, **surface), shares, glosses, np.random.default_rng(0))
    return len(kept) / n


def test_fewer_pulses_return_from_afar_at_grazing_angles_and_from_dark_or_glossy_surfaces():
    by_range = [_share_kept(depth=depth, cosine=0.04) for depth in (5.0, 20.0, 40.0, 60.0, 80.0)]
    assert by_range == sorted(by_range, reverse=True)
    assert by_range[0] > 0.98
    assert by_range[-1] < 0.5
    # 0.995 (1 - exp(-240000 * 0.22 * 0.04 / 3600)) at 60 m
    assert by_range[3] == pytest.approx(
        0.995 * (1 - np.exp(-0.22 * 0.04 * 240_000 / 3600)), abs=0.01
    )
    assert _share_kept(depth=60.0, cosine=0.02) < _share_kept(depth=60.0, cosine=0.2) - 0.3
    assert _share_kept(depth=80.0, cosine=0.05, share=0.05) < _share_kept(depth=80.0, cosine=0.05)
    assert _share_kept(gloss=0.6) == pytest.approx(0.4 * 0.995, abs=0.02)


def test_nothing_returns_from_beyond_the_range_or_from_the_roof():
    assert _share_kept(depth=90.5) == _share_kept(depth=1.1) == 0
    assert _share_kept(depth=89.5) > 0.9


def _wall(x, label):
    corners = [[x, -50, -50], [x, 50, -50], [x, 0, 80]]
    one = np.zeros(1, np.int64)
    return Soup(np.array([corners], np.float32), [], one, one + label, one - 1)


def test_the_nearer_of_what_stands_and_what_moves_is_hit():
    origins, ahead = np.zeros((1, 3), np.float32), np.array([[1, 0, 0]], np.float32)
    for still, moving, label in ((10, 5, 2), (5, 10, 1)):
        stage = lidar.Stage.__new__(lidar.Stage)
        soups = (_wall(still, 1), _wall(moving, 2))
        stage.soups = [(soup, tracer(soup.triangles)) for soup in soups]
        surface = stage.cast(origins, ahead)
        assert (surface.label.tolist(), surface.depth.tolist()) == ([label], [5.0])
        assert stage.cast(origins, -ahead).face.tolist() == [-1]


def test_intensity_tells_signs_from_asphalt(street):
    sweep = _scan(street, 2.0, beams=64)
    mean = {
        name: sweep.intensity[sweep.labels == LABELS.names.index(name)].mean()
        for name in ("road", "traffic-sign", "vegetation")
    }
    assert mean["road"] < mean["vegetation"] < mean["traffic-sign"]
