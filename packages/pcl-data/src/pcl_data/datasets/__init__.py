"""Data sets: sequences of scenes."""

from pcl_data.datasets.s3dis import S3DIS
from pcl_data.datasets.scannet import ScanNet
from pcl_data.datasets.scene_folder import SceneFolder
from pcl_data.datasets.seven_scenes import SevenScenes
from pcl_data.datasets.sun_rgbd import SunRgbd
from pcl_data.datasets.synthetic_rooms import SyntheticRooms

__all__ = ["S3DIS", "ScanNet", "SceneFolder", "SevenScenes", "SunRgbd", "SyntheticRooms"]
