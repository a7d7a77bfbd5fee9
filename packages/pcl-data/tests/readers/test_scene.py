"""Tests of pcl_data.readers.scene_reader and pcl_data.raw_scan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from pcl_data import SCANNET20, Scene, save_scene
from pcl_data.export import write_ply
from pcl_data.file_errors import NeedsOption, library_errors
from pcl_data.readers import is_readable, read_scene, scan_from_columns, unread_columns
from pcl_data.shards import ShardFolder, write_shards


def write(path, **arrays):
    n = max((len(array) for array in arrays.values()), default=2)
    np.savez(path, **({"coord": np.zeros((n, 3), np.float32)} | arrays))
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 1, 255], np.uint8), [0, 1, 255]),
        (np.array([0, 1, 255], np.int64), [0, 1, 255]),
        (np.array([0, 1, 1], np.int64), [0, 1, 1]),  # whole numbers are never scaled
        (np.array([0, 0.5, 1]), [0, 128, 255]),
        (np.array([0, 0.25, 0.5], np.float32), [0, 64, 128]),
        (np.array([0, 1, 200.4]), [0, 1, 200]),
        (np.array([0, 0, 0.0]), [0, 0, 0]),
    ],
)
def test_colours_become_eight_bits(tmp_path, values, expected):
    scene = read_scene(write(tmp_path / "room.npz", color=np.tile(values, (2, 1))))
    assert scene.colors.tolist() == [expected] * 2


@pytest.mark.parametrize("values", [[-1, 0, 0], [0, 0, -0.1], [0, 70000, 80000], [0, 0.5, 1e6]])
def test_other_colours_are_an_error(tmp_path, values):
    with pytest.raises(ValueError, match=r"room\.npz: colors must lie in \[0, 1\] as fractions"):
        read_scene(write(tmp_path / "room.npz", color=np.array([values])))


def test_raw_ids_are_mapped_and_stuff_has_no_instances(tmp_path):
    arrays = {
        "label": np.array([1, 2, 5, 5, 13, 0, 39]),  # wall floor chair chair blinds none furniture
        "instance": np.array([1, 2, 3, 0, 4, 5, 6]),
    }
    path = write(tmp_path / "room.npz", **arrays)
    scene = read_scene(path, label_set=SCANNET20, label_ids="raw")
    assert scene.labels.tolist() == [0, 1, 4, 4, -1, -1, 19]
    assert scene.instances.tolist() == [-1, -1, 3, -1, -1, -1, 6]
    assert scene.label_set is SCANNET20


def test_raw_instances_without_labels_lose_only_the_zero(tmp_path):
    path = write(tmp_path / "room.npz", instance=np.array([0, 1, 2]))
    scene = read_scene(path, label_set=SCANNET20, label_ids="raw")
    assert scene.instances.tolist() == [-1, 1, 2]


def test_train_ids_stay_as_they_are(tmp_path):
    path = write(tmp_path / "room.npz", label=np.array([0, 19, -1]), instance=np.array([0, 4, 3]))
    scene = read_scene(path)
    assert scene.labels.tolist() == [0, 19, -1]
    assert scene.instances.tolist() == [0, 4, 3]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 20], {"label_set": SCANNET20}, r"room\.npz: .*labels must lie in \[-1, 20\)"),
        ([0, 255], {"label_set": SCANNET20, "label_ids": "raw"}, r"npz: raw must hold .* \[255\]"),
        ([0, -2, -3], {}, "labels must be at least -1, got -3"),
        ([0.5, 1], {}, "labels must be whole numbers below 2[*][*]63, got 0.5"),
        ([1e19, 1], {}, "labels must be whole numbers"),
        ([0, 1], {"label_ids": "raw"}, "label_set must be given with label_ids='raw'"),
    ],
)
def test_labels_outside_the_rules_are_an_error(tmp_path, labels, options, message):
    with pytest.raises(ValueError, match=message):
        read_scene(write(tmp_path / "room.npz", label=np.array(labels)), **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_points_without_a_place_are_counted(tmp_path, bad):
    points = np.zeros((5, 3))
    points[1, 0] = points[1, 2] = points[3, 1] = bad
    path = write(tmp_path / "room.npz", coord=points)
    with pytest.raises(ValueError, match="got 2 NaN or infinite ones among 5"):
        read_scene(path)
    assert len(read_scene(path, drop_invalid=True).points) == 3


def test_dropping_points_keeps_rows_and_faces_together(tmp_path):
    text = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
    text += "property float z\nproperty int label\nelement face 3\n"
    text += "property list uchar int vertex_indices\nend_header\n"
    text += "0 0 0 10\nnan 0 0 11\n1 0 0 12\n1 1 0 13\n0 1 0 14\n"
    text += "3 0 2 3\n3 0 1 2\n3 4 3 2\n"
    (tmp_path / "room.ply").write_text(text)
    scene = read_scene(tmp_path / "room.ply", drop_invalid=True)
    assert scene.labels.tolist() == [10, 12, 13, 14]
    assert scene.faces.tolist() == [[0, 1, 2], [3, 2, 1]]
    (tmp_path / "room.ply").write_text(text.replace("3 4 3 2\n", "3 4 3 5\n"))
    with pytest.warns(UserWarning, match=r"1 of 3 faces name points outside \[0, 5\)"):
        scene = read_scene(tmp_path / "room.ply", drop_invalid=True)
    assert scene.faces.tolist() == [[0, 1, 2]]
    assert scene.valid_rows.tolist() == [True, False, True, True, True]


def test_no_point_at_all_is_an_error(tmp_path):
    path = write(tmp_path / "room.npz", coord=np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="points must hold at least one point"):
        read_scene(path, drop_invalid=True)


def stored(path, points, kind):
    """The points as a scan of a format; numbers of each keep millimetres at 4000 km."""
    if kind == "folder":
        path.mkdir()
        np.save(path / "coord.npy", points)
    elif kind == "npz":
        path = write(path.with_suffix(".npz"), coord=points)
    elif kind == "npy":
        np.save(path := path.with_suffix(".npy"), points)
    elif kind == "txt":
        np.savetxt(path := path.with_suffix(".txt"), points, "%.3f")
    elif kind == "ply":
        table = np.empty(len(points), [(axis, points.dtype) for axis in "xyz"])
        for axis, column in zip("xyz", points.T, strict=True):
            table[axis] = column
        PlyData([PlyElement.describe(table, "vertex")]).write(path := path.with_suffix(".ply"))
    elif kind == "shard":
        scene = Scene("far", points.astype(np.float32))
        (path,) = write_shards([scene], path)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("kind", ["folder", "npz", "npy", "txt", "ply", "shard"])
def test_far_points_are_moved_alike_in_every_format(tmp_path, kind, dtype):
    points = np.array([[388096, -3948996, 30], [388098, -3948994, 31], [388100, -3948992, 32]])
    path = stored(tmp_path / "far", points.astype(dtype), kind)
    scene = ShardFolder(path)[0] if kind == "shard" else read_scene(path)
    assert scene.origin.tolist() == [388098, -3948994, 31]
    assert scene.points.tolist() == [[-2, -2, -1], [0, 0, 0], [2, 2, 1]]


@pytest.mark.parametrize("kind", ["folder", "npz", "npy", "txt", "ply"])
def test_a_far_point_costs_the_others_no_precision(tmp_path, kind):
    points = np.array([[0, 0, 0], [4e6, 0, 0], [0.125, 0, 0], [0.25, 0, 0], [0.375, 1, 1.0]])
    points += [388096.0, 3948996, 2000]
    scene = read_scene(stored(tmp_path / "far", points, kind))
    assert np.array_equal((scene.points + scene.origin)[[0, 2, 3, 4]], points[[0, 2, 3, 4]])
    assert np.abs(scene.points[2:]).max() <= 1


def test_near_points_stay_where_they_are(tmp_path):
    near = np.array([[1024.0, -5.25, 0], [-1024, 5, 1]])
    scene = read_scene(write(tmp_path / "near.npz", coord=near))
    assert scene.origin is None
    assert scene.points.tolist() == near.tolist()
    stray = np.concatenate([np.full((9, 3), 0.5), [[5000, 0, 0]]])
    assert read_scene(write(tmp_path / "stray.npz", coord=stray)).origin is None


def test_things_alone_have_instances_in_every_format(tmp_path):
    labels, instances = np.array([0, 1, 4, -1]), np.array([5, 6, 7, 8])
    points = np.eye(4, 3, dtype=np.float32)
    scene = Scene("room", points, labels=labels, instances=instances)
    save_scene(scene, tmp_path / "room")
    np.savez(tmp_path / "room.npz", coord=points, label=labels, instance=instances)
    write_ply(tmp_path / "room.ply", points, labels=labels, instances=instances)
    table = np.c_[points, np.zeros((4, 3)), labels, instances]
    np.savetxt(tmp_path / "room.txt", table, "%g", header="x y z r g b label instance")
    (shard,) = write_shards([scene], tmp_path / "shards")
    for name in ("room", "room.npz", "room.ply", "room.txt"):
        assert read_scene(tmp_path / name).instances.tolist() == [5, 6, 7, 8]
        found = read_scene(tmp_path / name, label_set=SCANNET20).instances
        assert found.tolist() == [-1, -1, 7, -1], name
    assert ShardFolder(shard, label_set=SCANNET20)[0].instances.tolist() == [-1, -1, 7, -1]


def test_options_reach_scene_folders_too(tmp_path):
    points = np.array([[0, 0, 0], [np.nan, 0, 0], [1, 1, 1.0]])
    (tmp_path / "room").mkdir()
    np.save(tmp_path / "room" / "coord.npy", points)
    np.save(tmp_path / "room" / "time.npy", np.arange(3, dtype=np.float32))
    np.save(tmp_path / "room" / "semantics.npy", np.arange(3))
    with pytest.raises(NeedsOption, match="got 1 NaN or infinite ones among 3"):
        read_scene(tmp_path / "room")
    with pytest.warns(UserWarning, match="room: columns that are not understood: semantics: label"):
        scene = read_scene(tmp_path / "room", drop_invalid=True)
    assert scene.times.tolist() == [0, 2]
    assert scene.valid_rows.tolist() == [True, False, True]
    assert unread_columns(tmp_path / "room") == ("semantics",)


def test_scene_folders_are_read_too(tmp_path):
    scene = Scene(
        "room",
        np.zeros((3, 3), np.float32),
        labels=np.array([1, 5, 0]),
        instances=np.array([1, 2, 0]),
    )
    save_scene(scene, tmp_path / "other")
    assert is_readable(tmp_path / "other")
    assert read_scene(tmp_path / "other").name == "other"
    assert read_scene(tmp_path / "other").labels.tolist() == [1, 5, 0]
    raw = read_scene(tmp_path / "other", label_set=SCANNET20, label_ids="raw")
    assert raw.labels.tolist() == [0, 4, -1]
    assert raw.instances.tolist() == [-1, 2, -1]
    assert raw.label_set is SCANNET20


def test_what_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "notes.md").write_text("0 0 0")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ply"):
        read_scene(tmp_path / "nowhere.ply")
    for path in (tmp_path, tmp_path / "notes.md"):
        with pytest.raises(ValueError, match=r"must be a scene folder or \.ply \.pcd"):
            read_scene(path)
        assert not is_readable(path)


def test_suffixes_are_known_in_capitals(tmp_path):
    (tmp_path / "ROOM.XYZ").write_text("0 1 2\n")
    assert read_scene(tmp_path / "ROOM.XYZ").points.tolist() == [[0, 1, 2]]


def test_two_colour_columns_are_no_colours():
    column = np.zeros(2)
    scan = scan_from_columns({"x": column, "y": column, "z": column, "r": column, "g": column})
    assert scan.colors is None
    with pytest.raises(ValueError, match="columns must include x, y and z, got x, y"):
        scan_from_columns({"x": column, "y": column})


@pytest.mark.parametrize("kind", [PermissionError, FileNotFoundError, KeyboardInterrupt])
def test_what_is_not_the_fault_of_the_file_passes(kind):
    with pytest.raises(kind), library_errors("PLY"):
        raise kind("not the file")


@pytest.mark.parametrize("kind", [MemoryError, EOFError, KeyError, ValueError])
def test_what_libraries_raise_is_a_value_error(kind):
    message = "must be a complete PLY file, got: "
    with pytest.raises(ValueError, match=message), library_errors("PLY"):
        raise kind


@given(st.lists(st.integers(-1, 2**62), min_size=1, max_size=8))
def test_ids_survive_exactly(tmp_path_factory, ids):
    path = write(tmp_path_factory.mktemp("ids") / "room.npz", superpoint=np.array(ids))
    assert read_scene(path).superpoints.tolist() == ids


def test_labels_that_nobody_asks_for_are_left_out(tmp_path):
    """Foreign ids do not keep a scan from being read."""
    arrays = {"coord": np.eye(3, dtype=np.float32), "nyu40": np.array([1, 99, 2])}
    np.savez(tmp_path / "scan.npz", **arrays, instance=np.array([0, 5, -7]))
    scene = read_scene(tmp_path / "scan.npz", label_ids="none")
    assert scene.labels is None
    assert scene.instances is None
    stored = Scene("room", scene.points, labels=np.array([70, -1, 3]))
    save_scene(stored, tmp_path / "room")
    assert read_scene(tmp_path / "room", label_ids="none").labels is None
