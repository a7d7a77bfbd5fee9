"""Sparse convolution in plain torch, and the sparse U-Nets of the 3D point-cloud literature."""

from pcl_backbones.__about__ import __version__

__all__ = ["__version__"]
