"""Tests of pcl_run.report."""

import base64
from html.parser import HTMLParser

import pytest

from pcl_run.config import Config
from pcl_run.report import write_report
from pcl_run.run import Run

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Settings(Config):
    name: str = "<b>bold</b>"


def make(folder):
    run = Run.open(folder, Settings())
    for stage in ("round_0", "round_1"):
        for step in range(1, 1001):
            run._metrics.path.open("a").write(
                f'{{"stage": "{stage}", "step": {step}, "time": 0, "loss": {1 / step}}}\n'
            )
    return run


def test_one_file_with_everything_in_it(tmp_path):
    run = make(tmp_path / "a")
    run.write_summary(
        {"rounds": [{"round": 0, "ap": 0.123456}, {"round": 1, "ap": None, "x": 2}], "seconds": 3.5}
    )
    (tmp_path / "a/report").mkdir()
    (tmp_path / "a/report/scene_one.png").write_bytes(PIXEL)
    path = write_report(tmp_path / "a")
    page = path.read_text()
    assert path == tmp_path / "a/report/index.html"
    assert "http" not in page
    assert "<script" not in page
    assert page.count("<polyline") == 2
    assert "<td>0.1235</td>" in page
    assert "<td>\N{EN DASH}</td>" in page
    assert base64.b64encode(PIXEL).decode() in page
    assert "scene one" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page
    assert len(page) < 100_000
    HTMLParser().feed(page)


def test_an_unfinished_run_has_a_report(tmp_path):
    Run.open(tmp_path, Settings())
    assert "has not finished" in write_report(tmp_path).read_text()


def test_another_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="run_folder must be a run folder"):
        write_report(tmp_path)
