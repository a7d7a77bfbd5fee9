"""Tests of pcl_data.scene."""

import numpy as np
import pytest

from pcl_data import SCANNET20, Frame, LazyFrames, Scene


def make_frame(**change) -> Frame:
    arrays = {
        "image": np.zeros((2, 3, 3), np.uint8),
        "depth": np.ones((2, 3), np.float32),
        "intrinsics": np.eye(3),
        "camera_to_world": np.eye(4),
    }
    return Frame(**(arrays | change))


def make_scene(**change) -> Scene:
    arrays = {"points": np.zeros((4, 3), np.float32)}
    return Scene("room", **(arrays | change))


def test_a_full_scene_keeps_the_arrays_it_was_given():
    arrays = {
        "points": np.zeros((4, 3), np.float32),
        "colors": np.zeros((4, 3), np.uint8),
        "normals": np.zeros((4, 3), np.float32),
        "labels": np.array([0, 19, -1, -1]),
        "instances": np.array([-1, 70, 70, 0]),
        "superpoints": np.array([0, 0, 5, 5]),
        "faces": np.array([[0, 1, 3]]),
        "boxes": np.zeros((2, 8), np.float32),
        "intensity": np.zeros(4, np.float32),
        "times": np.zeros(4, np.float32),
        "sensor_to_world": np.eye(4),
        "origin": np.array([5000.0, 0, 0]),
        "valid_rows": np.array([True, True, False, True, True]),
    }
    frame = make_frame(labels=np.full((2, 3), 19), instances=np.full((2, 3), -1))
    scene = make_scene(**arrays, frames=(frame,), label_set=SCANNET20)
    for field, array in arrays.items():
        assert getattr(scene, field) is array
    assert scene.frames == (frame,)


def test_scenes_cannot_be_changed():
    with pytest.raises(AttributeError):
        make_scene().name = "hall"


def test_memory_maps_stay_memory_maps(tmp_path):
    np.save(tmp_path / "points.npy", np.zeros((4, 3), np.float32))
    points = np.load(tmp_path / "points.npy", mmap_mode="r")
    assert isinstance(make_scene(points=points).points, np.memmap)


def test_no_faces_and_no_boxes_are_allowed():
    scene = make_scene(faces=np.zeros((0, 3), np.int64), boxes=np.zeros((0, 8), np.float32))
    assert len(scene.faces) == len(scene.boxes) == 0


def test_labels_without_a_label_set_have_no_upper_bound():
    assert make_scene(labels=np.full(4, 1000)).labels[0] == 1000


BOX_OF_CLASS_20 = np.array([[0, 0, 0, 1, 1, 1, 0, 20]], np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"points": np.zeros((4, 2), np.float32)},
            r"points must have shape \(n, 3\), got \(4, 2\)",
        ),
        ({"points": np.zeros((4, 3))}, "points must be float32, got float64"),
        ({"points": np.zeros((0, 3), np.float32)}, "points must hold at least one point, got 0"),
        (
            {"points": np.array([[0, 0, 0], [0, np.nan, 1]], np.float32)},
            r"points must be finite, got \[0.0, nan, 1.0\] in row 1",
        ),
        ({"colors": np.zeros((4, 3))}, "colors must be uint8, got float64"),
        ({"colors": np.zeros((3, 3), np.uint8)}, r"colors must have shape \(4, 3\), got \(3, 3\)"),
        ({"normals": np.full((4, 3), np.inf, np.float32)}, "normals must be finite"),
        ({"labels": np.zeros((4, 1), int)}, r"labels must have shape \(4,\), got \(4, 1\)"),
        ({"labels": np.zeros(4, np.int32)}, "labels must be int64, got int32"),
        ({"labels": np.full(4, -2)}, "labels must be at least -1, got -2"),
        (
            {"labels": np.array([0, 20, 0, 0]), "label_set": SCANNET20},
            r"labels must lie in \[-1, 20\) of scannet20, got 20",
        ),
        ({"boxes": BOX_OF_CLASS_20, "label_set": SCANNET20}, r"boxes must lie in \[-1, 20\)"),
        (
            {"frames": (make_frame(labels=np.full((2, 3), 20)),), "label_set": SCANNET20},
            r"frames\[0\].labels must lie in \[-1, 20\) of scannet20, got 20",
        ),
        ({"instances": np.array([0, 0, 0, -5])}, "instances must be at least -1, got -5"),
        ({"superpoints": np.array([0, 0, 0, -5])}, "superpoints must be at least -1, got -5"),
        ({"faces": np.array([[0, 1, 4]])}, r"faces must lie in \[0, 4\), got \[0, 4\]"),
        ({"faces": np.array([[-1, 1, 3]])}, r"faces must lie in \[0, 4\), got \[-1, 3\]"),
        ({"boxes": np.zeros((1, 7), np.float32)}, r"boxes must have shape \(k, 8\), got \(1, 7\)"),
        ({"boxes": np.full((1, 8), np.nan, np.float32)}, "boxes must be finite"),
    ],
)
def test_bad_scenes_are_rejected_by_name_field_and_rule(change, message):
    with pytest.raises(ValueError, match=f"scene 'room': {message}"):
        make_scene(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": np.zeros((3, 2), np.float32)}, r"depth must have shape \(2, 3\), got \(3, 2\)"),
        ({"depth": np.full((2, 3), -1, np.float32)}, "depth must be at least 0, got -1.0"),
        ({"depth": np.full((2, 3), np.nan, np.float32)}, "depth must be finite"),
        ({"camera_to_world": np.full((4, 4), -np.inf)}, "camera_to_world must be finite"),
        ({"intrinsics": np.eye(4)}, r"intrinsics must have shape \(3, 3\), got \(4, 4\)"),
        ({"intrinsics": np.eye(3, dtype=int)}, "intrinsics must be floating, got int64"),
        ({"labels": np.full((2, 3), -2)}, "labels must be at least -1, got -2"),
    ],
)
def test_bad_frames_are_rejected(change, message):
    with pytest.raises(ValueError, match=f"frame: {message}"):
        make_frame(**change)


def test_a_frame_may_have_no_depth():
    assert make_frame(depth=None).depth is None


def test_lazy_frames_are_read_when_they_are_asked_for():
    read = []

    def reader(name):
        read.append(name)
        return make_frame()

    names = [str(25 * i) for i in range(100)]
    scene = make_scene(frames=LazyFrames(names, reader), label_set=SCANNET20)
    assert len(read) < 10  # the type checker of the tests looks at a few
    read.clear()
    assert scene.frames[-1].image.shape == (2, 3, 3)
    assert len(list(scene.frames)) == 100
    assert read == ["2475", *names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": np.zeros(2)}, r"origin must have shape \(3,\), got \(2,\)"),
        ({"origin": np.zeros(3, np.float32)}, "origin must be float64, got float32"),
        ({"origin": np.array([0, np.nan, 0])}, "origin must be finite"),
        ({"valid_rows": np.ones(5, bool)}, "valid_rows must be true for each of 4 points, got 5"),
        ({"valid_rows": np.ones(4, int)}, "valid_rows must be bool"),
    ],
)
def test_an_origin_or_rows_that_do_not_fit_are_an_error(change, message):
    with pytest.raises(ValueError, match=f"scene 'room': {message}"):
        make_scene(**change)
