"""Scenes, label sets, readers, synthetic worlds, label budgets, evaluation of 3D point clouds."""

from pcl_data.__about__ import __version__
from pcl_data.batching import PointBudgetSampler, collate
from pcl_data.label_set import NYU40, SCANNET20, SCANNET200, LabelSet
from pcl_data.scene import Frame, Scene
from pcl_data.scene_store import load_scene, save_scene
from pcl_data.voxelization import VoxelGrid, voxel_labels, voxelize

__all__ = [
    "NYU40",
    "SCANNET20",
    "SCANNET200",
    "Frame",
    "LabelSet",
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
