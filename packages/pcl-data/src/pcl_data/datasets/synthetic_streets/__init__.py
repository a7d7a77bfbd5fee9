"""Synthetic streets: laid out at random, scanned by a simulated LiDAR and six cameras."""

from pcl_data.datasets.synthetic_streets.dataset import SyntheticStreets, generate_sweep
from pcl_data.datasets.synthetic_streets.nuscenes_layout import write_nuscenes_layout
from pcl_data.datasets.synthetic_streets.semantickitti_layout import write_semantickitti_layout

__all__ = [
    "SyntheticStreets",
    "generate_sweep",
    "write_nuscenes_layout",
    "write_semantickitti_layout",
]
