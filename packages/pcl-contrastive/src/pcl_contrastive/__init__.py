"""Contrastive pre-training of point-cloud networks: objectives, queues, volumes, active choice."""

from pcl_contrastive.__about__ import __version__
from pcl_contrastive.active_labeling import (
    object_coverage,
    select_points_at_random,
    select_points_by_input,
    select_points_csc_reference,
    select_points_to_label,
)
from pcl_contrastive.cluster_contrast import (
    cluster_info_nce,
    nearest_labels,
    volume_classification_loss,
)
from pcl_contrastive.feature_queue import FeatureQueue
from pcl_contrastive.health import RepresentationHealth, representation_health
from pcl_contrastive.momentum_encoder import MomentumEncoder
from pcl_contrastive.point_contrast import (
    HardestContrastive,
    hardest_contrastive_loss,
    point_info_nce,
    sample_matches,
)
from pcl_contrastive.probes import fit_linear_probe, knn_probe, linear_probe
from pcl_contrastive.queue_clusters import QueueClusters
from pcl_contrastive.scene_context import scene_context_loss, scene_context_partition
from pcl_contrastive.scene_contrast import byol_loss, scene_info_nce
from pcl_contrastive.sinkhorn import sinkhorn_assignment
from pcl_contrastive.volumes import crop_volumes, pool_volumes, split_volumes, volume_info_nce

__all__ = [
    "FeatureQueue",
    "HardestContrastive",
    "MomentumEncoder",
    "QueueClusters",
    "RepresentationHealth",
    "__version__",
    "byol_loss",
    "cluster_info_nce",
    "crop_volumes",
    "fit_linear_probe",
    "hardest_contrastive_loss",
    "knn_probe",
    "linear_probe",
    "nearest_labels",
    "object_coverage",
    "point_info_nce",
    "pool_volumes",
    "representation_health",
    "sample_matches",
    "scene_context_loss",
    "scene_context_partition",
    "scene_info_nce",
    "select_points_at_random",
    "select_points_by_input",
    "select_points_csc_reference",
    "select_points_to_label",
    "sinkhorn_assignment",
    "split_volumes",
    "volume_classification_loss",
    "volume_info_nce",
]
