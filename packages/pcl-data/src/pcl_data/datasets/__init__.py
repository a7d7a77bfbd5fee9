"""Data sets: sequences of scenes."""

from pcl_data.datasets.scene_folder import SceneFolder
from pcl_data.datasets.synthetic_rooms import SyntheticRooms

__all__ = ["SceneFolder", "SyntheticRooms"]
