"""Rows of nuScenes that are the same in every release, and its class for each of SemanticKITTI.

Names as facts of the nuScenes devkit: categories in the order of the index of lidarseg.
"""

import numpy as np
from jaxtyping import Int64

from pcl_synth.streets.street import LABELS

TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "lidarseg",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)
ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
VISIBILITIES = ("v0-40", "v40-60", "v60-80", "v80-100")
RAW_IDS = {  # of nuScenes, by the class of SemanticKITTI; a rider counts as what is ridden
    "car": 17,
    "bicycle": 14,
    "motorcycle": 21,
    "truck": 23,
    "other-vehicle": 16,  # most of them are buses
    "person": 2,
    "bicyclist": 14,
    "motorcyclist": 21,
    "road": 24,
    "parking": 24,
    "sidewalk": 26,
    "other-ground": 25,
    "building": 28,
    "fence": 28,
    "vegetation": 30,
    "trunk": 30,
    "terrain": 27,
    "pole": 28,
    "traffic-sign": 28,
}
UNLABELED = 29  # static.other: bins, cabinets, traffic lights


def raw_ids(labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Raw ids of nuScenes for train ids of `SEMANTICKITTI25`."""
    names = [name.removeprefix("moving-") for name in LABELS.names]
    return np.array([*(RAW_IDS[name] for name in names), UNLABELED])[labels]  # -1 is the last


def attribute(label: int) -> str:
    """Attribute of a thing with a train id of `SEMANTICKITTI25`."""
    name = LABELS.names[label]
    moves, name = name.startswith("moving-"), name.removeprefix("moving-")
    if name == "person":
        return "pedestrian.moving" if moves else "pedestrian.standing"
    if name in ("bicyclist", "motorcyclist"):
        return "cycle.with_rider"
    if name in ("bicycle", "motorcycle"):
        return "cycle.without_rider"
    return "vehicle.moving" if moves else "vehicle.parked"
