"""From images and text to 3D: dense CLIP features, projection, geometric sets, correlation."""

from pcl_clip3d.__about__ import __version__

__all__ = ["__version__"]
