"""Tests of pcl_data.scene_store."""

import errno
import json

import numpy as np
import pytest

from pcl_data import SCANNET20, SCANNET200, Frame, Scene, load_scene, save_scene
from pcl_data.scene import FRAME_ARRAYS, SCENE_ARRAYS


def full_scene() -> Scene:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    pose = np.eye(4) * 0.5
    depth = generator.random((4, 5), dtype=np.float32)
    ids = generator.integers(-1, 20, (4, 5))
    labels = generator.integers(-1, 20, 9)
    return Scene(
        name="scene0000_00",
        points=generator.random((9, 3), dtype=np.float32),
        colors=generator.integers(0, 256, (9, 3), dtype=np.uint8),
        normals=generator.random((9, 3), dtype=np.float32),
        labels=labels,
        instances=np.where(labels > 1, generator.integers(-1, 4, 9), -1),  # of things alone
        superpoints=generator.integers(0, 4, 9),
        faces=generator.integers(0, 9, (6, 3)),
        boxes=np.zeros((0, 8), np.float32),
        frames=(
            Frame(image, depth, np.eye(3), pose),
            Frame(image, depth, np.eye(3), pose, ids, ids),
        ),
        label_set=SCANNET20,
        origin=np.array([388096.0, 3948996.0, 0.0]),
    )


def test_a_saved_scene_loads_as_it_was(tmp_path):
    scene = full_scene()
    save_scene(scene, tmp_path / "deep" / "room")
    loaded = load_scene(tmp_path / "deep" / "room", SCANNET20)
    assert loaded.name == "scene0000_00"
    assert loaded.label_set is SCANNET20
    for field in SCENE_ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, field), getattr(scene, field))
    assert len(loaded.frames) == 2
    for got, want in zip(loaded.frames, scene.frames, strict=True):
        for field in FRAME_ARRAYS:
            np.testing.assert_array_equal(getattr(got, field), getattr(want, field))


def test_absent_arrays_stay_absent(tmp_path):
    save_scene(Scene("room", np.zeros((1, 3), np.float32)), tmp_path / "room")
    loaded = load_scene(tmp_path / "room", SCANNET20)
    assert [f for f in SCENE_ARRAYS if getattr(loaded, f) is not None] == ["points"]
    assert loaded.frames == ()


def test_loaded_arrays_are_read_only_memory_maps(tmp_path):
    save_scene(full_scene(), tmp_path / "room")
    loaded = load_scene(tmp_path / "room")
    assert isinstance(loaded.points, np.memmap)
    assert isinstance(loaded.frames[1].image, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        loaded.points[0] = 0


def test_more_than_ten_thousand_frames_would_still_be_in_order(tmp_path):
    frame = Frame(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32), np.eye(3), np.eye(4))
    save_scene(Scene("room", np.zeros((1, 3), np.float32), frames=(frame,) * 2), tmp_path / "room")
    (tmp_path / "room" / "frames" / "0001").rename(tmp_path / "room" / "frames" / "10000")
    np.save(tmp_path / "room" / "frames" / "10000" / "depth.npy", np.ones((1, 1), np.float32))
    (tmp_path / "room" / "frames" / "0000").rename(tmp_path / "room" / "frames" / "9999")
    assert [f.depth.item() for f in load_scene(tmp_path / "room").frames] == [0, 1]


def test_an_existing_folder_is_never_touched(tmp_path):
    (tmp_path / "room").mkdir()
    with pytest.raises(FileExistsError, match=r"path must not exist yet, got .*room"):
        save_scene(full_scene(), tmp_path / "room")
    assert list((tmp_path / "room").iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        save_scene(full_scene(), tmp_path / "room")
    assert list(tmp_path.iterdir()) == []


def pointcept_folder(path, **change):
    """A folder as Pointcept's preprocessing writes it."""
    path.mkdir()
    arrays = {
        "coord": np.array([[0, 0, 0], [1, 2, 3]], np.float64),
        "color": np.array([[0, 0, 0], [255, 2, 3]], np.uint8),
        "segment": np.array([[-1], [19]], np.int32),
        "instance": np.array([[-1], [4]], np.int16),
    }
    for name, array in (arrays | change).items():
        if array is not None:
            np.save(path / f"{name}.npy", array)
    return path


def test_a_folder_of_pointcept_loads(tmp_path):
    scene = load_scene(pointcept_folder(tmp_path / "office_1"), SCANNET20)
    assert scene.name == "office_1"
    assert scene.points.dtype == np.float32
    assert scene.points.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert scene.labels.tolist() == [-1, 19]
    assert scene.instances.tolist() == [-1, 4]
    assert scene.labels.dtype == scene.instances.dtype == np.int64


def test_the_segment_file_with_the_classes_of_the_label_set_is_read(tmp_path):
    ids = {"segment": None, "segment20": np.array([1, 2]), "segment200": np.array([150, 2])}
    path = pointcept_folder(tmp_path / "room", **ids)
    assert load_scene(path, SCANNET20).labels.tolist() == [1, 2]
    assert load_scene(path, SCANNET200).labels.tolist() == [150, 2]
    assert load_scene(path).labels is None


def test_whole_float_colours_become_bytes(tmp_path):
    path = pointcept_folder(tmp_path / "room", color=np.array([[0, 1, 2], [3, 4, 255.0]]))
    assert load_scene(path).colors.tolist() == [[0, 1, 2], [3, 4, 255]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": np.array([[0, -5, 0], [1, 1, 1]])}, r"room: colors must lie in \[0, 1\]"),
        ({"segment": np.array([0, 0.5])}, "room: labels must be whole numbers .*, got 0.5"),
        ({"segment": np.array([0, 255])}, r"room: scene 'room': labels must lie in \[-1, 20\)"),
        ({"instance": np.zeros(3, int)}, r"room: instances must have shape \(2,\)"),
        ({"normal": np.zeros((2, 2))}, r"room: normals must have shape \(2, 3\)"),
        ({"coord": np.array([["a"] * 3] * 2)}, "room: points must hold numbers, got <U1"),
    ],
)
def test_foreign_values_are_rejected(tmp_path, change, message):
    path = pointcept_folder(tmp_path / "room", **change)
    with pytest.raises(ValueError, match=message):
        load_scene(path, SCANNET20)


def test_a_scene_without_points_is_rejected(tmp_path):
    others = dict.fromkeys(["color", "segment", "instance"])
    path = pointcept_folder(tmp_path / "room", coord=np.zeros((0, 3)), **others)
    with pytest.raises(ValueError, match="room: scene 'room': points must hold at least one point"):
        load_scene(path)


def test_pickled_arrays_are_rejected(tmp_path):
    path = pointcept_folder(tmp_path / "room")
    np.save(path / "instance.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"instance\.npy: must be a complete \.npy file"):
        load_scene(path)


@pytest.mark.parametrize("n_bytes", [0, 5, 60, 130])
def test_truncated_files_are_rejected(tmp_path, n_bytes):
    path = pointcept_folder(tmp_path / "room")
    content = (path / "coord.npy").read_bytes()
    (path / "coord.npy").write_bytes(content[:n_bytes])
    with pytest.raises(ValueError, match=r"coord\.npy: must be a complete \.npy file, got"):
        load_scene(path)


def test_a_file_that_is_no_array_is_rejected(tmp_path):
    path = pointcept_folder(tmp_path / "room")
    (path / "coord.npy").write_text("x y z\n" * 100)
    with pytest.raises(ValueError, match=r"coord\.npy: must be a complete \.npy file, got"):
        load_scene(path)


def test_a_folder_without_points_is_no_scene(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path must be a scene folder with coord\.npy"):
        load_scene(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 10000000000000000000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000000000000, 3)}",
    ],
    ids=["open bracket", "endless row", "endless column"],
)
def test_absurd_headers_are_rejected(tmp_path, header):
    path = pointcept_folder(tmp_path / "room")
    length = len(header).to_bytes(2, "little")
    (path / "coord.npy").write_bytes(b"\x93NUMPY\x01\x00" + length + header.encode() + bytes(24))
    with pytest.raises(ValueError, match=r"coord\.npy: must be a complete \.npy file, got"):
        load_scene(path)


def test_arrays_of_the_other_byte_order_become_those_of_the_machine(tmp_path):
    points = np.array([[1.5, 2, 3], [4, 5, 6]])
    path = pointcept_folder(
        tmp_path / "room", coord=points.astype(">f4"), segment=np.array([1, -1], ">i8")
    )
    scene = load_scene(path)
    assert scene.points.dtype.isnative
    assert scene.labels.dtype.isnative
    assert scene.points.tolist() == points.tolist()
    assert scene.labels.tolist() == [1, -1]


@pytest.mark.parametrize("text", ["", "[]", '{"name": "room"}', "[" * 100_000])
def test_a_broken_description_is_rejected(tmp_path, text):
    path = pointcept_folder(tmp_path / "room")
    (path / "scene.json").write_text(text)
    with pytest.raises(ValueError, match=r"scene\.json must be JSON with name and label_set"):
        load_scene(path)


def test_another_label_set_than_the_saved_one_is_rejected(tmp_path):
    save_scene(full_scene(), tmp_path / "room")
    with pytest.raises(ValueError, match=r"label_set must be 'scannet20', .* got 'scannet200'"):
        load_scene(tmp_path / "room", SCANNET200)


def test_a_frame_may_be_stored_without_depth_but_not_without_pose(tmp_path):
    save_scene(full_scene(), tmp_path / "room")
    (tmp_path / "room" / "frames" / "0001" / "depth.npy").unlink()
    assert load_scene(tmp_path / "room").frames[1].depth is None
    (tmp_path / "room" / "frames" / "0001" / "camera_to_world.npy").unlink()
    with pytest.raises(ValueError, match=r"0001 must hold camera_to_world\.npy"):
        load_scene(tmp_path / "room")


def test_a_file_that_finds_no_room_is_an_error_that_says_why(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows limits no sizes of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_scene(Scene("a", np.zeros((200_000, 3), np.float32)), tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG  # of a full disk: ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_any_order_and_length_come_back(tmp_path):
    points = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3))
    boxes = np.zeros((0, 8), np.float32)
    save_scene(Scene("a", points[::2], boxes=boxes), tmp_path / "a")
    assert load_scene(tmp_path / "a").points.tolist() == points[::2].tolist()
    assert np.load(tmp_path / "a" / "box.npy").shape == (0, 8)
