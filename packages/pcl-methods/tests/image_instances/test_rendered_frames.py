"""Frames as images with federated annotations."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pcl_data import SCANNET20, Frame, Scene
from pcl_methods.image_instances.federation import Federation
from pcl_methods.image_instances.lvis_format import read_lvis
from pcl_methods.image_instances.masks import decode_mask
from pcl_methods.image_instances.rendered_frames import (
    ANNOTATIONS,
    Rendering,
    seen_objects,
    write_frames,
)

CHAIR, TABLE, WALL = (SCANNET20.names.index(name) for name in ("chair", "table", "wall"))
KNOWN = Rendering(every=1, federation=Federation(annotated=1, incomplete=0, n_negative=2))


def make_frame(value: int = 100) -> Frame:
    """A chair of 8 x 8 pixels and a table of 12 x 4 before a wall, 16 x 24 pixels."""
    labels = np.full((16, 24), WALL)
    instances = np.full((16, 24), -1)
    labels[2:10, 2:10], instances[2:10, 2:10] = CHAIR, 7
    labels[10:14, 10:22], instances[10:14, 10:22] = TABLE, 3
    image = np.full((16, 24, 3), value, np.uint8)
    image[::2] += 2
    return Frame(image, None, np.eye(3), np.eye(4), labels, instances)


def make_scene(*frames: Frame, name: str = "room") -> Scene:
    return Scene(name, np.zeros((1, 3), np.float32), frames=frames)


def things(*labels: int) -> list[int]:
    return [SCANNET20.things.index(label) for label in labels]


def test_objects_of_a_frame_are_its_things():
    seen = seen_objects(make_frame(), SCANNET20, 1)
    assert seen.classes == things(TABLE, CHAIR)  # instances 3 and 7
    assert seen.masks.sum(axis=(1, 2)).tolist() == [48, 64]
    assert seen.masks[1, 2:10, 2:10].all()


def test_a_frame_shrinks_by_mean_color_and_first_object():
    seen = seen_objects(make_frame(), SCANNET20, 2)
    assert seen.image.shape == (8, 12, 3)
    assert (seen.image == 101).all()
    assert seen.masks.sum(axis=(1, 2)).tolist() == [12, 16]
    assert seen_objects(make_frame(), SCANNET20, 5).masks.shape == (2, 3, 4)


def test_a_wall_alone_shows_no_object():
    frame = replace(make_frame(), labels=np.full((16, 24), WALL))
    seen = seen_objects(frame, SCANNET20, 1)
    assert seen.masks.shape == (0, 16, 24)
    assert seen.classes == []


@pytest.mark.parametrize("field", ["labels", "instances"])
def test_a_frame_without_annotations_is_refused(field):
    with pytest.raises(ValueError, match="frame must have labels and instances, got none"):
        seen_objects(replace(make_frame(), **{field: None}), SCANNET20, 1)


@pytest.mark.parametrize("field", ["every", "shrink"])
def test_rendering_takes_at_least_one(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Rendering(**{field: 0})


def test_a_folder_holds_what_is_returned(tmp_path):
    scenes = [make_scene(make_frame(), make_frame(50)), make_scene(make_frame(), name="other")]
    data = write_frames(scenes, SCANNET20, tmp_path / "set", rendering=KNOWN, seed=3)
    assert read_lvis(tmp_path / "set" / ANNOTATIONS) == data
    names = [one.file_name for one in data.images]
    assert names == ["room_00.png", "room_01.png", "other_00.png"]
    image = data.images[1]
    pixels = np.asarray(Image.open(tmp_path / "set" / image.file_name))
    assert (image.height, image.width) == pixels.shape[:2] == (8, 12)
    assert (pixels == 51).all()
    assert len(image.neg_category_ids) == 2
    chair = data.annotations[-1]
    assert data.categories[chair.category_id - 1].name == "chair"
    assert chair.area == 16
    assert chair.bbox == (1, 1, 4, 4)
    assert decode_mask(chair.segmentation, 8, 12)[1:5, 1:5].all()
    assert [one.id for one in data.annotations] == [1, 2, 3]  # 12 pixels are too few of a table
    assert data.categories[chair.category_id - 1].image_count == 3


def test_every_second_frame_is_taken(tmp_path):
    rendering = replace(KNOWN, every=2)
    frames = [make_frame()] * 3
    data = write_frames([make_scene(*frames)], SCANNET20, tmp_path / "set", rendering=rendering)
    assert [one.file_name for one in data.images] == ["room_00.png", "room_02.png"]
