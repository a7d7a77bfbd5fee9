"""Tests of pcl_data.datasets.scannet_frames on frames that are written here, through ScanNet."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pcl_data import SCANNET20
from pcl_data.datasets import ScanNet
from pcl_data.export import write_ply
from pcl_data.testing import check_dataset

NAME = "scene0000_00"
DEPTH = np.full((6, 8), 2000, np.uint16)
COLOR = np.zeros((12, 16, 3), np.uint8)
INTRINSICS = np.array([[8.0, 0, 3.5, 0], [0, 8, 2.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
COLOR_INTRINSICS = np.array([[16.0, 0, 7.5, 0], [0, 16, 5.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
POSE = np.eye(4)  # looks along z at the points, which are 2 m away
LOST = np.full((4, 4), -np.inf)
SHIFT = np.array([[1.0, 0, 0, 10], [0, 1, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])


@pytest.fixture
def root(tmp_path):
    scan = tmp_path / "scans" / NAME
    scan.mkdir(parents=True)
    points = np.array([[0, 0, 2], [0.1, 0, 2], [0, 0.1, 2]], np.float32)
    write_ply(scan / f"{NAME}_vh_clean_2.ply", points)
    (scan / f"{NAME}.txt").write_text(f"axisAlignment = {' '.join(map(str, SHIFT.ravel()))}\n")
    (scan / f"{NAME}_vh_clean_2.0.010000.segs.json").write_text('{"segIndices": [0, 0, 0]}')
    (scan / f"{NAME}.aggregation.json").write_text(json.dumps({"segGroups": []}))
    (tmp_path / "scannetv2-labels.combined.tsv").write_text("id\traw_category\tnyu40id\n")
    return tmp_path


def write_stream(root, poses):
    matrices = (INTRINSICS * 2, np.eye(4), INTRINSICS, np.eye(4))
    content = struct.pack("<IQ", 4, 0) + b"".join(m.astype("<f4").tobytes() for m in matrices)
    content += struct.pack("<iiIIIIfQ", 0, 1, 16, 12, 8, 6, 1000.0, len(poses))
    for i, pose in enumerate(poses):
        color, depth = (COLOR + i).astype(np.uint8).tobytes(), zlib.compress(DEPTH.tobytes())
        content += np.asarray(pose, "<f4").tobytes()
        content += struct.pack("<QQQQ", 0, 0, len(color), len(depth)) + color + depth
    (root / "scans" / NAME / f"{NAME}.sens").write_bytes(content)


def write_folders(folder, poses, *, intrinsics="intrinsic/intrinsic_depth.txt", names=str):
    for kind in ("color", "depth", "pose", "intrinsic"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for i, pose in poses.items():
        Image.fromarray(COLOR + i).save(folder / "color" / f"{names(i)}.jpg")
        Image.fromarray(DEPTH).save(folder / "depth" / f"{names(i)}.png")
        np.savetxt(folder / "pose" / f"{names(i)}.txt", pose)
    np.savetxt(folder / intrinsics, COLOR_INTRINSICS if "color" in intrinsics else INTRINSICS)


def scene(root, frames, **options):
    return ScanNet(root, [NAME], frames=frames, **options)[0]


def test_without_frames_nothing_of_them_is_needed(root):
    assert scene(root, "none").frames == ()


def test_every_step_of_a_stream_is_taken_but_lost_frames(root):
    write_stream(root, [POSE, POSE, LOST, POSE, POSE, POSE])
    frames = scene(root, "sens", frame_step=2).frames
    assert frames.names == ("0", "4")
    assert [frame.image.max() for frame in frames] == [0, 4]
    assert len(scene(root, "sens").frames) == 1  # every 25th
    check_dataset(ScanNet(root, [NAME], frames="sens", frame_step=2))


def test_poses_are_aligned_as_the_points_are(root):
    write_stream(root, [POSE])
    write_folders(root / "frames" / NAME, {0: POSE})
    for source in ("sens", "folders"):
        (frame,) = scene(root, source).frames
        np.testing.assert_array_equal(frame.camera_to_world, SHIFT)
        np.testing.assert_array_equal(frame.intrinsics, INTRINSICS[:3, :3])
        assert frame.image.shape == (6, 8, 3)
        assert frame.depth.shape == (6, 8)
        assert np.unique(frame.depth) == 2


def test_a_broken_pose_of_a_stream_is_an_error(root):
    write_stream(root, [POSE, POSE * np.nan])
    with pytest.raises(ValueError, match=r"\.sens: poses must be finite or lost, got .* frame 1"):
        scene(root, "sens", frame_step=1)


def test_folders_are_found_beside_the_scans_and_in_them_in_the_order_of_numbers(root):
    write_folders(root / "scans" / NAME, {100: POSE, 20: POSE, 3: LOST})
    assert scene(root, "folders").frames.names == ("20", "100")
    write_folders(root / "frames" / NAME, {7: POSE})
    assert scene(root, "folders").frames.names == ("7",)
    check_dataset(ScanNet(root, [NAME], frames="folders"))


@pytest.mark.parametrize("name", ["intrinsic/intrinsic_color.txt", "intrinsics_color.txt"])
def test_intrinsics_of_the_colour_camera_alone_are_scaled_to_the_depth(root, name):
    write_folders(root / "frames" / NAME, {0: POSE}, intrinsics=name)
    (frame,) = scene(root, "folders").frames
    np.testing.assert_allclose(frame.intrinsics, INTRINSICS[:3, :3])
    of_depth = INTRINSICS + np.diag([1.0, 1, 0, 0])
    np.savetxt(root / "frames" / NAME / "intrinsics_depth.txt", of_depth)
    (frame,) = scene(root, "folders").frames  # those of the depth camera come first
    np.testing.assert_array_equal(frame.intrinsics, of_depth[:3, :3])


def test_images_without_depth_have_the_size_and_the_intrinsics_of_the_colour_camera(root):
    folder = root / "frames" / NAME
    write_folders(folder, {0: POSE}, intrinsics="intrinsic/intrinsic_color.txt")
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", INTRINSICS)
    shutil.rmtree(folder / "depth")
    (frame,) = scene(root, "folders").frames
    assert (frame.depth, frame.image.shape) == (None, (12, 16, 3))
    np.testing.assert_array_equal(frame.intrinsics, COLOR_INTRINSICS[:3, :3])


@pytest.mark.parametrize("scale", [0.5, 2])
def test_intrinsics_of_an_image_of_another_size_are_an_error(root, scale):
    folder = root / "frames" / NAME
    write_folders(folder, {0: POSE})
    resize = np.array([[scale, 0, (scale - 1) / 2, 0], [0, scale, (scale - 1) / 2, 0]])
    resize = np.concatenate([resize, [[0, 0, 1, 0], [0, 0, 0, 1]]])
    frames = scene(root, "folders").frames
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", resize @ INTRINSICS)
    with pytest.raises(
        ValueError, match=r"_depth\.txt: intrinsics must have .* near the middle .* 6 x 8 pixels"
    ):
        frames[0]


def test_frames_of_the_25k_have_labels_and_instances_of_things(root):
    folder = root / "scannet_frames_25k" / NAME
    write_folders(folder, {100: POSE}, intrinsics="intrinsics_depth.txt", names="{:06d}".format)
    labels = np.zeros((12, 16), np.uint8)
    labels[:6, :8], labels[:6, 8:], labels[6:, :8] = 1, 5, 40  # wall, chair, other property
    instances = 1000 * labels.astype(np.uint16)
    instances[:6, 8:14] += 3  # the last pixel of the chair has no number
    instances[6:, :8] += 1
    for kind, ids in (("label", labels), ("instance", instances)):
        (folder / kind).mkdir()
        Image.fromarray(ids).save(folder / kind / "000100.png")
    (frame,) = scene(root, "25k").frames
    chair = SCANNET20.names.index("chair")
    assert frame.labels.tolist() == [[0] * 4 + [chair] * 4] * 3 + [[-1] * 8] * 3
    assert frame.instances.tolist() == [[-1] * 4 + [5003] * 3 + [-1]] * 3 + [[-1] * 8] * 3
    frames = scene(root, "25k").frames
    Image.fromarray(labels + 41).save(folder / "label" / "000100.png")
    with pytest.raises(
        ValueError, match=r"label/000100\.png: raw must hold ids known to scannet20"
    ):
        frames[0]


def test_what_is_missing_or_broken_is_named(root):
    with pytest.raises(FileNotFoundError, match=rf"scans/{NAME}/{NAME}\.sens missing"):
        ScanNet(root, [NAME], frames="sens")
    with pytest.raises(FileNotFoundError, match=r"intrinsic/intrinsic_depth\.txt missing"):
        ScanNet(root, [NAME], frames="folders")
    folder = root / "frames" / NAME
    write_folders(folder, {})
    with pytest.raises(FileNotFoundError, match=r"must hold pose/\*\.txt, got none"):
        scene(root, "folders")
    write_folders(folder, {0: POSE})
    (folder / "pose" / "0.txt").write_text("1 0 0 inf\n" * 4)
    with pytest.raises(ValueError, match=r"pose/0\.txt: must hold finite numbers, or -inf alone"):
        scene(root, "folders")
    np.savetxt(folder / "pose" / "0.txt", POSE)
    frames = scene(root, "folders").frames
    (folder / "color" / "0.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"color/0\.jpg: must be a complete image"):
        frames[0]
