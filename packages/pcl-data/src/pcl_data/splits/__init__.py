"""Label budgets: which scenes, points or boxes may be learned from.

The settings of Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene
Contexts", CVPR 2021, section 5: limited reconstructions (a part of the scenes) and limited
annotations (a few points or boxes in each scene); and the "1 %" of LiDAR sweeps, which are three
protocols. A `LabelBudget` carries the name that belongs beside a score. Random subsets are fixed by
a seed and nested: a smaller one lies in a larger one. Prefer published lists where there are any.
"""

from pcl_data.splits.annotations import keep_annotations, limited_annotations, read_annotations
from pcl_data.splits.boxes import keep_boxes, limited_boxes
from pcl_data.splits.budgets import (
    LabelBudget,
    annotation_budget,
    box_budget,
    every_nth_sequence_budget,
    every_nth_sweep_budget,
    listed_annotation_budget,
    listed_budget,
    random_sweep_budget,
    reconstruction_budget,
)
from pcl_data.splits.scene_split import SceneSplit
from pcl_data.splits.scenes import limited_reconstructions, read_split

__all__ = [
    "LabelBudget",
    "SceneSplit",
    "annotation_budget",
    "box_budget",
    "every_nth_sequence_budget",
    "every_nth_sweep_budget",
    "keep_annotations",
    "keep_boxes",
    "limited_annotations",
    "limited_boxes",
    "limited_reconstructions",
    "listed_annotation_budget",
    "listed_budget",
    "random_sweep_budget",
    "read_annotations",
    "read_split",
    "reconstruction_budget",
]
