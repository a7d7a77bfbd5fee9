"""Tests of the shapes in pcl_synth.mesh that only streets use."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from pcl_synth.materials import Material
from pcl_synth.mesh import bounds, frustum, surface, terraces

PLAIN = Material("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1.0, 0.0)


def _area(triangles):
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.linalg.norm(np.cross(a, b), axis=1).sum() / 2


def _grid(n, m):
    x, y = np.meshgrid(np.arange(n), np.arange(m), indexing="ij")
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(float)


def test_level_terraces_are_the_grid():
    triangles, cell = terraces(_grid(4, 3), np.zeros((3, 2, 3)))
    assert len(triangles) == 2 * 6
    assert _area(triangles) == pytest.approx(6)
    assert np.bincount(cell).tolist() == [2] * 6


@pytest.mark.parametrize("lift", [0.5, -0.5])
def test_a_raised_cell_has_risers_of_its_own(lift):
    lifts = np.zeros((3, 3, 3))
    lifts[1, 1, 2] = lift
    triangles, cell = terraces(_grid(4, 4), lifts)
    assert _area(triangles) == pytest.approx(9 + 4 * 0.5)
    assert np.bincount(cell)[4] == 2 + 4 * 2
    middle = triangles[cell == 4].reshape(-1, 3)
    np.testing.assert_allclose(middle.min(axis=0), [1, 1, min(0, lift)])
    np.testing.assert_allclose(middle.max(axis=0), [2, 2, max(0, lift)])


def test_a_frustum_is_closed_and_fills_its_ends():
    parts = frustum(((-2, 2), (-1, 1)), ((-1, 1), (-0.5, 0.5)), (0, 3), PLAIN)
    np.testing.assert_allclose(bounds(parts), [[-2, -1, 0], [2, 1, 3]])
    np.testing.assert_allclose(bounds([parts[4]]), [[-1, -0.5, 3], [1, 0.5, 3]])
    # top 2, bottom 8, and slanted sides: (4 + 2) / 2 * hypot(3, .5) and (2 + 1) / 2 * hypot(3, 1)
    sides = 2 * (3 * np.hypot(3, 0.5) + 1.5 * np.hypot(3, 1))
    triangles = np.concatenate([part.triangles for part in parts])
    assert _area(triangles) == pytest.approx(2 + 8 + sides)


def test_shapes_of_arrays_are_checked():
    with pytest.raises(TypeCheckError):
        surface(np.zeros((2, 2, 2)), PLAIN)  # points of a plane, not of space
