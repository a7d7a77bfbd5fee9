"""Contrastive pre-training of point-cloud networks: objectives, queues, volumes, active labelling."""

from pcl_contrastive.__about__ import __version__

__all__ = ["__version__"]
