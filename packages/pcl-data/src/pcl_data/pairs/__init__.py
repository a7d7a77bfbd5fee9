"""Pairs of overlapping views of a scene, what contrastive pre-training learns from.

Camera frames of one scene are paired by how much they overlap (`mine_pairs`), or two views are cut
from the assembled cloud (`cut_views`); matching points of the two are the positives.
"""

from pcl_data.pairs.correspondences import correspondences
from pcl_data.pairs.overlap import FramePairs, frame_overlap, mine_pairs
from pcl_data.pairs.pair_list import load_pairs, save_pairs
from pcl_data.pairs.unprojection import FramePoints, fuse_frames, unproject
from pcl_data.pairs.views import ViewPair, cut_views

__all__ = [
    "FramePairs",
    "FramePoints",
    "ViewPair",
    "correspondences",
    "cut_views",
    "frame_overlap",
    "fuse_frames",
    "load_pairs",
    "mine_pairs",
    "save_pairs",
    "unproject",
]
