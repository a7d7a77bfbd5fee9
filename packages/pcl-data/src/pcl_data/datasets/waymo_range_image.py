"""Geometry of Waymo's range images: from pixels to points in the frame of the vehicle.

Formulas of `utils/range_image_utils.py` and `utils/transform_utils.py` of the Waymo Open Dataset
code (Sun et al., "Scalability in Perception for Autonomous Driving", CVPR 2020) at commit 9d0be7c;
in float64, where that code has float32.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation


def uniform_inclinations(lowest: float, highest: float, n_rows: int) -> Float64[np.ndarray, " h"]:
    """Inclinations of the middles of `n_rows` rows between two angles, ascending.

    Example:
        >>> uniform_inclinations(0.0, 1.0, 4).tolist()
        [0.125, 0.375, 0.625, 0.875]
    """
    return (np.arange(n_rows) + 0.5) / n_rows * (highest - lowest) + lowest


def range_image_points(
    ranges: Float[np.ndarray, "h w"],
    inclinations: Float[np.ndarray, " h"],
    lidar_to_vehicle: Float[np.ndarray, "4 4"],
    pixel_poses: Float[np.ndarray, "h w 6"],
    vehicle_to_world: Float[np.ndarray, "4 4"],
) -> Float64[np.ndarray, "n 3"]:
    r"""Points of the pixels with a positive range, row by row, in the frame of the vehicle.

    Row r looks at inclination i, column c at azimuth a, and the laser measures the range d there:

    .. math::
        a = \pi \, (2 (w - c - 1/2) / w - 1) - \operatorname{atan2}(E_{10}, E_{00}), \qquad
        x = V^{-1} P_{rc} \, E \, d \, (\cos a \cos i, \sin a \cos i, \sin i)

    with E the pose of the LiDAR on the vehicle, P the pose of the vehicle when the laser fired and
    V that of the frame.

    Args:
        ranges: metres; not positive where nothing came back.
        inclinations: radians above the horizon of the LiDAR, ascending: the first is that of the
            lowest row, which is the last one of the image.
        lidar_to_vehicle: E.
        pixel_poses: roll, pitch, yaw (radians), x, y, z (metres) of P.
        vehicle_to_world: V.
    """
    row, column = np.nonzero(ranges > 0)
    width = ranges.shape[1]
    turn = np.arctan2(lidar_to_vehicle[1, 0], lidar_to_vehicle[0, 0])
    azimuth = np.pi * (2 * (width - column - 0.5) / width - 1) - turn
    inclination = inclinations[::-1][row]
    across = np.cos(inclination)
    directions = np.stack(
        [np.cos(azimuth) * across, np.sin(azimuth) * across, np.sin(inclination)], axis=1
    )
    in_lidar = directions * ranges[row, column, None].astype(np.float64)
    in_vehicle = in_lidar @ lidar_to_vehicle[:3, :3].T + lidar_to_vehicle[:3, 3]
    poses = pixel_poses[row, column].astype(np.float64)
    turns = Rotation.from_euler("xyz", poses[:, :3])  # about x by roll, then y, then z
    in_world = turns.apply(in_vehicle) + poses[:, 3:]
    world_to_vehicle = np.linalg.inv(vehicle_to_world)
    return in_world @ world_to_vehicle[:3, :3].T + world_to_vehicle[:3, 3]
