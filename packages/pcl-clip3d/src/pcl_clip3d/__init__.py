"""From images and text to 3D: dense CLIP features, projection, geometric sets, correlation."""

from pcl_clip3d.__about__ import __version__
from pcl_clip3d.class_encoders import SegmentationEncoder, TableEncoder
from pcl_clip3d.class_prompts import PROMPT_TEMPLATES, encode_class_names
from pcl_clip3d.correlation import CorrelationTransformer, feedback_distillation
from pcl_clip3d.dense_clip import DenseClip
from pcl_clip3d.dense_features import DenseFeatures, ImageEncoder, check_text
from pcl_clip3d.enet import ENet, load_enet
from pcl_clip3d.label_refinement import denoise_prompts, smooth_by_keys
from pcl_clip3d.mesh_segments import segment_mesh
from pcl_clip3d.pixel_pairs import PixelPairs, crop_pairs, draw_crop, flip_pairs, pair_pixels
from pcl_clip3d.point_segments import segment_points
from pcl_clip3d.process_rows import gather_rows
from pcl_clip3d.projection import Projection, depth_buffer, project_points, visible_points
from pcl_clip3d.set_labels import sample_in_sets, vote_in_sets, vote_in_views
from pcl_clip3d.supervoxels import supervoxels
from pcl_clip3d.text_matching import query_points, text_logits
from pcl_clip3d.view_fusion import (
    FusedViews,
    ViewFusion,
    fuse_views,
    mean_features,
    view_agreement,
)
from pcl_clip3d.word_tokenizer import WordTokenizer

__all__ = [
    "PROMPT_TEMPLATES",
    "CorrelationTransformer",
    "DenseClip",
    "DenseFeatures",
    "ENet",
    "FusedViews",
    "ImageEncoder",
    "PixelPairs",
    "Projection",
    "SegmentationEncoder",
    "TableEncoder",
    "ViewFusion",
    "WordTokenizer",
    "__version__",
    "check_text",
    "crop_pairs",
    "denoise_prompts",
    "depth_buffer",
    "draw_crop",
    "encode_class_names",
    "feedback_distillation",
    "flip_pairs",
    "fuse_views",
    "gather_rows",
    "load_enet",
    "mean_features",
    "pair_pixels",
    "project_points",
    "query_points",
    "sample_in_sets",
    "segment_mesh",
    "segment_points",
    "smooth_by_keys",
    "supervoxels",
    "text_logits",
    "view_agreement",
    "visible_points",
    "vote_in_sets",
    "vote_in_views",
]
