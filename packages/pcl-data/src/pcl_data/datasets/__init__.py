"""Data sets: sequences of scenes."""

from pcl_data.datasets.scene_folder import SceneFolder

__all__ = ["SceneFolder"]
