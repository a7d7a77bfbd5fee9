"""Tests of pcl_methods.outputs."""

import os

import pytest

from pcl_methods.outputs import check_outputs


@pytest.fixture
def scan(tmp_path):
    (tmp_path / "scans").mkdir()
    path = tmp_path / "scans" / "a.ply"
    path.write_text("scan")
    return path


def test_what_is_there_is_replaced_only_if_asked(tmp_path, scan):
    file = tmp_path / "a.ply"
    check_outputs([file], overwrite=False, inputs=[scan])
    file.write_text("mine")
    with pytest.raises(ValueError, match=r"a.ply .*--overwrite"):
        check_outputs([tmp_path / "new.ply", file], overwrite=False, inputs=[scan])
    check_outputs([file], overwrite=True, inputs=[scan])


def test_an_input_is_never_replaced_by_whatever_name(tmp_path, scan):
    (tmp_path / "link").symlink_to(scan.parent)
    (tmp_path / "to_file.ply").symlink_to(scan)
    os.link(scan, tmp_path / "hard.ply")
    for name in ("scans/a.ply", "scans/../scans/a.ply", "link/a.ply", "to_file.ply", "hard.ply"):
        for source in (scan, tmp_path / "link" / "a.ply"):
            with pytest.raises(ValueError, match="must not be replaced, as it is an input"):
                check_outputs([tmp_path / name], overwrite=True, inputs=[source])
    with pytest.raises(ValueError, match="as it is an input"):
        check_outputs([scan], overwrite=True, inputs=[scan.parent])
    check_outputs([scan.parent / "new.ply"], overwrite=False, inputs=[scan.parent])
    check_outputs([tmp_path / "x.ply"], overwrite=False, inputs=[tmp_path / "gone"])
