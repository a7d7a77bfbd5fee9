from dataclasses import fields

import numpy as np
import pytest

from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.labelfree.label_store import LabelStore

MADE_BY = {"encoder": "tiny", "classes": ["wall", "floor"]}


def some_labels(seed: int = 0) -> ImageLabels:
    rng = np.random.default_rng(seed)
    return ImageLabels(
        point_index=rng.integers(0, 9, 12),
        views=np.sort(rng.integers(0, 3, 12)),
        labels=rng.integers(0, 2, 12),
        confidence=(rng.integers(0, 9, 12) / 8).astype(np.float32),  # exact in half precision
        sets=rng.integers(-1, 4, 9),
        set_features=(rng.integers(-8, 9, (4, 5)) / 8).astype(np.float32),
    )


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "labels", MADE_BY)


def test_what_is_saved_is_loaded(store):
    store.save("area/room", some_labels())
    loaded = store.load("area/room")
    for field in fields(ImageLabels):
        saved = getattr(some_labels(), field.name)
        np.testing.assert_array_equal(getattr(loaded, field.name), saved)
        assert getattr(loaded, field.name).dtype == saved.dtype
    assert "area/room" in store
    assert "room" not in store
    assert store.nbytes("area/room") > 0


@pytest.mark.parametrize("name", ["../room", "a//b", ".room", "a\\b", ""])
def test_names_stay_in_the_folder(store, name):
    with pytest.raises(ValueError, match="name must be a path below"):
        store.save(name, some_labels())


def test_labels_of_other_settings_are_refused(store):
    store.save("room", some_labels())
    other = LabelStore(store.root, {**MADE_BY, "classes": ["wall", "chair"]})
    with pytest.raises(ValueError, match=r"room\.npz: holds labels made with classes"):
        other.load("room")


def test_labels_that_are_not_there_are_a_missing_file(store):
    with pytest.raises(FileNotFoundError):
        store.load("room")


def test_every_damaged_file_is_one_error_that_names_it(store):
    store.save("room", some_labels())
    path = store.path("room")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged[: rng.integers(1, len(whole))] if rng.random() < 0.3 else damaged)
        try:
            store.load("room")
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 150
    assert all("room.npz" in text for text in refused)
    assert not list(store.root.glob(".*"))


def test_ids_out_of_range_are_refused(store):
    good = some_labels()
    arrays = {field.name: getattr(good, field.name) for field in fields(ImageLabels)}
    for key, message in {
        "point_index": "point_index must lie below 9",
        "sets": "sets must lie",
    }.items():
        store.save("room", ImageLabels(**{**arrays, key: np.full_like(arrays[key], 30)}))
        with pytest.raises(ValueError, match=message):
            store.load("room")
    store.save("room", ImageLabels(**{**arrays, "labels": arrays["labels"][:3]}))
    with pytest.raises(ValueError, match="arrays must be equally long"):
        store.load("room")
