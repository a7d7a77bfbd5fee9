"""Rigid transforms as (4, 4) matrices: the poses of sensors, vehicles and cameras."""

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation

_TOLERANCE = 1e-3  # of the rotation; calibration files round to 4 digits and more


def rigid(
    rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, " 3"]
) -> Float64[np.ndarray, "4 4"]:
    """The transform `x -> rotation @ x + translation`.

    Args:
        rotation: orthonormal, of determinant 1, both to 0.001.
        translation: metres.

    Raises:
        ValueError: if an entry is not finite or `rotation` is none.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    if not np.isfinite(matrix).all():
        raise ValueError(f"a pose must be finite, got {matrix[:3].tolist()}")
    deviation = np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max()
    if deviation > _TOLERANCE or np.linalg.det(matrix[:3, :3]) < 0:
        raise ValueError(f"a pose must have a rotation matrix, got {matrix[:3, :3].tolist()}")
    return matrix


def transform_points(
    transform: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "n 3"]
) -> Float64[np.ndarray, "n 3"]:
    """The points in the frame that the transform leads to.

    Example:
        >>> import numpy as np
        >>> up = rigid(np.eye(3), np.array([0.0, 0.0, 2.0]))
        >>> transform_points(up, np.array([[1.0, 0.0, 0.5]])).tolist()
        [[1.0, 0.0, 2.5]]
    """
    return points @ transform[:3, :3].T + transform[:3, 3]


def quaternion_rotation(quaternion: Float[np.ndarray, " 4"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation matrix of a quaternion (w, x, y, z).

    Raises:
        ValueError: if its length is not 1 to 0.001.

    Example:
        >>> import numpy as np
        >>> half_turn_about_z = np.array([0.0, 0.0, 0.0, 1.0])
        >>> quaternion_rotation(half_turn_about_z).diagonal().tolist()
        [-1.0, -1.0, 1.0]
    """
    length = np.linalg.norm(quaternion)
    if not abs(length - 1) <= _TOLERANCE:  # NaN too
        raise ValueError(f"a quaternion must have length 1, got {quaternion.tolist()}")
    return Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()  # scipy has w last
