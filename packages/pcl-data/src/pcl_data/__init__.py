"""Scenes, label sets, readers, label budgets and evaluation for 3D point clouds."""

from pcl_data.__about__ import __version__
from pcl_data.batching import PointBudgetSampler, collate
from pcl_data.label_set import (
    KITTI8,
    NUSCENES16,
    NYU40,
    S3DIS13,
    SCANNET20,
    SCANNET200,
    SEMANTICKITTI19,
    SEMANTICKITTI25,
    SUNRGBD10,
    WAYMO22,
    LabelSet,
)
from pcl_data.scene import Frame, LazyFrames, Scene
from pcl_data.scene_store import load_scene, save_scene
from pcl_data.voxelization import VoxelGrid, voxel_labels, voxelize

__all__ = [
    "KITTI8",
    "NUSCENES16",
    "NYU40",
    "S3DIS13",
    "SCANNET20",
    "SCANNET200",
    "SEMANTICKITTI19",
    "SEMANTICKITTI25",
    "SUNRGBD10",
    "WAYMO22",
    "Frame",
    "LabelSet",
    "LazyFrames",
    "PointBudgetSampler",
    "Scene",
    "VoxelGrid",
    "__version__",
    "collate",
    "load_scene",
    "save_scene",
    "voxel_labels",
    "voxelize",
]
