"""Data sets: sequences of scenes."""

from pcl_data.datasets.frame_folder import FrameFolder
from pcl_data.datasets.kitti_object import KittiObject
from pcl_data.datasets.nuscenes import NuScenes
from pcl_data.datasets.s3dis import S3DIS
from pcl_data.datasets.scannet import ScanNet
from pcl_data.datasets.scene_folder import SceneFolder
from pcl_data.datasets.semantic_kitti import SemanticKitti
from pcl_data.datasets.seven_scenes import SevenScenes
from pcl_data.datasets.sun_rgbd import SunRgbd
from pcl_data.datasets.waymo import Waymo

__all__ = [
    "S3DIS",
    "FrameFolder",
    "KittiObject",
    "NuScenes",
    "ScanNet",
    "SceneFolder",
    "SemanticKitti",
    "SevenScenes",
    "SunRgbd",
    "Waymo",
]
