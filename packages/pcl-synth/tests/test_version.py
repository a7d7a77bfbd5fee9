"""The version of the package is that of its worlds."""

import pcl_synth
from pcl_synth.rooms import dataset as rooms
from pcl_synth.streets import dataset as streets


def test_major_and_minor_are_the_versions_of_rooms_and_streets():
    major, minor, _ = pcl_synth.__version__.split(".")
    assert (int(major), int(minor)) == (rooms.VERSION, streets.VERSION)
