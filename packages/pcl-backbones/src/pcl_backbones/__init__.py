"""Sparse convolution in plain torch, and the sparse U-Nets of the 3D point-cloud literature."""

from pcl_backbones import sparse
from pcl_backbones.__about__ import __version__
from pcl_backbones.checkpointing import checkpoint_activations
from pcl_backbones.compaction import compact_coordinates
from pcl_backbones.detector_losses import detection_loss
from pcl_backbones.engine import use_engine
from pcl_backbones.heads import OffsetHead, ProjectionHead, SemanticHead
from pcl_backbones.lora import add_lora, merge_lora
from pcl_backbones.proposal_encoder import ProposalEncoder
from pcl_backbones.published import LoadReport, load_published_checkpoint
from pcl_backbones.res16unet import MinkUNet14A, Res16UNet14A, Res16UNet18A, Res16UNet34C
from pcl_backbones.sparse_detector import SparseDetector, box_candidates
from pcl_backbones.sparse_tensor import SparseTensor
from pcl_backbones.spunet import SpUNet
from pcl_backbones.spvcnn import SPVCNN
from pcl_backbones.submanifold_unet import SubmanifoldUNet
from pcl_backbones.tiling import predict_tiled
from pcl_backbones.weights import load_weights, read_card, save_weights

__all__ = [
    "SPVCNN",
    "LoadReport",
    "MinkUNet14A",
    "OffsetHead",
    "ProjectionHead",
    "ProposalEncoder",
    "Res16UNet14A",
    "Res16UNet18A",
    "Res16UNet34C",
    "SemanticHead",
    "SpUNet",
    "SparseDetector",
    "SparseTensor",
    "SubmanifoldUNet",
    "__version__",
    "add_lora",
    "box_candidates",
    "checkpoint_activations",
    "compact_coordinates",
    "detection_loss",
    "load_published_checkpoint",
    "load_weights",
    "merge_lora",
    "predict_tiled",
    "read_card",
    "save_weights",
    "sparse",
    "use_engine",
]
