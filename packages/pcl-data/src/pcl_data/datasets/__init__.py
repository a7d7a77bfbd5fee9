"""Data sets: sequences of scenes."""

from pcl_data.datasets.scene_folder import SceneFolder
from pcl_data.datasets.synthetic_rooms import SyntheticRooms
from pcl_data.datasets.synthetic_streets import SyntheticStreets

__all__ = ["SceneFolder", "SyntheticRooms", "SyntheticStreets"]
