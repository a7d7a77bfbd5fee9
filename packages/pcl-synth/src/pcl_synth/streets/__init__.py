"""Synthetic streets: laid out at random, scanned by a simulated LiDAR and six cameras."""

from pcl_synth.streets.dataset import SyntheticStreets, generate_sweep
from pcl_synth.streets.nuscenes_layout import write_nuscenes_layout
from pcl_synth.streets.semantickitti_layout import write_semantickitti_layout

__all__ = [
    "SyntheticStreets",
    "generate_sweep",
    "write_nuscenes_layout",
    "write_semantickitti_layout",
]
