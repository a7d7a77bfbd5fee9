"""Tests of pcl_data.datasets.s3dis on rooms that the tests write in the official layout."""

import pytest

from pcl_data import S3DIS13
from pcl_data.datasets import S3DIS
from pcl_data.testing import check_dataset

ROWS = "1.5 -2 0.25 10 20 255\n0 0 0 0 0 0\n"


def write(root, room, files):
    folder = root / room / "Annotations"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, newline="")


@pytest.fixture
def root(tmp_path):
    write(
        tmp_path,
        "Area_1/office_1",
        {"chair_2": "3 3 3 1 1 1\n", "chair_1": ROWS, "clutter_1": ROWS, "stairs_1": ROWS},
    )
    for area in (2, 3, 4, 5, 6):
        write(tmp_path, f"Area_{area}/hallway_{area}", {"wall_1": ROWS})
    (tmp_path / "Area_1" / "Area_1_alignmentAngle.txt").write_text("office_1 0\n")
    return tmp_path


def test_points_colours_labels_and_instances_of_a_room(root):
    scene = S3DIS(root, "Area_1")[0]
    assert scene.name == "Area_1_office_1"
    chair, clutter = S3DIS13.names.index("chair"), S3DIS13.names.index("clutter")
    assert scene.labels.tolist() == [chair, chair, chair, clutter, clutter, -1, -1]
    assert scene.instances.tolist() == [0, 0, 1, -1, -1, -1, -1]
    assert scene.points[0].tolist() == [1.5, -2, 0.25]
    assert scene.colors[0].tolist() == [10, 20, 255]
    assert scene.points[2].tolist() == [3, 3, 3]


def test_splits_are_areas(root):
    assert S3DIS(root, "val").names == ("Area_5_hallway_5",)
    train = ("Area_1_office_1", *(f"Area_{k}_hallway_{k}" for k in (2, 3, 4, 6)))
    assert S3DIS(root).names == train
    assert S3DIS(root, ["Area_6/hallway_6"]).names == ("Area_6_hallway_6",)
    assert S3DIS(root, S3DIS(root).names).names == train  # names of scenes are taken, too
    check_dataset(S3DIS(root))


def test_windows_line_ends_and_decimals_are_read(tmp_path):
    write(tmp_path, "Area_5/a_1", {"floor_1": "0.5 1 2 99.000 0 0\r\n1 1 1 1 1 1\r\n\r\n"})
    scene = S3DIS(tmp_path, "val")[0]
    assert scene.points.tolist() == [[0.5, 1, 2], [1, 1, 1]]
    assert scene.colors[0].tolist() == [99, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS + "1 2 3 185\x00187 3 3\n", r"got b'1 2 3 185\\x00187 3 3\\n' in line 3"),
        (ROWS + "\n1 2 3 4 5 103.0\x100000\n" + ROWS, r"got b'1 2 3 4 5 103.* in line 4"),
        (ROWS + "1 2 3 4 5\n", r"got b'1 2 3 4 5\\n' in line 3"),
        ("1 2 3 4 5 6 7\n", "in line 1"),
        (ROWS + "nan 2 3 4 5 6\n", "in line 3"),
        (ROWS + "# 1 2 3 4 5\n", "in line 3"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path, text, message):
    write(tmp_path, "Area_5/a_1", {"floor_1": ROWS, "wall_1": text})
    with pytest.raises(ValueError, match=rf"wall_1\.txt: must hold rows of six numbers.*{message}"):
        S3DIS(tmp_path, "val")[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_annotation_is_an_error(tmp_path, text):
    write(tmp_path, "Area_5/a_1", {"wall_1": text})
    with pytest.raises(ValueError, match=r"wall_1\.txt: must hold rows of six numbers.*got none"):
        S3DIS(tmp_path, "val")[0]


def test_colours_out_of_range_are_an_error(tmp_path):
    write(tmp_path, "Area_5/a_1", {"wall_1": "0 0 0 1 2 256\n"})
    with pytest.raises(
        ValueError, match=r"wall_1\.txt: colours must lie in \[0, 255\], got \[1, 2"
    ):
        S3DIS(tmp_path, "val")[0]


def test_an_unknown_class_is_an_error(tmp_path):
    write(tmp_path, "Area_5/a_1", {"lamp_1": ROWS})
    with pytest.raises(ValueError, match=r"lamp_1\.txt: must be named after one of ceiling, floor"):
        S3DIS(tmp_path, "val")[0]


def test_what_is_missing_is_named(root):
    with pytest.raises(ValueError, match=r"split must be one of train, val, .* got 'test'"):
        S3DIS(root, "test")
    with pytest.raises(FileNotFoundError, match="Area_5/no_1/Annotations missing, from http"):
        S3DIS(root, ["Area_5/no_1"])
    (root / "Area_5").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match="must hold S3DIS: Area_5 missing, from http"):
        S3DIS(root, "val")
