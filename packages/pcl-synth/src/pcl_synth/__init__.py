"""Synthetic rooms and streets with truth: furnished at random, scanned by simulated sensors."""

from pcl_synth.__about__ import __version__
from pcl_synth.rooms import SyntheticRooms, generate_room
from pcl_synth.streets import (
    SyntheticStreets,
    generate_sweep,
    write_nuscenes_layout,
    write_semantickitti_layout,
)

__all__ = [
    "SyntheticRooms",
    "SyntheticStreets",
    "__version__",
    "generate_room",
    "generate_sweep",
    "write_nuscenes_layout",
    "write_semantickitti_layout",
]
