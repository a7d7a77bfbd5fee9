"""Class-conditional calibration, class similarity and corrected pseudo-labels, in torch."""

from pcl_calibration.__about__ import __version__

__all__ = ["__version__"]
