"""A network on a scene too large for it: overlapping tiles, blended.

Tiles cut x and y; z stays whole. What a tile says of a voxel counts in proportion to the voxel's
distance from the end of the tile's ramp, and the weights of all tiles sum to 1 everywhere. A tile
sees `context` voxels beyond what it is asked about, at their true coordinates: strided layers
merge the same voxels as in the whole scene, and with a context as wide as the network's receptive
field the result is that of the whole scene.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_backbones.sparse_tensor import SparseTensor, check_coords, check_features


class Tile(NamedTuple):
    """What of a scene goes into one pass, and what of the result counts.

    Attributes:
        rows: (k,) the voxels the network sees.
        weights: (k,) share of the tile in the result of each, 0 in the context.
    """

    rows: Int[Tensor, " k"]
    weights: Float[Tensor, " k"]


@torch.inference_mode()
def predict_tiled(
    network: Callable[[SparseTensor], SparseTensor],
    coords: Int[Tensor, "v 4"],
    features: Float[Tensor, "v c"],
    *,
    tile: int,
    blend: int,
    context: int,
    device: torch.device | str = "cpu",
    out: Tensor | None = None,
) -> Float[Tensor, "v d"]:
    """The outputs of a network, for each voxel, with the memory of one tile at a time.

    Args:
        network: from a SparseTensor to one on the same rows, in evaluation mode.
        coords: (scene, x, y, z) of each voxel; may stay on the CPU.
        features: of each voxel, beside coords.
        tile: edge of a tile in voxels, without blend and context.
        blend: voxels over which a tile fades into the next one, centred on their border; at most
            `tile`.
        context: voxels around it that the network sees and whose results are dropped.
        device: where the network is.
        out: (v, d) where the result goes, such as a memory-mapped tensor; it is overwritten.

    Returns:
        `out`, or a new tensor beside coords.

    Raises:
        ValueError: if a size does not fit, coords are not those of a `SparseTensor`, features are
            not one row a voxel, the network changes the rows, or out is not floating point of
            shape (v, d).

    Example:
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 9, 0, 0]], dtype=torch.int32)
        >>> features = torch.tensor([[1.0], [2.0]])
        >>> predict_tiled(lambda x: x, coords, features, tile=4, blend=2, context=1)
        tensor([[1.],
                [2.]])
    """
    check_coords(coords)
    check_features(features, len(coords), coords.device)
    if out is not None and not out.is_floating_point():
        raise ValueError(f"out must be floating point, got {out.dtype}")
    result = None
    for rows, weights in tiles(coords, tile=tile, blend=blend, context=context):
        alone = coords[rows].to(device)
        alone[:, 0] = 0  # one scene at a time
        x = SparseTensor(alone, features[rows].to(device))
        found = network(x).features.to(coords.device)
        if len(found) != len(rows):
            raise ValueError(f"network must keep the rows, got {len(found)} of {len(rows)}")
        if result is None:
            result = _empty(out, found, len(coords)).zero_()
        counts = weights > 0
        at = rows[counts]
        result[at] += (found[counts] * weights[counts, None]).to(result.dtype)
    assert result is not None  # coords hold a voxel, so there is a tile
    return result


def _empty(out: Tensor | None, found: Tensor, n_rows: int) -> Tensor:
    """Where the result goes, once the channels are known."""
    shape = (n_rows, found.shape[1])
    if out is None:
        return found.new_empty(shape)
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {tuple(out.shape)}")
    return out


def tiles(coords: Int[Tensor, "v 4"], *, tile: int, blend: int, context: int) -> Iterator[Tile]:
    """The tiles of a batch of scenes, each of one scene; none without a voxel that counts.

    Args:
        coords: (scene, x, y, z) of each voxel, at least one.
        tile: edge of a tile in voxels, without blend and context.
        blend: voxels over which a tile fades into the next one; at most `tile`.
        context: further voxels around it, with weight 0.

    Raises:
        ValueError: if a size does not fit, or coords are not those of a `SparseTensor`.
    """
    if tile < 1:
        raise ValueError(f"tile must be at least 1, got {tile}")
    if not 0 <= blend <= tile:
        raise ValueError(f"blend must lie in [0, tile = {tile}], got {blend}")
    if context < 0:
        raise ValueError(f"context must be at least 0, got {context}")
    check_coords(coords)
    for strip, along_x in _cut(coords[:, 1], tile, blend, context):
        scenes = coords[strip, 0]
        for scene in torch.unique(scenes):
            among = (scenes == scene).nonzero()[:, 0]
            rows = strip[among]
            for part, along_y in _cut(coords[rows, 2], tile, blend, context):
                weights = along_x[among[part]] * along_y
                if bool((weights > 0).any()):
                    yield Tile(rows[part], weights)


def _cut(
    values: Int[Tensor, " k"], tile: int, blend: int, context: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Along one axis: for each tile, which values it sees and their weights."""
    reach = blend / 2 + context
    first = math.floor((int(values.min()) - blend / 2) / tile)
    last = math.floor((int(values.max()) + blend / 2) / tile)
    for index in range(first, last + 1):
        low, high = index * tile, (index + 1) * tile
        seen = ((values >= low - reach) & (values < high + reach)).nonzero()[:, 0]
        if len(seen):
            yield seen, _ramp(values[seen], low, high, blend)


def _ramp(values: Int[Tensor, " k"], low: int, high: int, blend: int) -> Float[Tensor, " k"]:
    """1 inside, 0 outside, linear over `blend` voxels around either border.

    The centre of a voxel is half a voxel above its coordinate.
    """
    centre = values + 0.5
    if blend == 0:
        return ((centre > low) & (centre < high)).float()
    rise = ((centre - low) / blend + 0.5).clamp(0, 1)
    fall = ((high - centre) / blend + 0.5).clamp(0, 1)
    return torch.minimum(rise, fall)
