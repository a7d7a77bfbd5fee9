"""The public names, so that none changes unnoticed."""

import pcl_pseudolabel

PUBLIC = """
ProposalIou ProposalRecorrector Provenance PseudoLabelQuality PseudoLabelStore
PseudoLabels Recorrection RecorrectionLoss StoreSummary __version__ centroid_offsets
cluster_proposals hash_configuration hash_weights matched_labels mutate_proposals offset_loss
proposal_centers proposal_confidence proposal_iou pseudo_label_quality recorrection_loss shard
stuff_pseudo_labels threshold_pseudo_labels transform_proposals update_pseudo_labels
vote_proposal_labels
"""


def test_public_names():
    assert sorted(pcl_pseudolabel.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(pcl_pseudolabel, name) for name in pcl_pseudolabel.__all__)
