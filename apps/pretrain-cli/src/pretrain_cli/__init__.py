"""Pre-training of point-cloud networks without labels, and what it is worth with few."""

from pretrain_cli.__about__ import __version__

__all__ = ["__version__"]
