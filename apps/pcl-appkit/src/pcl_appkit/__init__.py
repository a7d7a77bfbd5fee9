"""The run that every app shares: configuration, run folder, training loop, checkpoints, resume and report."""

from pcl_appkit.__about__ import __version__

__all__ = ["__version__"]
