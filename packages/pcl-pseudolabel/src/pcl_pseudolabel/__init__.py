"""Pseudo-labels for 3D instance segmentation: proposals, re-correction, update and quality."""

from pcl_pseudolabel.__about__ import __version__
from pcl_pseudolabel.clustering import cluster_proposals
from pcl_pseudolabel.confidence_threshold import stuff_pseudo_labels, threshold_pseudo_labels
from pcl_pseudolabel.offset_vectors import centroid_offsets, offset_loss
from pcl_pseudolabel.proposal_augmentation import mutate_proposals, transform_proposals
from pcl_pseudolabel.proposal_match import ProposalIou, matched_labels, proposal_iou
from pcl_pseudolabel.proposal_update import (
    proposal_centers,
    proposal_confidence,
    update_pseudo_labels,
    vote_proposal_labels,
)
from pcl_pseudolabel.provenance import Provenance, hash_configuration, hash_weights, shard
from pcl_pseudolabel.pseudo_labels import PseudoLabels
from pcl_pseudolabel.quality import PseudoLabelQuality, pseudo_label_quality
from pcl_pseudolabel.recorrection import (
    ProposalRecorrector,
    Recorrection,
    RecorrectionLoss,
    recorrection_loss,
)
from pcl_pseudolabel.store import PseudoLabelStore, StoreSummary

__all__ = [
    "ProposalIou",
    "ProposalRecorrector",
    "Provenance",
    "PseudoLabelQuality",
    "PseudoLabelStore",
    "PseudoLabels",
    "Recorrection",
    "RecorrectionLoss",
    "StoreSummary",
    "__version__",
    "centroid_offsets",
    "cluster_proposals",
    "hash_configuration",
    "hash_weights",
    "matched_labels",
    "mutate_proposals",
    "offset_loss",
    "proposal_centers",
    "proposal_confidence",
    "proposal_iou",
    "pseudo_label_quality",
    "recorrection_loss",
    "shard",
    "stuff_pseudo_labels",
    "threshold_pseudo_labels",
    "transform_proposals",
    "update_pseudo_labels",
    "vote_proposal_labels",
]
