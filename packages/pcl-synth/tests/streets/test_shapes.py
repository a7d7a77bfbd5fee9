"""Tests of what stands on the streets of pcl_synth.streets."""

import numpy as np
import pytest

from pcl_synth.mesh import bounds
from pcl_synth.streets import buildings, furniture, heavy_vehicles, people, plants
from pcl_synth.streets.cars import car, pickup
from pcl_synth.streets.fences import KINDS, Fence
from pcl_synth.streets.style import StreetStyle

# Smallest and largest length, width and height, metres.
SIZES = {
    car: ((3.5, 1.6, 1.1), (6.1, 2.6, 3.1)),
    pickup: ((4.8, 1.7, 1.5), (5.7, 2.5, 1.95)),
    heavy_vehicles.truck: ((4.8, 1.7, 1.5), (11, 3.1, 4.4)),
    heavy_vehicles.bus: ((8.4, 2.3, 2.7), (12.7, 2.7, 4.0)),
    heavy_vehicles.caravan: ((4.0, 1.8, 1.6), (6.8, 2.5, 2.7)),
    heavy_vehicles.tractor: ((3.4, 1.8, 2.5), (6.1, 2.3, 2.8)),
    people.bicycle: ((1.3, 0.4, 0.8), (1.9, 0.65, 1.15)),
    people.motorcycle: ((1.7, 0.6, 0.9), (2.3, 0.85, 1.35)),
    people.stander: ((0.2, 0.3, 1.0), (0.7, 0.65, 2.0)),
}


def _styles(n):
    return [StreetStyle(np.random.default_rng(seed)) for seed in range(n)]


@pytest.mark.parametrize("make", SIZES, ids=lambda make: make.__name__)
def test_sizes_are_those_of_real_ones_and_vary(make):
    corners = np.array([bounds(make(style)) for style in _styles(25)])
    size = corners[:, 1] - corners[:, 0]
    low, high = SIZES[make]
    assert (size >= low).all(), size.min(axis=0)
    assert (size <= high).all(), size.max(axis=0)
    assert (np.abs(corners[:, 0, 2]) < 0.12).all()  # on the ground
    assert size[:, 2].std() > 0.01


@pytest.mark.parametrize("make", [people.walker, people.bicyclist])
def test_who_moves_has_moments_that_differ_and_keep_their_place(make):
    moments = make(StreetStyle(np.random.default_rng(1)))
    assert len(moments) == people.N_MOMENTS
    first, later = (np.concatenate([part.triangles for part in shape]) for shape in moments[:2])
    assert first.shape == later.shape
    assert 0.01 < np.abs(first - later).max() < 0.6
    for shape in moments:
        corners = bounds(shape)
        assert corners[0, 2] > -0.1
        assert 1.0 < corners[1, 2] < 2.1


def test_a_rider_sits_on_what_is_ridden():
    for style in _styles(10):
        for make, height in ((people.bicyclist, (1.3, 2.0)), (people.motorcyclist, (1.35, 2.0))):
            corners = bounds(make(style)[0])
            assert height[0] < corners[1, 2] < height[1]
            assert 1.6 < corners[1, 0] - corners[0, 0] < 2.4


def test_a_tree_has_a_trunk_on_the_ground_and_its_crown_above():
    for style in _styles(20):
        trunk, crown = plants.tree(style)
        assert (trunk.label, crown.label) == ("trunk", "vegetation")
        assert bounds(trunk.shape)[0, 2] < 0
        assert bounds(crown.shape)[1, 2] > 2.5


def test_a_sign_is_at_its_pole():
    for make in (furniture.traffic_sign, furniture.gantry_sign):
        for style in _styles(10):
            pole, sign = make(style)
            assert (pole.label, sign.label) == ("pole", "traffic-sign")
            low, high = bounds(sign.shape)
            assert low[2] > 0.5
            assert np.abs((low + high)[:2] / 2).max() < 0.3


@pytest.mark.parametrize("kind", [*KINDS, "crash barrier"])
def test_a_piece_of_a_fence_fills_its_length(kind):
    fence = Fence(StreetStyle(np.random.default_rng(0)), kind)
    low, high = bounds(fence.piece(2.4))
    assert high[0] - low[0] == pytest.approx(2.4, abs=0.1)
    assert high[2] == pytest.approx(fence.height, abs=0.1)


@pytest.mark.parametrize("make", [buildings.town_house, buildings.cottage, buildings.hall])
def test_a_building_fills_its_walls_and_has_panes(make):
    for style in _styles(6):
        shape = make(style, 12.0, 9.0)
        walls = np.concatenate([part.triangles.reshape(-1, 3) for part in shape])
        near = walls[walls[:, 2] < 1]
        assert near[:, 0].min() == pytest.approx(-6, abs=0.1)
        assert near[:, 0].max() == pytest.approx(6, abs=0.1)
        assert near[:, 1].max() == pytest.approx(9, abs=0.1)
        assert walls[:, 2].min() < -1
        assert any(part.material.gloss > 0.5 for part in shape)
