"""Which locations of a one-stage detector learn which box.

Rukhovich et al., "TR3D: Towards Real-Time Indoor 3D Object Detection", ICIP 2023, sec. 3: a box
belongs to one level of voxels, and the six locations there that are nearest to its centre learn
it; a location that several boxes claim goes to the nearest centre. Three readings are ours:

- TR3D gives each class a level. We give one to each box: the coarsest of which 20 cells or more
  have no more volume than the box, else the finest. For the mean sizes of ScanNet and SUN RGB-D
  and its cells of 0.16 and 0.32 m this gives the level of its tables to 27 of the 28 classes (the
  bathtub of ScanNet gets the finer one), and it needs no table.
- A location must lie in the box grown by one cell on every side, so a box without points near it
  teaches nothing. TR3D has no such bound.
- Of equally near locations the first ones count; TR3D drops those at the seventh distance.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.box_points import in_frame

MIN_CELLS = 20
N_NEAREST = 6


@checked
def assign_locations(
    locations: Float[Tensor, "v 3"],
    cell_sizes: Float[Tensor, " v"],
    boxes: Float[Tensor, "k 7"],
    *,
    n_nearest: int = N_NEAREST,
) -> Int64[Tensor, " v"]:
    """The row of the box that each location of a scene learns; -1 for none.

    Args:
        locations: centres of voxels, metres.
        cell_sizes: edge of the voxel of each, metres; equal ones form a level.
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise).
        n_nearest: locations that a box claims at most.

    Raises:
        ValueError: if a shape is wrong, a box is not finite or has no volume, or n_nearest is below
            1.

    Example:
        >>> locations = torch.tensor([[0.0, 0, 0], [0.2, 0, 0], [5, 0, 0]])
        >>> box = torch.tensor([[0.1, 0, 0, 0.5, 0.5, 0.5, 0]])
        >>> assign_locations(locations, torch.full((3,), 0.2), box).tolist()
        [0, 0, -1]
    """
    if n_nearest < 1:
        raise ValueError(f"n_nearest must be at least 1, got {n_nearest}")
    check_volumes(boxes)
    if not len(boxes) or not len(locations):
        return torch.full((len(locations),), -1, device=locations.device)
    offsets = locations - boxes[:, None, :3]  # (k, v, 3)
    reach = boxes[:, None, 3:6] / 2 + cell_sizes[:, None]
    claims = (in_frame(offsets, boxes[:, None, 6]).abs() <= reach).all(dim=2)  # (k, v)
    claims &= box_levels(boxes, cell_sizes.unique())[:, None] == cell_sizes
    distances = offsets.square().sum(dim=2).masked_fill(~claims, torch.inf)
    nearest, rows = (part[:, :n_nearest] for part in distances.sort(dim=1, stable=True))
    claimed = torch.full_like(distances, torch.inf).scatter(1, rows, nearest)
    return torch.where(claimed.isfinite().any(dim=0), claimed.argmin(dim=0), -1)


def box_levels(boxes: Float[Tensor, "k 7"], edges: Float[Tensor, " l"]) -> Float[Tensor, " k"]:
    """The cell size at which each box is learned.

    Args:
        boxes: as in `assign_locations`.
        edges: cell sizes of the levels, metres, ascending.

    Example:
        >>> bed = torch.tensor([[0, 0, 0, 2.0, 1.6, 0.5, 0]])
        >>> box_levels(
        ...     bed, torch.tensor([0.125, 0.25, 0.5])
        ... ).tolist()  # 12.8 cells of 0.5 m
        [0.25]
    """
    fits = boxes[:, 3:6].prod(dim=1)[:, None] >= MIN_CELLS * edges**3
    return edges[(fits.sum(dim=1) - 1).clamp(min=0)]


def check_volumes(boxes: Float[Tensor, "k 7"]) -> None:
    """Return quietly if all boxes are finite and have a volume.

    Raises:
        ValueError: if one does not.
    """
    if not bool(boxes.isfinite().all()):
        raise ValueError(f"boxes must be finite, got {boxes[~boxes.isfinite()][0]}")
    if len(boxes) and not bool((boxes[:, 3:6] > 0).all()):
        raise ValueError(f"boxes must have sizes above 0, got {float(boxes[:, 3:6].min()):g}")
