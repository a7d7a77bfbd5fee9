"""Synthetic rooms: furnished at random, scanned by a simulated RGB-D camera."""

from pcl_synth.rooms.dataset import SyntheticRooms, generate_room

__all__ = ["SyntheticRooms", "generate_room"]
