import dataclasses
import json
import re

import numpy as np

from pcl_data.readers import read_scene
from pcl_methods.labelfree.querying import query_files, write_query
from pcl_methods.segmentation.testing import make_room


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


def test_the_page_tells_relevance_and_coordinates_of_the_input(tmp_path):
    room = dataclasses.replace(make_room("room", 0), origin=np.array([2000.0, 0, -5]))
    *_, page = write_query(tmp_path, room, "height", np.zeros(len(room.points), np.float32))
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', page.read_text())[1])
    assert data["origin"] == [2000, 0, -5]
    names = [layer["name"] for layer in data["layers"]]
    assert names == ["relevance of height", "colour", "labels", "instances", "height"]
    relevance, _, labels, *_ = data["layers"]
    assert relevance["kind"] == "Float32Array"
    assert labels["names"] == ["floor", "chair", "table"]
