from dataclasses import replace

import numpy as np
import pytest

from pcl_methods.labelfree.geometric_sets import geometric_sets
from pcl_methods.segmentation.testing import make_room, make_sweep


def test_the_first_kind_that_a_scene_can_have_is_taken():
    room = make_room("room", 0)
    own = np.arange(len(room.points)) % 3
    np.testing.assert_array_equal(geometric_sets(replace(room, superpoints=own)), own)
    np.testing.assert_array_equal(geometric_sets(room), geometric_sets(room, "points"))
    sweep = make_sweep("sweep", 0)
    np.testing.assert_array_equal(geometric_sets(sweep), geometric_sets(sweep, "supervoxels"))
    # Of a cube without a floor: two triangles of one side are one set.
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    mesh = replace(
        room,
        **dict.fromkeys(("colors", "labels", "instances")),
        points=corners,
        faces=np.array([[0, 1, 2], [0, 2, 3]]),
    )
    assert geometric_sets(mesh).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("kind", "field"), [("given", "superpoints"), ("mesh", "faces")])
def test_a_scene_that_lacks_what_a_kind_needs_is_refused(kind, field):
    with pytest.raises(ValueError, match=f"scene room must have {field} for these sets"):
        geometric_sets(make_room("room", 0), kind)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="sets must be one of auto, given, mesh"):
        geometric_sets(make_room("room", 0), "cubes")
