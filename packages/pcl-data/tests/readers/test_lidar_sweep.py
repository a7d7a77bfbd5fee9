"""Tests of pcl_data.readers.lidar_sweep."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcl_data.readers.lidar_sweep import read_sweep

ROWS = np.array([[1, 2, 3, 0.5], [-70, 0.25, -1.5, 0]], "<f4")

SWAPPED = np.random.default_rng(0).uniform(-70, 70, (9, 4)).astype(">f4").tobytes()


def test_points_and_intensity_are_read(tmp_path):
    (tmp_path / "a.bin").write_bytes(ROWS.tobytes())
    points, intensity = read_sweep(tmp_path / "a.bin", 4, 1)
    assert points.tolist() == [[1, 2, 3], [-70, 0.25, -1.5]]
    assert intensity.tolist() == [0.5, 0]
    assert points.dtype == intensity.dtype == np.float32


def test_the_scale_and_further_columns_are_those_of_the_data_set(tmp_path):
    rows = np.array([[1, 2, 3, 51, 31]], "<f4")
    (tmp_path / "a.bin").write_bytes(rows.tobytes())
    points, intensity = read_sweep(tmp_path / "a.bin", 5, 255)
    assert points.tolist() == [[1, 2, 3]]
    assert intensity[0] == np.float32(0.2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold at least one point"),
        (ROWS.tobytes()[:-1], "must hold rows of 16 bytes, got 31 bytes"),
        (SWAPPED, "little-endian float32 that begin with metres within 1000"),
        (np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]], "<f4").tobytes(), "nan.* in row 1"),
        (np.array([[np.inf, 0, 0, 0]], "<f4").tobytes(), "inf.* in row 0"),
        (np.array([[0, 0, 0, 0], [0, 0, 0, 7]], "<f4").tobytes(), r"\[0, 1\], got 7.0 in row 1"),
        (np.array([[0, 0, 0, np.nan]], "<f4").tobytes(), "intensity must lie .* got nan in row 0"),
    ],
)
def test_broken_sweeps_name_file_and_rule(tmp_path, content, message):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.bin: .*{message}"):
        read_sweep(tmp_path / "a.bin", 4, 1)


def test_a_missing_sweep_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.bin"):
        read_sweep(tmp_path / "a.bin", 4, 1)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64), st.sampled_from([4, 5]))
def test_any_bytes_give_points_or_an_error_of_the_file(tmp_path, content, n_columns):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    try:
        points, intensity = read_sweep(path, n_columns, 255)
    except ValueError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
    else:
        assert np.isfinite(points).all()
        assert len(points) == len(intensity) == len(content) // (4 * n_columns)
