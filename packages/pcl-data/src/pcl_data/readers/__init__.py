"""Readers of scan files: PLY, PCD, NPZ, NPY, TXT/XYZ/CSV, LAS/LAZ and scene folders."""

from pcl_data.raw_scan import RawScan
from pcl_data.readers.lidar_labels import read_nuscenes_lidarseg, read_semantickitti_labels
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.scene_reader import READERS, is_readable, read_scene, unread_columns

__all__ = [
    "READERS",
    "RawScan",
    "is_readable",
    "read_nuscenes_lidarseg",
    "read_scene",
    "read_semantickitti_labels",
    "scan_from_columns",
    "unread_columns",
]
