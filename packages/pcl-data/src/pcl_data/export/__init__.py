"""Files for viewers and for the servers of benchmarks."""

from pcl_data.export.lidar_submission import (
    write_nuscenes_submission,
    write_semantickitti_labels,
    write_semantickitti_submission,
)
from pcl_data.export.ply import write_ply

__all__ = [
    "write_nuscenes_submission",
    "write_ply",
    "write_semantickitti_labels",
    "write_semantickitti_submission",
]
