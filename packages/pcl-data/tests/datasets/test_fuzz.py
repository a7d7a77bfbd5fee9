"""Any bytes in what describes a data set give data or one error that names the file."""

import warnings
from random import Random

import numpy as np
import pytest

from pcl_data import SCANNET20
from pcl_data.datasets.dataset_yaml import read_dataset_yaml
from pcl_data.datasets.kitti_object import read_kitti_boxes
from pcl_data.datasets.nuscenes_tables import load_key_frames, load_samples
from pcl_data.datasets.scannet_annotation import read_annotation, read_label_table
from pcl_data.datasets.sun_rgbd_toolbox import read_toolbox_boxes
from pcl_data.pairs import load_pairs
from pcl_data.preparation import changed_files, read_manifest
from pcl_data.readers.kitti_calibration import read_kitti_calibration, read_kitti_poses
from pcl_data.splits import read_annotations, read_split

YAML = b"""name: mine
classes: [{name: floor, id: 2, color: [1, 2, 3], stuff: true}, {name: bench, id: 7}]
ignored: [1]
merged: {8: 7}
label_ids: raw
columns: {label: semanticID}
splits: {train: [a, &x b], val: ["c*", *x]}
"""
MANIFEST = b'{"source": "x", "scenes": {"a": {"coord.npy": [4, "ab"], "frames/0/d.npy": [1, "c"]}}}'
IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"
CALIBRATION = f"P2: {IDENTITY}\nTr: {IDENTITY}\n".encode()
BOXES = b"Car 0.00 0 1.85 387 181 423 203 1.67 1.87 3.69 -16.53 2.39 58.49 1.57\n"
TABLE = b"id\traw_category\tnyu40id\n1\twall\t1\n2\tchair\t5\n"
SEGMENTS = b'{"segIndices": [0, 0, 3, 3]}'
GROUPS = b'{"segGroups": [{"id": 0, "label": "wall", "segments": [0]}]}'
TOOLBOX = b"chair 1 2 3 4 0.1 0.2 0.3 0.4 0.5 0.6 1 0\n"
NAMES = ("a", "b", "c")
# Pieces that a mutation puts anywhere.
PIECES = (
    *(b"-1", b"0", b"1e999", b"nan", b"9" * 400, b"null", b"true", b"[]", b"{}", b'""', b"\0"),
    *(b"\xff\xfe", b"../", b"[" * 3000, b'{"a":' * 1000, b"&a [*a]", b"<<: ", b"\n", b" ", b"Inf"),
)


def matrices(path):
    return read_kitti_calibration(path, {"P2": (3, 4), "Tr": (3, 4)})


def manifest(path):
    changed_files(path.parent)
    return read_manifest(path.parent)


READERS = {
    "dataset.yaml": (YAML, read_dataset_yaml),
    "manifest.json": (MANIFEST, manifest),
    "split.txt": (b"a\nb\n\nx/00/velodyne/000012.bin\n", read_split),
    "pairs.txt": (b"a b 0.5\nb c 1.0\n", lambda path: load_pairs(path, NAMES)),
    "calib.txt": (CALIBRATION, matrices),
    "poses.txt": (IDENTITY.encode(), read_kitti_poses),
    "label_2.txt": (BOXES, lambda path: read_kitti_boxes(path, np.eye(4))),
    "labels.tsv": (TABLE, lambda path: read_label_table(path, "nyu40id")),
    "toolbox.txt": (TOOLBOX, read_toolbox_boxes),
}


def damaged(content, count=300):
    """The content with a few pieces put in, bytes changed or parts cut out, differently each time.

    The same mutations in every run.
    """
    random = Random(0)
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(random.randint(1, 3)):
            start = random.randint(0, len(changed))
            end = start + random.choice([0, 0, 1, 2, 8, 10**6])
            changed[start:end] = random.choice([*PIECES, random.randbytes(2)])
        yield bytes(changed)


def check(read, path, *named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except (ValueError, FileNotFoundError) as error:
            assert any(str(name) in str(error) for name in named)  # noqa: PT017
            assert len(str(error)) < 2000, str(error)[:500]  # noqa: PT017


@pytest.mark.parametrize("name", READERS)
def test_damage_is_one_error_that_names_the_file(tmp_path, name):
    content, read = READERS[name]
    (tmp_path / name).write_bytes(content)
    read(tmp_path / name)
    for changed in damaged(content, 100 if name.endswith("yaml") else 300):
        (tmp_path / name).write_bytes(changed)
        check(read, tmp_path / name, tmp_path)


def test_damaged_lists_of_points_are_an_error(tmp_path):
    path = tmp_path / "points.npz"
    np.savez_compressed(path, a=np.arange(50), b=np.arange(3))
    for changed in damaged(path.read_bytes()):
        path.write_bytes(changed)
        check(lambda path: read_annotations(path, NAMES), path, path)


SEGMENTS_NAME, GROUPS_NAME = "s_vh_clean_2.0.010000.segs.json", "s.aggregation.json"


@pytest.mark.parametrize(
    ("name", "content"), [(SEGMENTS_NAME, SEGMENTS), (GROUPS_NAME, GROUPS)], ids=["segs", "groups"]
)
def test_damaged_annotations_of_scannet_are_an_error(tmp_path, name, content):
    scan = tmp_path / "s"
    scan.mkdir()
    (scan / SEGMENTS_NAME).write_bytes(SEGMENTS)
    (scan / GROUPS_NAME).write_bytes(GROUPS)
    points = np.zeros((4, 3), np.float32)
    for changed in damaged(content):
        (scan / name).write_bytes(changed)
        check(lambda path: read_annotation(path, points, {"wall": 1}, SCANNET20), scan, scan)


TABLES = {
    "scene": b'[{"token": "s", "name": "scene-1"}]',
    "sample": b'[{"token": "a", "timestamp": 1, "scene_token": "s"}]',
    "sensor": b'[{"token": "l", "channel": "LIDAR_TOP"}]',
    "calibrated_sensor": b'[{"token": "c", "sensor_token": "l", "translation": [0, 0, 0], '
    b'"rotation": [1, 0, 0, 0], "camera_intrinsic": []}]',
    "ego_pose": b'[{"token": "e", "translation": [0, 0, 0], "rotation": [1, 0, 0, 0]}]',
    "sample_data": b'[{"token": "d", "sample_token": "a", "ego_pose_token": "e", "timestamp": 1, '
    b'"calibrated_sensor_token": "c", "is_key_frame": true, "filename": "f", "prev": ""}]',
    "sample_annotation": b'[{"sample_token": "a", "instance_token": "i", "size": [1, 1, 1], '
    b'"translation": [0, 0, 0], "rotation": [1, 0, 0, 0]}]',
    "category": b'[{"token": "k", "name": "vehicle.car"}]',
    "instance": b'[{"token": "i", "category_token": "k"}]',
}


def key_frames(folder):
    scene_of = load_samples(folder)
    frames = load_key_frames(folder, list(scene_of), scene_of, n_sweeps=2, cameras=False)
    for frame in frames.values():
        frame.lidar.sensor_to_world()


@pytest.mark.parametrize("broken", TABLES)
def test_damaged_tables_of_nuscenes_are_an_error(tmp_path, broken):
    for name, content in TABLES.items():
        (tmp_path / f"{name}.json").write_bytes(content)
    for changed in damaged(TABLES[broken], 40):
        (tmp_path / f"{broken}.json").write_bytes(changed)
        check(key_frames, tmp_path, tmp_path, "sample_data ")
