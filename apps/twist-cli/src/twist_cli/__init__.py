"""Self-training for 3D instance segmentation from a few labeled scans (TWIST)."""

from twist_cli.__about__ import __version__

__all__ = ["__version__"]
