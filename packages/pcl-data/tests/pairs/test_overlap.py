"""Tests of pcl_data.pairs.overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Frame, LazyFrames
from pcl_data.pairs import frame_overlap, mine_pairs, unproject


def slow_thin(points, voxel_size):
    """The mean of the points in each cell of the grid."""
    cells: dict = {}
    for point in points.astype(np.float64):
        cells.setdefault(tuple(np.floor(point / voxel_size)), []).append(point)
    return [np.mean(members, axis=0) for members in cells.values()]


def slow_overlap(points_a, points_b, voxel_size, radius):
    a, b = slow_thin(points_a, voxel_size), slow_thin(points_b, voxel_size)
    if not a or not b:
        return 0.0
    near = np.array([np.linalg.norm(p - np.array(b), axis=1) <= radius for p in a])
    return max(near.any(axis=1).mean(), near.any(axis=0).mean())


def make_cloud(seed, n=40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (n, 3)).astype(np.float32)


@pytest.mark.parametrize(("voxel_size", "radius"), [(0.05, 0.075), (0.05, 0.025), (0.1, 0.3)])
@pytest.mark.parametrize("seed", range(5))
def test_overlap_is_the_larger_share_of_thinned_points_with_a_neighbour(seed, voxel_size, radius):
    a, b = make_cloud(seed, 40), make_cloud(seed + 100, 60)
    expected = slow_overlap(a, b, voxel_size, radius)
    assert frame_overlap(a, b, voxel_size=voxel_size, radius=radius) == expected


def test_a_point_at_the_radius_is_a_neighbour():
    a = np.array([[0.125, 0.125, 0.125], [8, 8, 8]])
    b = np.array([[0.125, 0.625, 0.125]])
    assert frame_overlap(a, b, voxel_size=0.25, radius=0.5) == 1.0
    assert frame_overlap(a, b, voxel_size=0.25, radius=0.4999) == 0.0


def test_dense_places_weigh_no_more_than_others():
    """A hundred points of one voxel count as one: 1 of 2 voxels is shared, not 100 of 101."""
    crowd = np.full((100, 3), 0.01) + np.linspace(0, 0.01, 100)[:, None]
    a = np.concatenate([crowd, [[1.0, 0, 0]]])
    b = np.concatenate([crowd, [[3.0, 0, 0]]])
    assert frame_overlap(a, b) == 0.5


@given(st.integers(0, 50))
def test_overlap_is_symmetric_and_a_part_overlaps_its_whole(seed):
    a, b = make_cloud(seed), make_cloud(seed + 1)
    assert frame_overlap(a, b) == frame_overlap(b, a)
    # 2 voxels: no mean of a part is farther than a voxel's diagonal from that of the whole
    assert frame_overlap(a, a[:7], radius=0.1) == 1.0
    assert frame_overlap(a, a + 5) == 0.0


def test_an_empty_cloud_overlaps_nothing():
    assert frame_overlap(make_cloud(0), np.zeros((0, 3), np.float32)) == 0.0
    assert frame_overlap(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius must be positive, got 0.0"),
        ({"voxel_size": -1.0}, "voxel_size must be positive, got -1.0"),
    ],
)
def test_impossible_sizes_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        frame_overlap(make_cloud(0), make_cloud(1), **arguments)
    with pytest.raises(ValueError, match=message):
        mine_pairs(make_walk(2), **arguments)


def test_points_that_are_not_finite_are_rejected():
    with pytest.raises(ValueError, match="points must be finite"):
        frame_overlap(make_cloud(0), np.full((1, 3), np.nan))


@pytest.mark.parametrize("min_overlap", [0.0, -1.0, 1.5, np.nan])
def test_impossible_thresholds_are_rejected(min_overlap):
    with pytest.raises(ValueError, match=r"min_overlap must lie in \(0, 1\], got"):
        mine_pairs(make_walk(2), min_overlap=min_overlap)


def make_walk(n_frames, seed=0) -> tuple[Frame, ...]:
    """Frames of 24 x 18 pixels of a camera that walks and turns in a box of 4 x 3 x 2.5 m."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:18, :24]
    rays = np.stack([(columns - 11.5) / 21, (rows - 8.5) / 21, np.ones((18, 24))], axis=-1)
    frames = []
    for step in range(n_frames):
        turn = 2 * np.pi * step / 12
        forward = np.array([np.cos(turn), np.sin(turn), -0.3]) / np.sqrt(1.09)
        right = np.array([np.sin(turn), -np.cos(turn), 0])
        camera_to_world = np.eye(4)
        camera_to_world[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        camera_to_world[:3, 3] = [2 + 0.05 * step, 1.5, 1.25]
        ahead = rays @ camera_to_world[:3, :3].T
        wall = np.where(ahead > 0, [4, 3, 2.5], 0) - camera_to_world[:3, 3]
        depth = (wall / ahead).min(axis=-1) * rng.normal(1, 0.002, (18, 24))
        depth *= rng.random((18, 24)) < 0.9
        intrinsics = np.array([[21.0, 0, 11.5], [0, 21.0, 8.5], [0, 0, 1]])
        image = np.zeros((18, 24, 3), np.uint8)
        frames.append(Frame(image, depth.astype(np.float32), intrinsics, camera_to_world))
    return tuple(frames)


@pytest.mark.parametrize(("voxel_size", "radius"), [(0.05, 0.075), (0.05, 0.025), (0.2, 0.15)])
def test_mined_pairs_are_those_of_the_slow_loop_over_all_pairs(voxel_size, radius):
    frames = make_walk(6)
    clouds = [unproject(frame).points for frame in frames]
    expected = {
        (a, b): slow_overlap(clouds[a], clouds[b], voxel_size, radius)
        for a in range(6)
        for b in range(a + 1, 6)
    }
    pairs, overlap = mine_pairs(frames, min_overlap=0.05, voxel_size=voxel_size, radius=radius)
    found = dict(zip(map(tuple, pairs.tolist()), overlap.tolist(), strict=True))
    assert found == {pair: share for pair, share in expected.items() if share >= 0.05}
    assert 0 < len(found) < 15  # some overlap, some do not
    assert list(found) == sorted(found)


@given(st.integers(0, 30), st.floats(0.02, 0.5), st.floats(0.02, 0.5))
def test_mined_pairs_are_those_of_frame_overlap(seed, voxel_size, radius):
    """Random depth is scattered in space, so that cells hold any number of points and frames."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(4):
        depth = rng.uniform(0.5, 1.5, (6, 8)) * (rng.random((6, 8)) < rng.random())
        pose = np.eye(4)
        pose[:3, 3] = rng.uniform(-1, 1, 3)
        intrinsics = np.array([[8.0, 0, 3.5], [0, 8.0, 2.5], [0, 0, 1]])
        image = np.zeros((6, 8, 3), np.uint8)
        frames.append(Frame(image, depth.astype(np.float32), intrinsics, pose))
    clouds = [unproject(frame).points for frame in frames]
    pairs, overlap = mine_pairs(frames, min_overlap=1e-9, voxel_size=voxel_size, radius=radius)
    found = dict(zip(map(tuple, pairs.tolist()), overlap.tolist(), strict=True))
    for a in range(4):
        for b in range(a + 1, 4):
            expected = frame_overlap(clouds[a], clouds[b], voxel_size=voxel_size, radius=radius)
            assert found.get((a, b), 0.0) == expected


def test_the_threshold_is_inclusive():
    frames = make_walk(4)
    overlap = mine_pairs(frames, min_overlap=0.01).overlap
    lowest = float(overlap.min())
    assert len(mine_pairs(frames, min_overlap=lowest).overlap) == len(overlap)
    above = np.nextafter(lowest, 1)
    assert len(mine_pairs(frames, min_overlap=above).overlap) < len(overlap)


def test_frames_that_measured_nothing_are_in_no_pair():
    frames = list(make_walk(2))
    blind = Frame(frames[0].image, np.zeros((18, 24), np.float32), np.eye(3), np.eye(4))
    pairs, overlap = mine_pairs([frames[0], blind, frames[0]])
    assert pairs.tolist() == [[0, 2]]
    assert overlap.tolist() == [1.0]
    assert mine_pairs([blind, blind]).pairs.shape == (0, 2)
    assert mine_pairs([]).pairs.shape == (0, 2)


def test_frames_are_read_on_demand_and_not_again_for_every_pair():
    walk, read = make_walk(5), []

    def read_frame(name: str) -> Frame:
        read.append(name)
        return walk[int(name)]

    mined = mine_pairs(LazyFrames(["0", "1", "2", "3", "4"], read_frame))
    assert set(read) == {"0", "1", "2", "3", "4"}
    assert len(read) <= 8  # once each, and the checks of the types look at some
    np.testing.assert_array_equal(mined.pairs, mine_pairs(walk).pairs)
