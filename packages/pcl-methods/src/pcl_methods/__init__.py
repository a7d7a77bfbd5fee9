"""Methods that learn from point clouds with few labels, one sub-package each.

`segmentation` is supervised training and inference, `self_training` is TWIST, `pretraining` are
contrastive methods without labels. Import what you need from its module.
"""

from pcl_methods.__about__ import __version__

__all__ = ["__version__"]
