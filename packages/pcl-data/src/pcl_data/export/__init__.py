"""Files for viewers and for the servers of benchmarks."""

from pcl_data.export.html import write_html
from pcl_data.export.lidar_submission import (
    write_nuscenes_submission,
    write_semantickitti_labels,
    write_semantickitti_submission,
)
from pcl_data.export.ply import write_ply
from pcl_data.export.scannet import (
    InstancePrediction,
    read_scannet_instances,
    read_scannet_labels,
    write_scannet_budgets,
    write_scannet_submission,
)

__all__ = [
    "InstancePrediction",
    "read_scannet_instances",
    "read_scannet_labels",
    "write_html",
    "write_nuscenes_submission",
    "write_ply",
    "write_scannet_budgets",
    "write_scannet_submission",
    "write_semantickitti_labels",
    "write_semantickitti_submission",
]
