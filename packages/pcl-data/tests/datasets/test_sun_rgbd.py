"""Tests of pcl_data.datasets.sun_rgbd on exports that the tests write."""

import numpy as np
import pytest
from PIL import Image

from pcl_data import SUNRGBD10
from pcl_data.datasets import SunRgbd
from pcl_data.testing import check_dataset

TABLE = np.array([[0, 2, 0, 0, 0.2, 1], [1, 4, -1, 1, 1, 1], [-1, 2, 0.5, 0.5, 0, 0]], np.float32)
BOXES = np.array([[1.0, 2, 3, 0.5, 0.25, 1, 0.5, 3], [0, 0, 0, 1, 1, 1, -2, 9]])
EXPORT = "sunrgbd_pc_bbox_votes_50k_v1_{}"


def write(folder, name, table=TABLE, boxes=BOXES):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{name}_pc.npz", pc=table)
    np.save(folder / f"{name}_bbox.npy", boxes)


@pytest.fixture
def root(tmp_path):
    for split, names in (("train", ("005051", "005052")), ("val", ("000001",))):
        for name in names:
            write(tmp_path / EXPORT.format(split), name)
    return tmp_path


def test_half_lengths_are_doubled_and_headings_turned_the_other_way(root):
    scene = SunRgbd(root, "val")[0]
    chair, bathtub = SUNRGBD10.names.index("chair"), SUNRGBD10.names.index("bathtub")
    expected = [[1, 2, 3, 1, 0.5, 2, -0.5, chair], [0, 0, 0, 2, 2, 2, 2, bathtub]]
    np.testing.assert_array_equal(scene.boxes, np.float32(expected))


def test_points_and_colours_are_read(root):
    scene = SunRgbd(root, "val")[0]
    np.testing.assert_array_equal(scene.points, TABLE[:, :3])
    assert scene.colors.tolist() == [[0, 51, 255], [255, 255, 255], [128, 0, 0]]
    assert scene.labels is None
    assert scene.frames == ()


def test_splits_are_folders_of_three_names(root, tmp_path):
    assert SunRgbd(root).names == ("005051", "005052")
    assert SunRgbd(root, ["000001", "005052"]).names == ("000001", "005052")
    (root / EXPORT.format("val")).rename(root / "val")
    assert SunRgbd(root, "val").names == ("000001",)
    assert SunRgbd(root / "val", "val").names == ("000001",)
    check_dataset(SunRgbd(root))


def test_points_without_colours_and_rooms_without_boxes_are_read(tmp_path):
    write(tmp_path, "000001", TABLE[:, :3], np.zeros((0, 8)))
    scene = SunRgbd(tmp_path)[0]
    assert scene.colors is None
    assert scene.boxes.shape == (0, 8)


def test_the_photograph_is_a_frame_that_sees_the_points_at_their_depth(root):
    tilt = np.array([[1, 0, 0], [0, 0.8, 0.6], [0, -0.6, 0.8]])  # the camera looks down
    camera = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from y forward to z forward
    matrix = np.array([[100.0, 0, 51], [0, 100, 41], [0, 0, 1]])  # pixels from 1
    rays = np.array([[0.1, 0.2, 1], [-0.3, 0, 1], [0, 0, 1], [0, 0.1, -1]])  # one behind
    points = (rays * [[2], [3], [4], [5]]) @ camera @ tilt.T
    write(root / EXPORT.format("val"), "000001", points.astype(np.float32))
    exported = root / "sunrgbd_trainval"
    for kind in ("image", "calib"):
        (exported / kind).mkdir(parents=True)
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(exported / "image" / "000001.jpg")
    lines = [" ".join(map(str, part.T.ravel())) for part in (tilt, matrix)]
    (exported / "calib" / "000001.txt").write_text("\n".join(lines) + "\n")
    (frame,) = SunRgbd(root, "val")[0].frames
    np.testing.assert_allclose(frame.intrinsics[:2, 2], [50, 40])
    depth = np.zeros((80, 100))
    depth[60, 60], depth[40, 20], depth[40, 50] = 2, 3, 4
    np.testing.assert_allclose(frame.depth, depth, rtol=1e-6)
    check_dataset(SunRgbd(root, "val"))
    frames = SunRgbd(root, "val")[0].frames
    (exported / "calib" / "000001.txt").write_text(lines[0])
    with pytest.raises(ValueError, match=r"calib/000001\.txt: must be a complete calibration file"):
        frames[0]


@pytest.mark.parametrize(
    ("table", "boxes", "message"),
    [
        (TABLE[:, :4], BOXES, r"_pc\.npz: pc must have shape \(n, 6\) or \(n, 3\), got \(3, 4\)"),
        (TABLE[:0], BOXES, r"_pc\.npz: pc must have shape"),
        (TABLE * 2, BOXES, r"_pc\.npz: colours must lie in \[0, 1\]"),
        (TABLE, BOXES[:, :7], r"_bbox\.npy: boxes must have shape \(k, 8\)"),
        (TABLE, BOXES * np.nan, r"_bbox\.npy: boxes must have shape \(k, 8\) and be finite"),
        (TABLE, -BOXES, r"_bbox\.npy: boxes must have whole classes and half lengths"),
        (TABLE, BOXES + np.eye(8)[7] / 2, r"_bbox\.npy: boxes must have whole classes"),
        (TABLE, BOXES * [1, 1, 1, 1, 1, 1, 1, -1], r"_bbox\.npy: boxes must have whole classes"),
        (TABLE, BOXES - 10 * np.eye(8)[7], r"_bbox\.npy: boxes must have whole classes"),
        (TABLE, BOXES[:1] - 4 * np.eye(8)[7], r"_bbox\.npy: boxes must have whole classes"),
        (TABLE, BOXES + np.eye(8)[7], r"_bbox\.npy: raw must hold ids known to sunrgbd10"),
    ],
)
def test_a_broken_array_is_named_with_its_rule(tmp_path, table, boxes, message):
    write(tmp_path, "000001", table, boxes)
    with pytest.raises(ValueError, match=f"000001{message}"):
        SunRgbd(tmp_path)[0]


def test_truncated_and_foreign_archives_are_named(tmp_path):
    write(tmp_path, "000001")
    np.savez(tmp_path / "000001_pc.npz", points=TABLE)
    with pytest.raises(ValueError, match=r"_pc\.npz: must be a complete NPZ file"):
        SunRgbd(tmp_path)[0]
    (tmp_path / "000001_pc.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"_pc\.npz: must be a complete NPZ file"):
        SunRgbd(tmp_path)[0]


def test_pickled_boxes_are_rejected(tmp_path):
    write(tmp_path, "000001")
    np.save(tmp_path / "000001_bbox.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"_bbox\.npy: must be a complete NPY file, .* object"):
        SunRgbd(tmp_path)[0]


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(ValueError, match=r"split must be one of .* got 'test'"):
        SunRgbd(root, "test")
    with pytest.raises(FileNotFoundError, match=r"000009_pc\.npz, .*000009_bbox\.npy missing"):
        SunRgbd(root, ["000009"])
    (root / EXPORT.format("val") / "000001_bbox.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"000001_bbox\.npy missing, from https"):
        SunRgbd(root, "val")
    with pytest.raises(FileNotFoundError, match=r"50k_v1_train/\*_pc\.npz missing, from https"):
        SunRgbd(root / "nowhere")
