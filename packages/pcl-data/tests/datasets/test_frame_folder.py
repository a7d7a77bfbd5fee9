"""Tests of pcl_data.datasets.frame_folder on frames that are written here."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pcl_data import Scene, save_scene
from pcl_data.datasets import FrameFolder
from pcl_data.export import write_ply
from pcl_data.testing import check_dataset

INTRINSICS = np.array([[8.0, 0, 3.5, 0], [0, 8, 2.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
COLOR_INTRINSICS = np.array([[16.0, 0, 7.5, 0], [0, 16, 5.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
TURN = np.array([[1.0, 0, 0, 5], [0, 0, 1, 0], [0, -1, 0, 1], [0, 0, 0, 1]])  # looks along y


def write(folder, n_frames, *, intrinsics="intrinsic/intrinsic_depth.txt"):
    """Frames of a pixel that is 2 m away, and of one that is farther in each frame."""
    for kind in ("color", "depth", "pose", "intrinsic"):
        (folder / kind).mkdir(parents=True)
    for i in range(n_frames):
        depth = np.zeros((6, 8), np.uint16)
        depth[2, 3], depth[5, 7] = 2000, 3000 + 1000 * i
        Image.fromarray(depth).save(folder / "depth" / f"{i}.png")
        Image.fromarray(np.full((12, 16, 3), i, np.uint8)).save(folder / "color" / f"{i}.png")
        np.savetxt(folder / "pose" / f"{i}.txt", TURN)
    np.savetxt(folder / intrinsics, COLOR_INTRINSICS if "color" in intrinsics else INTRINSICS)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "kitchen", 11)
    write(tmp_path / "attic", 1)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_scenes_are_the_folders_with_poses_and_points_what_the_frames_see(root):
    folder = FrameFolder(root, frame_step=5)
    assert (folder.names, folder.label_set) == (("attic", "kitchen"), None)
    check_dataset(folder)
    scene = folder[1]
    assert scene.frames.names == ("0", "5", "10")  # by number, not by letter
    x, z = 3.5 / 8, 2.5 / 8  # of the far pixel, a metre away
    near = [5 - 0.5 * 2 / 8, 2, 1 + 0.5 * 2 / 8]
    far = [[5 + x * depth, depth, 1 - z * depth] for depth in (3, 8, 13)]
    order = np.argsort(scene.points[:, 1])
    np.testing.assert_allclose(scene.points[order], [near, *far], atol=1e-6)
    assert scene.colors[order].tolist() == [[i] * 3 for i in (0, 0, 5, 10)]


def test_voxels_thin_what_frames_saw_twice(root):
    assert len(FrameFolder(root, ["kitchen"], voxel_size=100.0)[0].points) < 4
    assert len(FrameFolder(root, ["kitchen"])[0].points) == 12
    assert FrameFolder(root, ["kitchen"]).names == ("kitchen",)


def test_lost_frames_are_left_out_and_colour_intrinsics_scaled(tmp_path):
    write(tmp_path / "a", 2, intrinsics="intrinsics_color.txt")
    np.savetxt(tmp_path / "a" / "pose" / "0.txt", np.full((4, 4), -np.inf))
    (frame,) = FrameFolder(tmp_path)[0].frames
    assert frame.image.max() == 1
    np.testing.assert_allclose(frame.intrinsics, INTRINSICS[:3, :3])


SCAN = np.array([[5, 2, 1], [5, 3, 1], [6, 3, 1]], np.float32)


def write_scan(folder, **arrays):
    write_ply(folder / "scan.ply", SCAN, **arrays)


def test_a_scan_is_the_scene_in_place_of_what_the_frames_see(root):
    colors, faces = np.full((3, 3), 7, np.uint8), np.array([[0, 1, 2]])
    write_scan(root / "attic", colors=colors, faces=faces)
    folder = FrameFolder(root, ["attic"])
    check_dataset(folder)
    scene = folder[0]
    assert scene.name == "attic"
    np.testing.assert_array_equal(scene.points, SCAN)
    np.testing.assert_array_equal(scene.colors, colors)
    np.testing.assert_array_equal(scene.faces, faces)
    (frame,) = scene.frames
    assert frame.depth.shape == (6, 8)
    np.testing.assert_array_equal(frame.camera_to_world, TURN)


def test_a_scan_folder_is_a_scan_and_its_labels_can_be_left_out(root):
    points, labels = np.zeros((2, 3), np.float32), np.array([1, -1])
    save_scene(Scene("any", points, labels=labels), root / "attic" / "scan")
    assert FrameFolder(root, ["attic"])[0].labels.tolist() == [1, -1]
    assert FrameFolder(root, ["attic"], label_ids="none")[0].labels is None
    shutil.rmtree(root / "attic" / "scan")
    np.savez(root / "attic" / "scan.npz", coord=points, segment=np.array([0.5, 1]))
    assert FrameFolder(root, ["attic"], label_ids="none")[0].labels is None
    with pytest.raises(ValueError, match="labels must"):
        FrameFolder(root, ["attic"])[0]


def test_frames_without_depth_need_a_scan(root):
    folder = root / "attic"
    shutil.rmtree(folder / "depth")
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", COLOR_INTRINSICS)
    with pytest.raises(FileNotFoundError, match=r"attic/scan\.ply missing, .*stand in for depth/"):
        FrameFolder(root, ["attic"])
    write_scan(folder)
    dataset = FrameFolder(root, ["attic"])
    check_dataset(dataset)
    (frame,) = dataset[0].frames
    assert (frame.depth, frame.image.shape) == (None, (12, 16, 3))
    np.testing.assert_array_equal(frame.intrinsics, COLOR_INTRINSICS[:3, :3])
    (folder / "intrinsic" / "intrinsic_color.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"attic/intrinsic/intrinsic_color\.txt missing"):
        FrameFolder(root, ["attic"])


def test_cameras_move_with_a_scan_that_lies_far_from_the_origin(root):
    far = np.array([300_000.0, 5_000_000, 100])
    np.savetxt(root / "attic" / "scan.xyz", SCAN + far, "%.3f")
    pose = TURN.copy()
    pose[:3, 3] += far
    np.savetxt(root / "attic" / "pose" / "0.txt", pose)
    scene = FrameFolder(root, ["attic"])[0]
    (frame,) = scene.frames
    assert np.abs(scene.points).max() < 1024
    ray = scene.points[0] - frame.camera_to_world[:3, 3]
    np.testing.assert_allclose(ray, SCAN[0] - TURN[:3, 3], atol=1e-6)


def test_two_scans_or_a_scan_of_an_unknown_format_are_errors(root):
    (root / "attic" / "scan.obj").write_text("v 0 0 0\n")
    with pytest.raises(ValueError, match=r"scan\.obj: must be a scene folder or \.ply"):
        FrameFolder(root, ["attic"])[0]
    write_scan(root / "attic")
    assert len(FrameFolder(root, ["attic"])[0].points) == 3
    (root / "attic" / "scan.xyz").write_text("0 0 0\n")
    with pytest.raises(ValueError, match=r"attic: must hold one scan, got scan\.ply and scan\.xyz"):
        FrameFolder(root, ["attic"])


def test_points_of_a_scan_without_a_place_are_left_out_on_request(root):
    (root / "attic" / "scan.xyz").write_text("0 0 0\nnan 0 0\n1 1 1\n")
    with pytest.raises(ValueError, match="drop_invalid=true"):
        FrameFolder(root, ["attic"])[0]
    assert len(FrameFolder(root, ["attic"], drop_invalid=True)[0].points) == 2


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(
        ValueError, match=r"split must be a name such as .*, or a pattern, got 'train'"
    ):
        FrameFolder(root, "train")
    with pytest.raises(FileNotFoundError, match=r"must hold posed frames: ./pose missing"):
        FrameFolder(root / "notes")
    with pytest.raises(ValueError, match=r"split must be a name such as attic, .* got 'cellar'"):
        FrameFolder(root, ["cellar"])
    (root / "attic" / "pose" / "0.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"attic must hold pose/\*\.txt, got none"):
        FrameFolder(root)[0]
    (root / "kitchen" / "depth" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"posed frames: kitchen/depth/3\.png missing"):
        FrameFolder(root)
