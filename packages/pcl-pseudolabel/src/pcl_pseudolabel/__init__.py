"""Pseudo-labels for 3D instance segmentation: proposals, re-correction, update and quality."""

from pcl_pseudolabel.__about__ import __version__

__all__ = ["__version__"]
