"""Tests of pcl_data.datasets.scan_listing."""

import warnings

import numpy as np
import pytest

from pcl_data import Scene, save_scene
from pcl_data.datasets.scan_listing import list_scans

ROWS = "0 0 0\n1 2 3\n"
NOTES = {
    "README.txt": "Scans of the hall.\n\nMade in 3 days.\n",
    "notes.csv": "room,date,operator\nhall,2024-05-01,AB\nshop,2024-05-02,CD\n",
    "labels.txt": "1\n2\n1\n",
    "classes.txt": "1 floor\n2 wall\n",
    "comments.txt": "# Title\n# of nothing\n",
    "windows.txt": "Kurze Notiz\r\n".encode("utf-16"),
    "prose.txt": "Scans of\nthe hall\n1 2 3 rooms were scanned\nby us\n",
}
SCANS = {
    "rows.txt": ROWS,
    "header.csv": "label;x;y;z\n4;0,5;0;0\n",
    "comment.txt": "//X Y Z\n0 0 0\n",
    "broken.txt": "0 0 0\nx y\n0 0 1\n",
    "torn.txt": "0.1 0.2 0.3\n0.1 0.",
    "empty.txt": "",
    "notes.xyz": "no scan, but called one\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.xyz").write_text(ROWS)
    return tmp_path


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("name", NOTES)
def test_text_that_is_no_scan_is_passed_over_and_named(folder, name):
    write(folder / name, NOTES[name])
    with pytest.warns(UserWarning, match=rf"passed over {name} \(no rows of three numbers\)$"):
        assert list(list_scans(folder)) == ["a"]


@pytest.mark.parametrize("name", SCANS)
def test_a_broken_scan_is_a_scan(folder, name):
    write(folder / name, SCANS[name])
    assert folder / name in list_scans(folder).values()


def test_only_the_head_of_a_text_is_read_and_its_last_line_is_not_counted(folder):
    (folder / "long.txt").write_text("0 0 0\n" * 20_000)
    (folder / "longer.txt").write_text("no numbers here\n" * 20_000)
    (folder / "line.txt").write_text("0 0 0 " * 20_000)
    with pytest.warns(UserWarning, match=r"passed over longer\.txt \("):
        assert list(list_scans(folder)) == ["a", "line", "long"]


def test_links_archives_other_formats_and_empty_folders_are_said_in_one_line(folder):
    (folder / "b.ply").symlink_to("/mnt/nas/b.ply")
    for name in ("c.ply.gz", "scans.zip", "d.e57", "photo.jpg", "notes.md", ".room.ply", "._a.xyz"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    (folder / f".a.{'0' * 32}.tmp").mkdir()
    (folder / "hall").mkdir()
    (folder / "shop").mkdir()
    (folder / "shop" / "e.laz.xz").touch()
    (folder / "shop" / "f.xyz").write_text(ROWS)
    with pytest.warns(UserWarning, match="passed over") as said:
        assert list(list_scans(folder)) == ["a", "f"]
    (message,) = [str(warning.message) for warning in said]
    assert message == (
        f"{folder}: passed over b.ply (a link to nowhere), c.ply.gz, scans.zip, shop/e.laz.xz "
        "(an archive), d.e57 (a format that is not read), hall (a folder without a scan), "
        "hidden files: 2"
    )


def test_nothing_is_said_where_nothing_is_passed_over(folder):
    save_scene(Scene("b", np.zeros((1, 3), np.float32)), folder / "b")
    (folder / "dataset.yaml").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_scans(folder)) == ["a", "b"]


def test_a_pattern_says_what_is_wanted_and_the_rest_is_not_mentioned(folder):
    for name in ("README.txt", "c.ply.gz"):
        (folder / name).write_text("words\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_scans(folder, "*.xyz")) == ["a"]
        assert list(list_scans(folder, "a")) == ["a"]


def test_an_error_of_nothing_to_read_says_what_was_passed_over(tmp_path):
    (tmp_path / "room.ply.gz").touch()
    with pytest.raises(
        ValueError, match=r"root must hold scans .* with room\.ply\.gz \(an archive"
    ):
        list_scans(tmp_path)
    (tmp_path / "link").symlink_to("/mnt/nas")
    with pytest.raises(FileNotFoundError, match="link, a link to /mnt/nas, which does not"):
        list_scans(tmp_path / "link")


def test_links_to_scans_and_folders_are_followed(folder):
    (folder / "far").mkdir()
    (folder / "far" / "b.xyz").write_text(ROWS)
    (folder / "c.xyz").symlink_to(folder / "far" / "b.xyz")
    (folder / "near").symlink_to(folder / "far")
    assert set(list_scans(folder)) == {"a", "c", "far_b", "near_b"}
