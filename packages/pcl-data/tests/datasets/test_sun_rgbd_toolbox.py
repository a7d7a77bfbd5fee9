"""Tests of SUN RGB-D in the layout of its toolbox, on files that the tests write."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pcl_data import SUNRGBD10
from pcl_data.datasets import SunRgbd
from pcl_data.testing import check_dataset

TABLE = np.array([[0, 2, 0, 0, 0.2, 1], [1, 4, -1, 1, 1, 1], [-1, 2, 0.5, 0.5, 0, 0]])
LABEL = "chair 10 20 30 40 1 2 3 0.25 0.5 1 0 2\nlamp 0 0 1 1 0 0 0 1 1 1 1 0\n\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sunrgbd_trainval"
    for kind in ("depth", "label", "image", "calib"):
        (folder / kind).mkdir(parents=True)
    for number in (1, 2, 5051):
        savemat(folder / "depth" / f"{number:06d}.mat", {"instance": TABLE}, do_compression=True)
        (folder / "label" / f"{number:06d}.txt").write_text(LABEL)
    (folder / "train_data_idx.txt").write_text("5051\n")
    (folder / "val_data_idx.txt").write_text("1\n2\n")
    return folder


def test_points_colours_and_boxes_are_read(folder):
    scene = SunRgbd(folder.parent, "val")[0]
    assert scene.name == "000001"
    np.testing.assert_array_equal(scene.points, TABLE[:, :3].astype(np.float32))
    assert scene.colors.tolist() == [[0, 51, 255], [255, 255, 255], [128, 0, 0]]
    # The length lies along (0, 2): a quarter turn counter-clockwise. Sizes are given by half.
    expected = [1, 2, 3, 1, 0.5, 2, np.pi / 2, SUNRGBD10.names.index("chair")]
    np.testing.assert_allclose(scene.boxes, [expected], rtol=1e-6)


def test_splits_are_lists_of_numbers(folder):
    assert SunRgbd(folder.parent, "train").names == ("005051",)
    assert SunRgbd(folder.parent, "val").names == ("000001", "000002")
    check_dataset(SunRgbd(folder.parent, ["000002"]))


def test_the_photograph_is_a_frame(folder):
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "image" / "000001.jpg")
    eye = "1 0 0 0 1 0 0 0 1"
    (folder / "calib" / "000001.txt").write_text(f"{eye}\n100 0 0 0 100 0 51 41 1\n")
    (frame,) = SunRgbd(folder.parent, ["000001"])[0].frames
    assert frame.depth[40, 50] == 2  # straight ahead


def test_exports_are_preferred(folder):
    export = folder.parent / "sunrgbd_pc_bbox_votes_50k_v1_val"
    export.mkdir()
    np.savez(export / "000009_pc.npz", pc=TABLE)
    np.save(export / "000009_bbox.npy", np.zeros((0, 8)))
    assert SunRgbd(folder.parent, "val").names == ("000009",)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("label", b"chair 1 2 3\n", r"000001\.txt: .*a class and 12 numbers expected"),
        ("label", LABEL.replace("0.25", "-1").encode(), r"000001\.txt: .*sizes of at least 0"),
        ("label", LABEL.replace("0.25", "inf").encode(), r"000001\.txt: .*finite numbers"),
        ("label", LABEL.replace("0.25", "x").encode(), r"000001\.txt: must be a complete label"),
        ("depth", b"MATLAB", r"000001\.mat: must be a complete MATLAB file"),
    ],
)
def test_broken_files_are_named(folder, kind, content, message):
    suffix = "mat" if kind == "depth" else "txt"
    (folder / kind / f"000001.{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        SunRgbd(folder.parent, "val")[0]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"points": TABLE}, "a variable instance of shape"),
        ({"instance": TABLE[:, :5]}, "a variable instance of shape"),
        ({"instance": TABLE[:0]}, "a variable instance of shape"),
        ({"instance": TABLE.astype(np.int32)}, "instance of int32"),
        ({"instance": TABLE * 255}, r"colours must lie in \[0, 1\]"),
    ],
)
def test_other_variables_are_rejected(folder, variables, message):
    savemat(folder / "depth" / "000001.mat", variables)
    with pytest.raises(ValueError, match=rf"000001\.mat: .*{message}"):
        SunRgbd(folder.parent, "val")[0]


def test_a_truncated_file_of_points_is_named(folder):
    path = folder / "depth" / "000001.mat"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"000001\.mat: must be a complete MATLAB file"):
        SunRgbd(folder.parent, "val")[0]


def test_missing_files_are_named(folder):
    (folder / "label" / "000002.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"sunrgbd_trainval/label/000002\.txt missing"):
        SunRgbd(folder.parent, "val")
    (folder / "val_data_idx.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"sunrgbd_trainval/val_data_idx\.txt missing"):
        SunRgbd(folder.parent, "val")
