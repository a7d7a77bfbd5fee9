"""Matching points of two views, the positive pairs of contrastive pre-training.

As in the loader of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive
Scene Contexts", CVPR 2021 (`ddp_data_loaders.py`): all pairs within 1.5 voxels of 2.5 cm. Where
nothing matches the published loader invents the pair (0, 0); here there are none, and the caller
draws other views.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy.spatial import KDTree


def correspondences(
    points_a: Float[np.ndarray, "n 3"],
    points_b: Float[np.ndarray, "m 3"],
    *,
    radius: float = 0.0375,
    max_matches: int | None = None,
) -> Int64[np.ndarray, "k 2"]:
    """All pairs (index of a, index of b) of points within the radius, sorted by a, then by b.

    Args:
        points_a: metres, in the same coordinates as
        points_b: metres.
        radius: largest distance of a pair, metres, inclusive.
        max_matches: keep only so many of each point of a, its nearest (of equally near ones the
            lower index); all by default.

    Raises:
        ValueError: if radius is not positive, max_matches is below 1 or a coordinate is not finite.

    Example:
        >>> import numpy as np
        >>> a = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
        >>> correspondences(a, a[[2, 0]] + 0.01).tolist()
        [[0, 1], [2, 0]]
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    if max_matches is not None and max_matches < 1:
        raise ValueError(f"max_matches must be at least 1, got {max_matches}")
    for argument, points in (("points_a", points_a), ("points_b", points_b)):
        if not np.isfinite(points).all():
            raise ValueError(f"{argument} must be finite, got NaN or infinity")
    tree_a, tree_b = KDTree(points_a), KDTree(points_b)
    near = tree_a.sparse_distance_matrix(tree_b, radius, output_type="ndarray")
    a, b, distance = near["i"], near["j"], near["v"]
    if max_matches is not None:
        order = np.lexsort([b, distance, a])
        a, b = a[order], b[order]
        is_kept = np.arange(len(a)) - np.searchsorted(a, a) < max_matches
        a, b = a[is_kept], b[is_kept]
    order = np.lexsort([b, a])
    return np.stack([a[order], b[order]], axis=1)
