"""Data sets: sequences of scenes."""

from pcl_data.datasets.kitti_object import KittiObject
from pcl_data.datasets.nuscenes import NuScenes
from pcl_data.datasets.scene_folder import SceneFolder
from pcl_data.datasets.semantic_kitti import SemanticKitti
from pcl_data.datasets.synthetic_rooms import SyntheticRooms
from pcl_data.datasets.waymo import Waymo

__all__ = ["KittiObject", "NuScenes", "SceneFolder", "SemanticKitti", "SyntheticRooms", "Waymo"]
