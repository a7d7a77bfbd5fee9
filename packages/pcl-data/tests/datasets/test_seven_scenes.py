"""Tests of pcl_data.datasets.seven_scenes on sequences that the tests write in its layout."""

import numpy as np
import pytest
from PIL import Image

from pcl_data.datasets import SevenScenes
from pcl_data.testing import check_dataset

POSE = np.array([[1.0, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def write(folder, n_frames, *, pose=POSE, suffix=".png"):
    folder.mkdir(parents=True)
    for i in range(n_frames):
        depth = np.full((480, 640), 65535, np.uint16)
        depth[240, 320] = 2000  # the principal point
        depth[240, 320 + 120 + i] = 2000
        stem = f"frame-{i:06d}"
        Image.fromarray(depth).save(folder / f"{stem}.depth.png")
        Image.fromarray(np.full((480, 640, 3), i, np.uint8)).save(folder / f"{stem}.color{suffix}")
        np.savetxt(folder / f"{stem}.pose.txt", pose)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "chess" / "seq-01", 3)
    write(tmp_path / "chess" / "seq-03", 1)
    write(tmp_path / "fire" / "seq-02", 1)
    (tmp_path / "chess" / "TrainSplit.txt").write_text("sequence1\r\n")
    (tmp_path / "chess" / "TestSplit.txt").write_text("sequence3\n")
    (tmp_path / "fire" / "TrainSplit.txt").write_text("sequence2\n")
    return tmp_path


def test_splits_join_the_rooms(root):
    assert SevenScenes(root).names == ("chess_seq-01", "fire_seq-02")
    assert SevenScenes(root, "test").names == ("chess_seq-03",)
    assert SevenScenes(root, ["chess/seq-01"]).names == ("chess_seq-01",)
    assert SevenScenes(root, ["chess_seq-01"]).names == ("chess_seq-01",)
    check_dataset(SevenScenes(root))


def test_points_are_unprojected_turned_upright_and_thinned(root):
    scene = SevenScenes(root, ["chess/seq-01"], frame_step=2)[0]
    assert [frame.image[0, 0, 0] for frame in scene.frames] == [0, 2]
    # The camera at x = 0.5 sees 2 m ahead, along y, and 120 pixels, 0.41 m, to the right; the
    # second frame sees the first point again and another one 2 pixels, 7 mm, further on.
    np.testing.assert_allclose(scene.points, [[0.5, 2, 0], [0.5 + 240 / 585, 2, 0]], atol=1e-6)
    assert scene.colors.tolist() == [[0, 0, 0]] * 2
    finer = SevenScenes(root, ["chess/seq-01"], frame_step=2, voxel_size=0.001)[0]
    np.testing.assert_allclose(finer.points[2], [0.5 + 244 / 585, 2, 0], atol=1e-6)
    assert finer.colors.tolist()[2] == [2, 2, 2]


def test_down_in_the_image_is_down_in_the_world(tmp_path):
    write(tmp_path / "a" / "seq-01", 1)
    depth = np.zeros((480, 640), np.uint16)
    depth[470, 320] = 1000
    Image.fromarray(depth).save(tmp_path / "a" / "seq-01" / "frame-000000.depth.png")
    np.testing.assert_allclose(SevenScenes(tmp_path, "a")[0].points, [[0.5, 1, -230 / 585]])


def test_intrinsics_of_a_file_and_jpegs_are_taken(tmp_path):
    write(tmp_path / "a" / "seq-01", 1, suffix=".jpg")
    np.savetxt(
        tmp_path / "a" / "seq-01" / "camera-intrinsics.txt", [[100, 0, 3], [0, 100, 4], [0, 0, 1]]
    )
    frame = SevenScenes(tmp_path, "a")[0].frames[0]
    assert frame.intrinsics[0].tolist() == [100, 0, 3]


def test_frames_with_a_lost_pose_are_left_out(root):
    pose = root / "chess" / "seq-01" / "frame-000000.pose.txt"
    np.savetxt(pose, np.full((4, 4), -np.inf))
    assert len(SevenScenes(root, ["chess/seq-01"], frame_step=1)[0].frames) == 2
    pose.write_text("1 0 0 nan\n" * 4)
    with pytest.raises(ValueError, match=r"frame-000000\.pose\.txt: must hold finite numbers"):
        SevenScenes(root, ["chess/seq-01"], frame_step=1)[0]


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(
        ValueError, match=r"one of train, test, a group such as chess, a name .*, got 'val'"
    ):
        SevenScenes(root, "val")
    with pytest.raises(ValueError, match="frame_step must be at least 1, got 0"):
        SevenScenes(root, frame_step=0)
    with pytest.raises(ValueError, match="voxel_size must be positive, got 0"):
        SevenScenes(root, voxel_size=0.0)
    with pytest.raises(FileNotFoundError, match=r"no_seq-01.*|no/seq-01/frame-000000\.pose\.txt"):
        SevenScenes(root, ["no/seq-01"])
    (root / "fire" / "seq-02" / "frame-000000.depth.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"fire/seq-02/frame-000000\.depth\.png missing"):
        SevenScenes(root)
    (root / "fire" / "TrainSplit.txt").write_text("seq-02\n")
    with pytest.raises(ValueError, match=r"TrainSplit\.txt: must hold lines like 'sequence1'"):
        SevenScenes(root)
    with pytest.raises(FileNotFoundError, match=r"7-Scenes: chess/TrainSplit\.txt missing, from"):
        SevenScenes(root / "chess")
