"""Tests of pcl_data.datasets.frame_folder on frames that are written here."""

import numpy as np
import pytest
from PIL import Image

from pcl_data.datasets import FrameFolder
from pcl_data.testing import check_dataset

INTRINSICS = np.array([[8.0, 0, 3.5, 0], [0, 8, 2.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
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
    np.savetxt(folder / intrinsics, INTRINSICS)


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
    np.testing.assert_allclose(frame.intrinsics[0], [4, 0, 1.5])


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
