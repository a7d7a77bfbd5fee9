"""Tests of pcl_backbones.point_buckets."""

import numpy as np
import pytest

from pcl_backbones import point_buckets
from pcl_backbones.point_buckets import buckets_of, squared_gaps

RNG = np.random.default_rng(0)
POWERS = 2.0 ** np.arange(-149, 59)  # from the smallest number above 0 on
CLOUDS = {
    "cube": RNG.random((700, 3)),
    "plane": RNG.random((700, 3)) * [9, 9, 0],
    "whole numbers": RNG.integers(0, 3, (700, 3)),
    "one place": np.ones((700, 3)),
    "halves of halves": np.stack([POWERS, -POWERS, 0 * POWERS], axis=1),
    "neighbors in the last bit": np.nextafter(
        np.float32(1), np.float32(RNG.integers(0, 3, (99, 3)))
    ),
    "one point": np.ones((1, 3)),
}


@pytest.fixture(autouse=True)
def _small_buckets(monkeypatch):
    monkeypatch.setattr(point_buckets, "BUCKET_SIZE", 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CLOUDS)
def test_every_point_is_in_one_bucket_and_in_its_box(name, dtype):
    points = CLOUDS[name].astype(dtype)
    buckets = buckets_of(points)
    assert sorted(buckets.ids) == list(range(len(points)))
    rows = np.stack([buckets.x, buckets.y, buckets.z], axis=1)
    assert np.array_equal(rows, points[buckets.ids])
    assert (buckets.starts[0], buckets.starts[-1]) == (0, len(points))
    for k in range(len(buckets.starts) - 1):
        part = slice(buckets.starts[k], buckets.starts[k + 1])
        assert np.array_equal(buckets.boxes[:3, k], rows[part].min(axis=0))
        assert np.array_equal(buckets.boxes[3:, k], rows[part].max(axis=0))
        assert (np.diff(buckets.ids[part]) > 0).all()
        assert len(rows[part]) <= 16 or (rows[part] == rows[part][0]).all()


def test_a_cut_is_in_the_middle_of_the_longest_edge():
    points = np.zeros((20, 3), np.float32)
    points[:, 0], points[:, 1] = 2, np.arange(20) / 4  # y from 0 to 4.75, cut at 2.375
    points[7, 1] = 100  # the first cut, at 50, is before it
    buckets = buckets_of(points)
    assert buckets.starts.tolist() == [0, 9, 19, 20]
    assert buckets.boxes[1].tolist() == [0, 2.5, 100]
    assert buckets.boxes[4].tolist() == [2.25, 4.75, 100]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_gap_is_above_the_rounded_distance_to_a_point_of_the_bucket(dtype):
    points = (RNG.normal(size=(300, 3)) * 10 ** RNG.uniform(-3, 3, (300, 1))).astype(dtype)
    buckets = buckets_of(points)
    gaps = np.empty(len(buckets.starts) - 1, dtype)
    for position in points[:100] + dtype(0.1):
        squared_gaps(buckets, *position, gaps)
        d = [
            rows - at for rows, at in zip((buckets.x, buckets.y, buckets.z), position, strict=True)
        ]
        squares = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
        assert (gaps <= np.minimum.reduceat(squares, buckets.starts[:-1])).all()
        assert gaps.max() > 0


def test_the_gap_is_the_distance_to_the_box():
    buckets = buckets_of(np.array([[0, 0, 0], [1, 2, 3]], np.float32))
    gaps = np.empty(1, np.float32)
    for position, square in (((0.5, 1, 1), 0), ((-2, 1, 1), 4), ((3, 5, 7), 4 + 9 + 16)):
        squared_gaps(buckets, *np.float32(position), gaps)
        assert gaps[0] == square
