"""Scenes, label sets, readers, synthetic worlds, label budgets and evaluation for 3D point clouds."""

from pcl_data.__about__ import __version__

__all__ = ["__version__"]
