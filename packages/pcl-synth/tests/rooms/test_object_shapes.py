"""Tests of pcl_synth.rooms.object_shapes and of its table."""

import numpy as np
import pytest

from pcl_data.label_set import SCANNET200
from pcl_synth.mesh import bounds
from pcl_synth.rooms.object_shapes import COLORS, FORMS, OBJECTS, ObjectPart, ObjectRow
from pcl_synth.rooms.style import Style

BY_NAME = {row.name: row for row in OBJECTS}


def style(seed: int = 0) -> Style:
    return Style(np.random.default_rng(seed))


def test_rows_are_classes_of_scannet200_from_frequent_to_rare():
    assert len(BY_NAME) == len(OBJECTS) > 100
    assert set(BY_NAME) <= set(SCANNET200.names)
    counts = [row.count for row in OBJECTS]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 2  # one may find no place, or lose its label
    assert all(set(row.kinds) <= set("bolkw") and row.kinds for row in OBJECTS)


def test_places_are_those_of_a_room_or_classes():
    carriers = {"table", "desk", "counter", "cabinet", "bookshelf", "bed", "couch", "chair"}
    for row in OBJECTS:
        for place in row.places:
            word, _, foot = place.partition(":")
            assert (word == "wall") == foot.isdecimal()
            assert word in {"floor", "free", "wall", "ceiling"} | carriers or (
                word.replace("-", " ") in BY_NAME
            )


@pytest.mark.parametrize("row", OBJECTS, ids=lambda row: row.name)
def test_an_object_is_about_as_large_as_its_row_says(row):
    low, high = bounds(row.shape(style()))
    width, depth, height = row.size
    assert high[0] - low[0] == pytest.approx(width, rel=0.35)
    assert high[2] - low[2] == pytest.approx(height, rel=0.35)
    assert low[1] > -0.05
    assert high[1] < 2.6 * depth  # what hangs may stand out
    assert low[2] > -0.05
    assert high[2] - low[2] < 2.2


def test_no_two_classes_are_alike():
    looks = {
        (row.size, tuple((part.form, part.corners, part.material) for part in row.parts))
        for row in OBJECTS
    }
    assert len(looks) == len(OBJECTS)


def test_a_part_lies_between_its_fractions_of_each_side():
    part = ObjectPart("box", ((0.0, 0.5), (0.25, 1.0), (0.5, 1.0)), "red")
    row = ObjectRow("x", 1, (2.0, 4.0, 8.0), "b", ("free",), (part,))
    low, high = bounds(row.shape(style()))
    # the width is scaled by s, the left half ends at 0; depth and height by others
    s = -low[0] / 1.0
    assert 0.9 <= s <= 1.12
    assert high[0] == 0
    assert high[1] / low[1] == pytest.approx(4)
    assert high[2] / low[2] == pytest.approx(2)


def test_parts_share_a_material_by_its_word():
    carton, tape, end_of_tape = (part.material for part in BY_NAME["box"].shape(style()))
    assert tape == end_of_tape != carton
    (body,) = {part.material for part in BY_NAME["ball"].shape(style())}
    nearest = min(COLORS, key=lambda c: np.abs(np.subtract(COLORS[c], body.first)).sum())
    assert nearest in ("orange", "red", "green")


def test_objects_vary_with_the_random_numbers_alone():
    plant = BY_NAME["plant"]
    first, again, other = (bounds(plant.shape(style(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_form_and_colour_is_used():
    parts = [part for row in OBJECTS for part in row.parts]
    assert {part.form for part in parts} == set(FORMS)
    assert set(COLORS) <= {word for part in parts for word in part.material.split("/")}
