"""The public names, so that none changes unnoticed."""

import pcl_contrastive

PUBLIC = """
FeatureQueue HardestContrastive MomentumEncoder QueueClusters RepresentationHealth __version__
byol_loss cluster_info_nce crop_volumes fit_linear_probe hardest_contrastive_loss knn_probe
linear_probe nearest_labels object_coverage point_info_nce pool_volumes representation_health
sample_matches scene_context_loss scene_context_partition scene_info_nce select_points_at_random
select_points_by_input select_points_csc_reference select_points_to_label sinkhorn_assignment
sinkhorn_codes split_volumes volume_classification_loss volume_info_nce
"""


def test_public_names():
    assert sorted(pcl_contrastive.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(pcl_contrastive, name) for name in pcl_contrastive.__all__)
