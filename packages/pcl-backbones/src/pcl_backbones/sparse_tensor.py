"""Features on the occupied voxels of a batch of scenes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_backbones.coordinates import BITS, COORD_LIMIT, N_SCENES, CoordinateCache, Level, pack


class SparseTensor:
    """Features of occupied voxels; everything else is empty.

    Tensors that a network derives from one another share their coordinates and kernel maps, so
    a map is searched once a pass.

    Args:
        coords: (v, 4) int32, (scene, x, y, z), each row once; scenes count from 0 without a gap,
            to 4095 at most; the others lie in [-32768, 32767] and are multiples of the stride.
            Rows may come in any order.
        features: (v, c) floating point, on the device of coords.
        stride: edge of a voxel in units of the finest grid.

    Raises:
        ValueError: if an argument breaks a rule above.

    Example:
        >>> import torch
        >>> coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int32)
        >>> SparseTensor(coords, torch.ones(2, 3))
        SparseTensor(2 voxels, 3 channels, stride 1)
    """

    __slots__ = ("_cache", "_features", "_stride")

    def __init__(self, coords: Tensor, features: Tensor, stride: int = 1) -> None:
        _check(coords, features, stride)
        level = Level.of(pack(coords))
        if bool((level.sorted_keys[1:] == level.sorted_keys[:-1]).any()):
            n_distinct = len(torch.unique(level.keys))
            raise ValueError(
                f"coords must hold each voxel once, got {n_distinct} voxels in {len(coords)} rows"
            )
        scenes = level.sorted_keys >> 3 * BITS
        last = torch.cat([scenes.new_full((1,), -1), scenes[:-1]])
        if bool((scenes - last > 1).any()):
            empty = sorted(set(range(int(scenes[-1]))) - set(scenes.tolist()))
            raise ValueError(
                f"coords must hold voxels of every scene, got none of scene {empty[0]}"
            )
        self._cache = CoordinateCache({stride: level})
        self._features, self._stride = features, stride

    @classmethod
    def _derived(cls, cache: CoordinateCache, features: Tensor, stride: int) -> "SparseTensor":
        made = cls.__new__(cls)
        made._cache, made._features, made._stride = cache, features, stride
        return made

    @property
    def coords(self) -> Int[Tensor, "v 4"]:
        """(scene, x, y, z) of each row, int32."""
        return self._cache.levels[self._stride].coords

    @property
    def features(self) -> Float[Tensor, "v c"]:
        """Features of each row."""
        return self._features

    @property
    def stride(self) -> int:
        """Edge of a voxel in units of the finest grid."""
        return self._stride

    def with_features(self, features: Tensor) -> "SparseTensor":
        """Other features on the same voxels; coordinates and kernel maps stay shared.

        Raises:
            ValueError: if features are not (v, c) with the v of this tensor, or on another device.
        """
        check_features(features, len(self), self._features.device)
        return self._derived(self._cache, features, self._stride)

    def __len__(self) -> int:
        return len(self._features)

    def __repr__(self) -> str:
        n_channels = self._features.shape[1]
        return f"SparseTensor({len(self)} voxels, {n_channels} channels, stride {self._stride})"


def in_raster_order(x: SparseTensor) -> tuple[SparseTensor, Tensor | None]:
    """The same voxels sorted by (scene, x, y, z), and the index that restores the order of x.

    Neighbours then lie close in memory, and a result does not depend on the order of the rows.
    The index is None if x is sorted already.
    """
    cache, stride = x._cache, x.stride
    level = cache.levels[stride]
    if level.order is None:
        return x, None
    if cache.raster is None:
        sorted_cache = CoordinateCache({stride: Level.of(level.sorted_keys)})
        cache.raster = sorted_cache, level.order, torch.argsort(level.order)
    sorted_cache, order, restore = cache.raster
    return SparseTensor._derived(sorted_cache, x.features[order], stride), restore


def _check(coords: Tensor, features: Tensor, stride: int) -> None:
    check_coords(coords)
    if stride < 1:
        raise ValueError(f"stride must be at least 1, got {stride}")
    check_features(features, len(coords), coords.device)
    if stride > 1 and bool((coords[:, 1:] % stride).any()):
        raise ValueError(f"coords must be multiples of the stride, got others than {stride} k")


def check_coords(coords: Tensor) -> None:
    """Return quietly if these are coordinates of a batch of voxels, and one at least.

    Raises:
        ValueError: if the shape, the type or the range is another.
    """
    if coords.ndim != 2 or coords.shape[1] != 4:
        raise ValueError(f"coords must have shape (v, 4), got {tuple(coords.shape)}")
    if coords.dtype != torch.int32:
        raise ValueError(f"coords must be int32, got {coords.dtype}")
    if len(coords) == 0:
        raise ValueError("coords must hold at least one voxel, got 0")
    low, high = coords.amin(0).tolist(), coords.amax(0).tolist()
    if low[0] < 0 or high[0] >= N_SCENES:
        raise ValueError(f"coords must have scenes in [0, {N_SCENES}), got [{low[0]}, {high[0]}]")
    if min(low[1:]) < -COORD_LIMIT or max(high[1:]) >= COORD_LIMIT:
        raise ValueError(
            f"coords must lie in [-{COORD_LIMIT}, {COORD_LIMIT}), "
            f"got [{min(low[1:])}, {max(high[1:])}]"
        )


def check_features(features: Tensor, n_voxels: int, device: torch.device) -> None:
    """Return quietly if these are features of so many voxels.

    Raises:
        ValueError: if the shape, the type or the device is another.
    """
    if features.ndim != 2 or len(features) != n_voxels:
        raise ValueError(f"features must have shape ({n_voxels}, c), got {tuple(features.shape)}")
    if not features.is_floating_point():
        raise ValueError(f"features must be floating point, got {features.dtype}")
    if features.device != device:
        raise ValueError(f"features must be on {device} as the coords are, got {features.device}")
