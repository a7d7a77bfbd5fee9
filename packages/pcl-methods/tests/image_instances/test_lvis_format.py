"""Reading and writing LVIS v1 files."""

import copy
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_methods.image_instances.lvis_format import (
    LvisAnnotation,
    LvisCategory,
    LvisData,
    LvisImage,
    counted_categories,
    frequency_of,
    read_lvis,
    write_lvis,
)

RING = [1.0, 1.0, 5.0, 1.0, 5.0, 4.5]
RUNS = {"size": [8, 9], "counts": "abc"}
# As the files of lvisdataset.org have it.
PUBLISHED = {
    "info": {"description": "LVIS v1.0", "year": 2020},
    "licenses": [{"id": 1, "name": "none", "url": "http://x"}],
    "images": [
        {
            "id": 397133,
            "license": 4,
            "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
            "flickr_url": "http://f",
            "date_captured": "2013",
            "height": 427,
            "width": 640,
            "neg_category_ids": [7],
            "not_exhaustive_category_ids": [3],
        }
    ],
    "categories": [
        {
            "id": 3,
            "name": "air_conditioner",
            "synset": "air_conditioner.n.01",
            "synonyms": ["air_conditioner"],
            "def": "a machine",
            "frequency": "f",
            "image_count": 364,
            "instance_count": 588,
        },
        {"id": 7, "name": "alarm_clock", "frequency": "r"},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 397133,
            "category_id": 3,
            "area": 12.5,
            "bbox": [1.0, 1.0, 4, 3.5],
            "segmentation": [RING],
        }
    ],
}


def written(tmp_path, tree):
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def changed(place, value):
    """The published tree with another value, or without one, at a path."""
    tree = copy.deepcopy(PUBLISHED)
    *path, last = place
    at = tree
    for key in path:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return tree


def test_a_published_file_is_read_as_it_is(tmp_path):
    data = read_lvis(written(tmp_path, PUBLISHED))
    assert data.images == (LvisImage(397133, "val2017/000000397133.jpg", 427, 640, (7,), (3,)),)
    assert data.categories[0] == LvisCategory(3, "air_conditioner", "f", 364, 588)
    assert data.categories[1] == LvisCategory(7, "alarm_clock", "r")
    box = (1.0, 1.0, 4, 3.5)
    assert data.annotations == (LvisAnnotation(1, 397133, 3, [RING], 12.5, box),)


def test_a_name_of_a_file_comes_before_its_url(tmp_path):
    tree = changed(("images", 0, "file_name"), "a.png")
    assert read_lvis(written(tmp_path, tree)).images[0].file_name == "a.png"


IMAGES = st.lists(st.integers(0, 99), unique=True, max_size=4)
KINDS = st.sampled_from("rcf")


@given(IMAGES, st.lists(KINDS, min_size=1, max_size=4), st.data())
def test_what_is_written_is_read_back(tmp_path_factory, ids, frequencies, draw):
    path = tmp_path_factory.mktemp("lvis") / "lvis.json"
    categories = tuple(
        LvisCategory(2 * k, f"ü{k}", kind, k, k) for k, kind in enumerate(frequencies)
    )
    some = st.lists(st.sampled_from([one.id for one in categories]), unique=True).map(tuple)
    images = tuple(
        LvisImage(one, f"{one}.png", 8, 9, draw.draw(some), draw.draw(some)) for one in ids
    )
    annotations = tuple(
        LvisAnnotation(k, one, 0, draw.draw(st.sampled_from([[RING], RUNS])), k / 2, (0.5, 1, 2, 3))
        for k, one in enumerate(ids)
    )
    data = LvisData(images, categories, annotations)
    write_lvis(data, path)
    assert read_lvis(path) == data


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("images",), None, "images must be a list, got none"),
        (("categories",), {}, "categories must be a list, got {}"),
        (("annotations", 0), 3, r"annotations\[0\] must be an object, got 3"),
        (("images", 0, "height"), 0, r"images\[0\].height must be a whole number .* 1, got 0"),
        (("images", 0, "width"), 1.5, r"images\[0\].width must be a whole number .* got 1.5"),
        (("images", 0, "id"), True, r"images\[0\].id must be a whole number .* got True"),
        (("images", 0, "neg_category_ids"), None, "neg_category_ids must be a list of ids"),
        (("images", 0, "neg_category_ids"), [5], "neg_category_ids must be an id of the file"),
        (("images", 0, "not_exhaustive_category_ids"), ["a"], "must be a list of ids, got"),
        (("images", 0, "not_exhaustive_category_ids"), [5], "must be an id of the file, got 5"),
        (("images", 0, "file_name"), 5, r"images\[0\].file_name must be a text, got 5"),
        (("categories", 1, "id"), 3, r"categories\[1\].id must be unique, got 3 again"),
        (("categories", 0, "frequency"), "x", r"frequency must be one of r, c, f, got 'x'"),
        (("categories", 0, "frequency"), ["r"], r"frequency must be one of r, c, f, got \['r'\]"),
        (("categories", 0, "name"), None, r"categories\[0\].name must be a text, got none"),
        (("annotations", 0, "image_id"), 5, r"annotations\[0\].image_id must be an id of the"),
        (("annotations", 0, "category_id"), 5, r"annotations\[0\].category_id must be an id of"),
        (("annotations", 0, "area"), -1, r"area must be a number of at least 0, got -1"),
        (("annotations", 0, "area"), math.nan, r"area must be a number of at least 0, got nan"),
        (("annotations", 0, "bbox"), [1, 2, 3], r"bbox must be four numbers, got \[1, 2, 3\]"),
        (("annotations", 0, "segmentation"), [], "must be polygons or a run-length encoding"),
        (("annotations", 0, "segmentation"), [[1, 2, 3, 4]], "must be polygons or a run-length"),
        (("annotations", 0, "segmentation"), [[*RING, 1]], "must be polygons or a run-length"),
        (("annotations", 0, "segmentation"), {"size": [1, 2]}, "must be polygons or a run-length"),
        (("annotations", 0, "segmentation"), {"counts": "a"}, "must be polygons or a run-length"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, place, value, message):
    path = written(tmp_path, changed(place, value))
    with pytest.raises(ValueError, match=message) as caught:
        read_lvis(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_what_is_no_json_is_named(tmp_path, text):
    path = tmp_path / "lvis.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="must be JSON, got: ") as caught:
        read_lvis(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_no_object_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"it must be an object, got \[\]"):
        read_lvis(written(tmp_path, []))


def test_frequencies_count_images_and_not_instances():
    categories = [LvisCategory(1, "cup", "f"), LvisCategory(2, "pan", "f", 9, 9)]
    rows = [(k, k // 2, 1) for k in range(22)] + [(30, 0, 1)]  # 11 images, 23 cups
    annotations = [LvisAnnotation(*row, RUNS, 1.0, (0, 0, 1, 1)) for row in rows]
    cup, pan = counted_categories(categories, annotations)
    assert (cup.frequency, cup.image_count, cup.instance_count) == ("c", 11, 23)
    assert (pan.frequency, pan.image_count, pan.instance_count) == ("r", 0, 0)


def test_thresholds_of_frequency_are_those_of_lvis():
    assert "".join(frequency_of(n) for n in (0, 1, 10, 11, 100, 101)) == "rrrccf"


def test_some_images_keep_their_annotations():
    images = tuple(LvisImage(one, "", 8, 9) for one in (1, 2, 3))
    rows = [(k, 1 + k % 3, 5) for k in range(6)]
    annotations = tuple(LvisAnnotation(*row, RUNS, 1.0, (0, 0, 1, 1)) for row in rows)
    data = LvisData(images, (LvisCategory(5, "cup", "r"),), annotations)
    part = data.of_images([3, 2])
    assert [one.id for one in part.images] == [2, 3]
    assert [one.id for one in part.annotations] == [1, 2, 4, 5]
    assert part.categories == data.categories
