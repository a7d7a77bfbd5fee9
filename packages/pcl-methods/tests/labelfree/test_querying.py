import numpy as np
import pytest
import torch

from pcl_data.readers import read_scene
from pcl_methods.labelfree.querying import query_files, relevance, write_query
from pcl_methods.segmentation.testing import make_room

WORDS = {"a chair": [1.0, 0, 0], "a table": [0, 1.0, 0], "a lamp": [0, 0, 1.0]}


def encode(texts):
    return torch.tensor([WORDS[text] for text in texts])


def test_points_fit_the_phrase_that_is_nearest():
    features = torch.tensor([[2.0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    found = relevance(features, "a chair", ["a table", "a lamp"], encode)
    assert found[0] > 0.99
    assert found[1] < 0.01
    assert found[2] == pytest.approx(0.5)
    assert found[3] == 0


def test_a_phrase_alone_is_refused():
    with pytest.raises(ValueError, match="--not must name at least one other phrase, got none"):
        relevance(torch.zeros(1, 3), "a chair", [], encode)


def test_a_query_is_a_cloud_a_picture_and_a_page(tmp_path):
    room = make_room("area/room", 0)
    found = (room.labels == room.labels.max()).astype(np.float32)
    files = write_query(tmp_path, room, "<b>chair</b>", found)
    assert files == query_files(tmp_path, "area/room")
    assert [file.name for file in files] == ["area_room.ply", "area_room.png", "area_room.html"]
    again = read_scene(files[0])
    assert len(again.points) == len(room.points)
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert "<b>chair</b>" not in files[2].read_text()
