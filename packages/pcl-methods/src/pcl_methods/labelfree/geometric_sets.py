"""The geometric consistency sets of a scene: parts that bear one label.

Kang et al., "Hierarchical Intra-modal Correlation Learning", CVPR 2024, section 3.2: on a mesh the
segments of Felzenszwalb and Huttenlocher, on a LiDAR sweep supervoxels.
"""

from typing import Literal, get_args

import numpy as np
import torch

from pcl_clip3d import segment_mesh, segment_points, supervoxels
from pcl_data import Scene

SetKind = Literal["auto", "given", "mesh", "points", "supervoxels"]


def geometric_sets(scene: Scene, kind: SetKind | str = "auto") -> np.ndarray:
    """The set of each point, (n,) int64, -1 none.

    Args:
        scene: points in metres.
        kind: `given`, the superpoints of the scene, such as those of ScanNet's `segs.json`; `mesh`,
            of its faces; `points`, of a cloud; `supervoxels`, of a LiDAR sweep. `auto` is the first
            of these that the scene has what is needed for; a scene with intensity and without
            colours is a sweep.

    Raises:
        ValueError: if the scene lacks what is needed, or there is no such kind.
    """
    if kind not in get_args(SetKind):
        raise ValueError(f"sets must be one of {', '.join(get_args(SetKind))}, got {kind}")
    if kind == "auto":
        kind = _fitting(scene)
    points = torch.from_numpy(np.array(scene.points))
    if kind == "given":
        return np.asarray(_needed(scene, "superpoints"))
    if kind == "mesh":
        return segment_mesh(points, torch.from_numpy(_needed(scene, "faces"))).numpy()
    if kind == "supervoxels":
        return supervoxels(points).numpy()
    normals = None if scene.normals is None else torch.from_numpy(np.array(scene.normals))
    return segment_points(points, normals=normals).numpy()


def _fitting(scene: Scene) -> SetKind:
    if scene.superpoints is not None:
        return "given"
    if scene.faces is not None:
        return "mesh"
    return "supervoxels" if scene.colors is None and scene.intensity is not None else "points"


def _needed(scene: Scene, field: str) -> np.ndarray:
    values = getattr(scene, field)
    if values is None:
        raise ValueError(f"scene {scene.name} must have {field} for these sets, got none")
    return np.array(values)
