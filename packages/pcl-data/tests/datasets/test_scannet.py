"""Tests of pcl_data.datasets.scannet on scans that the tests write in the official layout."""

import json

import numpy as np
import pytest

from pcl_data import NYU40, S3DIS13, SCANNET20, SCANNET200
from pcl_data.datasets import ScanNet
from pcl_data.export import write_ply
from pcl_data.testing import check_dataset

# Six vertices: two of a wall, three of a chair, one in no group.
POINTS = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 2, 0], [3, 1, 1], [9, 9, 9]], np.float32)
SEGMENTS = [7, 7, 3, 3, 100, 5]
GROUPS = [
    {"id": 0, "objectId": 0, "segments": [7], "label": "wall"},
    {"id": 4, "objectId": 4, "segments": [3, 100], "label": "office chair"},
]
TABLE = (
    "id\traw_category\tcategory\tnyu40id\n"
    "1\twall\twall\t1\n10\toffice chair\tchair\t5\n56\ttrash can\ttrash can\t39\n"
    "2\toffice chair\tagain\t40\n"  # the first row of a category counts
)
TURN = "axisAlignment = 0 -1 0 10 1 0 0 0 0 0 1 -1 0 0 0 1"  # 90 degrees, and a shift


def write_scan(root, name, *, part="scans"):
    folder = root / part / name
    folder.mkdir(parents=True)
    colors = np.arange(18).reshape(6, 3).astype(np.uint8)
    faces = np.array([[0, 1, 2], [2, 3, 4]])
    write_ply(folder / f"{name}_vh_clean_2.ply", POINTS, colors=colors, faces=faces)
    if part == "scans":
        (folder / f"{name}.txt").write_text(f"{TURN} \ncolorHeight = 968\n")
        edit(folder / f"{name}_vh_clean_2.0.010000.segs.json", {"segIndices": SEGMENTS})
        edit(folder / f"{name}.aggregation.json", {"segGroups": GROUPS})
    return folder


def edit(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def root(tmp_path):
    for name in ("scene0000_00", "scene0001_00"):
        write_scan(tmp_path, name)
    write_scan(tmp_path, "scene0707_00", part="scans_test")
    (tmp_path / "scannetv2-labels.combined.tsv").write_text(TABLE)
    (tmp_path / "scannetv2_train.txt").write_text("scene0001_00\nscene0000_00\n")
    (tmp_path / "scannetv2_val.txt").write_text("scene0000_00\r\n")
    (tmp_path / "scannetv2_test.txt").write_text("scene0707_00\n")
    return tmp_path


@pytest.fixture
def scan(root):
    return root / "scans" / "scene0000_00"


def first(root, **options):
    return ScanNet(root, ["scene0000_00"], **options)[0]


def test_points_are_aligned_and_keep_colours_and_faces(root):
    scene = first(root)
    np.testing.assert_allclose(scene.points[4], [10 - 1, 3, 1 - 1])
    assert scene.points.dtype == np.float32
    assert scene.colors[1].tolist() == [3, 4, 5]
    assert scene.faces.tolist() == [[0, 1, 2], [2, 3, 4]]


def test_labels_come_from_the_groups_and_instances_from_things(root):
    scene = first(root)
    assert [SCANNET20.names[i] for i in scene.labels[:5]] == ["wall"] * 2 + ["chair"] * 3
    assert scene.labels[5] == -1
    assert scene.instances.tolist() == [-1, -1, 4, 4, 4, -1]
    assert scene.superpoints.tolist() == [2, 2, 0, 0, 3, 1]


def test_boxes_are_the_extent_of_the_instances_along_the_aligned_axes(root):
    scene = first(root)
    chair = SCANNET20.names.index("chair")  # at (2, 0, 0), (2, 2, 0), (3, 1, 1) before the turn
    np.testing.assert_allclose(scene.boxes, [[9, 2.5, -0.5, 2, 1, 1, 0, chair]])


@pytest.mark.parametrize(
    ("label_set", "names"),
    [(NYU40, ["wall", "chair"]), (SCANNET200, ["wall", "office chair"])],
    ids=["nyu40", "scannet200"],
)
def test_each_label_set_has_its_column(root, label_set, names):
    scene = first(root, label_set=label_set)
    assert [label_set.names[scene.labels[i]] for i in (0, 2)] == names


def test_a_known_category_without_a_train_id_has_no_instance(root, scan):
    (root / "scannetv2-labels.combined.tsv").write_text(TABLE.replace("\t5\n", "\t40\n"))
    scene = first(root)
    assert scene.labels[2] == -1
    assert scene.instances.max() == -1
    assert scene.boxes.shape == (0, 8)


def test_the_last_of_overlapping_groups_counts(root, scan):
    edit(
        scan / "scene0000_00.aggregation.json",
        {"segGroups": [*GROUPS, {"id": 9, "segments": [100], "label": "trash can"}]},
    )
    assert first(root).instances.tolist() == [-1, -1, 4, 4, 9, -1]


def test_groups_of_the_fine_mesh_serve_where_they_alone_are_there(root, scan):
    (scan / "scene0000_00.aggregation.json").rename(scan / "scene0000_00_vh_clean.aggregation.json")
    assert first(root).instances.max() == 4


def test_a_scan_without_alignment_stays_where_it_is(root, scan):
    (scan / "scene0000_00.txt").write_text("colorHeight = 968\n")
    np.testing.assert_array_equal(first(root).points, POINTS)


def test_splits_are_the_lists_of_the_root_in_their_order(root):
    assert ScanNet(root).names == ("scene0001_00", "scene0000_00")
    assert ScanNet(root, "val").names == ("scene0000_00",)
    check_dataset(ScanNet(root))


def test_scenes_of_the_test_split_have_no_labels(root):
    for split in ("test", ["scene0707_00"]):
        scene = ScanNet(root, split)[0]
        np.testing.assert_array_equal(scene.points, POINTS)
        assert scene.labels is scene.instances is scene.superpoints is scene.boxes is None
        check_dataset(ScanNet(root, split))


SEGS, AGGREGATION = "_vh_clean_2.0.010000.segs.json", ".aggregation.json"


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (SEGS, {"segIndices": SEGMENTS[1:]}, r"one entry for each of the 6 vertices, got 5"),
        (SEGS, '{"segIndices": [7, 7, 3', "must be a complete JSON file"),
        (SEGS, {"segments": SEGMENTS}, "must be a complete segments file, got: 'segIndices'"),
        (SEGS, {"segIndices": [1.5] * 6}, "an array of float64"),
        (SEGS, {"segIndices": [-1] * 6}, "not of whole ids"),
        (AGGREGATION, '{"segGroups": [', "must be a complete JSON file"),
        (AGGREGATION, {"segGroups": [{"id": 1}]}, "must be a complete aggregation file"),
        (AGGREGATION, {"segGroups": 3}, "must be a complete aggregation file"),
        (AGGREGATION, {"segGroups": [GROUPS[0] | {"id": 0.5}]}, "an array of float64"),
        (AGGREGATION, {"segGroups": [GROUPS[0]] * 2}, r"ids \[0, 0\], not distinct"),
        (AGGREGATION, {"segGroups": [GROUPS[0] | {"segments": [7, 8]}]}, r"of the mesh, got \[8\]"),
        (AGGREGATION, {"segGroups": [GROUPS[0] | {"segments": None}]}, "an array of object"),
        (
            AGGREGATION,
            {"segGroups": [GROUPS[0] | {"label": "wal"}]},
            r"label must be a raw_category of scannetv2-labels\.combined\.tsv, got 'wal'",
        ),
        (".txt", "axisAlignment = 1 2 3\n", "must be a complete scan information file"),
        (".txt", TURN.replace("10", "nan"), "must be a complete scan information file"),
        ("_vh_clean_2.ply", "ply\nformat", "must be a complete PLY file"),
    ],
)
def test_a_broken_file_is_named_with_its_rule(root, scan, suffix, content, message):
    edit(scan / f"scene0000_00{suffix}", content)
    with pytest.raises(ValueError, match=rf"scene0000_00{suffix}: .*{message}"):
        first(root)


def test_a_table_without_the_column_is_named(root):
    (root / "scannetv2-labels.combined.tsv").write_text(TABLE.replace("nyu40id", "nyu"))
    message = r"combined\.tsv: must be a complete label table file, got: 'nyu40id'"
    with pytest.raises(ValueError, match=message):
        first(root)


def test_an_id_that_the_label_set_does_not_know_is_an_error(root):
    (root / "scannetv2-labels.combined.tsv").write_text(TABLE.replace("\t5\n", "\t41\n"))
    with pytest.raises(
        ValueError, match=r"aggregation\.json: raw must hold ids known to scannet20"
    ):
        first(root)


def test_missing_files_are_named_with_their_source(root, scan):
    (scan / f"scene0000_00{SEGS}").unlink()
    (root / "scannetv2-labels.combined.tsv").unlink()
    message = r"ScanNet v2: scans/.*segs\.json, scannetv2-labels\.combined\.tsv missing, from http"
    with pytest.raises(FileNotFoundError, match=message):
        ScanNet(root, "val")
    assert len(ScanNet(root, "test")) == 1  # needs neither
    (root / "scannetv2_val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"scannetv2_val\.txt missing"):
        ScanNet(root, "val")


def test_options_are_checked(root):
    with pytest.raises(ValueError, match="must be scannet20, nyu40, scannet200, got s3dis13"):
        ScanNet(root, label_set=S3DIS13)
    with pytest.raises(ValueError, match=r"split must be one of .* got 'training'"):
        ScanNet(root, "training")
    with pytest.raises(ValueError, match="frame_step must be at least 1, got 0"):
        ScanNet(root, frame_step=0)
    with pytest.raises(ValueError, match="label_set must be SCANNET20 or NYU40 with frames='25k'"):
        ScanNet(root, label_set=SCANNET200, frames="25k")
