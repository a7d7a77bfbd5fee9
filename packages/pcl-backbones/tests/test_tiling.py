"""Tests of pcl_backbones.tiling."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from pcl_backbones import Res16UNet14A, SparseTensor, predict_tiled
from pcl_backbones.sparse import Conv3d, ConvTranspose3d
from pcl_backbones.testing import surface_scene
from pcl_backbones.tiling import tiles


def batch(size=24):
    torch.manual_seed(0)
    coords = torch.cat([surface_scene(size), surface_scene(9, scene=1, seed=1)])
    return coords, torch.randn(len(coords), 3)


@given(
    st.lists(st.tuples(*[st.integers(-40, 40)] * 2), min_size=1, max_size=20, unique=True),
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(0, 9),
)
def test_weights_sum_to_one_and_reach_no_further_than_the_blend(voxels, tile, blend, context):
    blend = min(blend, tile)
    coords = torch.tensor([(0, x, y, 0) for x, y in voxels], dtype=torch.int32)
    total = torch.zeros(len(coords))
    for rows, weights in tiles(coords, tile=tile, blend=blend, context=context):
        assert ((weights >= 0) & (weights <= 1)).all()
        total[rows] += weights
        extent = coords[rows[weights > 0], 1:3].double()
        assert (extent.amax(0) - extent.amin(0) < tile + blend).all()
        extent = coords[rows, 1:3].double()
        assert (extent.amax(0) - extent.amin(0) < tile + blend + 2 * context).all()
    assert_close(total, torch.ones(len(coords)))


class Small(nn.Module):
    """Two scales; an output depends on what is within eight voxels."""

    def __init__(self):
        super().__init__()
        self.fine, self.down = Conv3d(3, 4, 3), Conv3d(4, 4, 2, stride=2)
        self.coarse, self.up = Conv3d(4, 4, 3), ConvTranspose3d(4, 5, 2, stride=2)

    def forward(self, x):
        return self.up(self.coarse(self.down(self.fine(x))))


@pytest.mark.parametrize(("tile", "blend"), [(8, 4), (7, 7), (5, 0), (100, 10)])
def test_with_enough_context_tiles_give_what_the_whole_scene_gives(tile, blend):
    coords, features = batch()
    network = Small().eval()
    with torch.no_grad():
        whole = network(SparseTensor(coords, features)).features
    found = predict_tiled(network, coords, features, tile=tile, blend=blend, context=8)
    assert_close(found, whole, atol=1e-5, rtol=0)
    if tile < 24:
        without = predict_tiled(network, coords, features, tile=tile, blend=blend, context=0)
        assert not torch.allclose(without, whole, atol=1e-4)


def test_a_u_net_of_which_no_tile_sees_everything_is_close():
    coords, features = batch(40)
    torch.manual_seed(0)
    network = Res16UNet14A(3, 4, width=0.125).eval()
    whole = predict_tiled(network, coords, features, tile=100, blend=0, context=0)
    spread = whole.std()
    near, far = (
        (predict_tiled(network, coords, features, tile=12, blend=4, context=c) - whole).abs().mean()
        for c in (16, 2)
    )
    assert near < far < spread


def test_the_result_goes_where_it_should():
    coords, features = batch()
    out = torch.full((len(coords), 3), 7.0)
    found = predict_tiled(lambda x: x, coords, features, tile=6, blend=3, context=1, out=out)
    assert found is out
    assert_close(out, features)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"tile": 0}, "tile must be at least 1, got 0"),
        ({"blend": 9}, r"blend must lie in \[0, tile = 8\], got 9"),
        ({"blend": -1}, r"blend must lie in \[0, tile = 8\], got -1"),
        ({"context": -1}, "context must be at least 0, got -1"),
        ({"out": torch.zeros(2, 2)}, r"out must have shape \(\d+, 3\), got \(2, 2\)"),
    ],
)
def test_rejects(sizes, message):
    coords, features = batch()
    arguments = {"tile": 8, "blend": 2, "context": 1} | sizes
    with pytest.raises(ValueError, match=message):
        predict_tiled(lambda x: x, coords, features, **arguments)


def test_rejects_no_voxels():
    with pytest.raises(ValueError, match="coords must hold at least one voxel, got 0"):
        predict_tiled(
            lambda x: x,
            torch.zeros(0, 4, dtype=torch.int32),
            torch.zeros(0, 1),
            tile=8,
            blend=2,
            context=1,
        )
