"""Tests of pcl_run.report."""

import base64
import json
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


def test_nothing_of_a_file_becomes_markup(tmp_path):
    run, evil = make(tmp_path / "a"), "<script>alert(1)</script>"
    run.write_summary({evil: 1, "x": evil, "rows": [{evil: evil, "nested": {evil: [evil]}}]})
    run.metrics(evil, 1, **{evil: 2.0})
    (tmp_path / "a/report").mkdir()
    (tmp_path / "a/report/<script>.png").write_bytes(PIXEL)
    env = json.loads((tmp_path / "a/env.json").read_text())
    env |= {"started": evil, "argv": [evil], evil: evil}
    (tmp_path / "a/env.json").write_text(json.dumps(env))
    (tmp_path / "a/config.yaml").write_text(evil)
    page = write_report(tmp_path / "a").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10


def test_what_a_report_cannot_draw_it_leaves_out(tmp_path):
    run = make(tmp_path / "a")
    run.write_summary({"huge": 10**400, "peak_bytes": "many", "list": [1, {}], "none": None})
    text = (tmp_path / "a/metrics.jsonl").read_text()
    text += '{"stage": "x", "step": 1, "time": 0, "inf": 1e999, "nan": NaN, "yes": true}\n'
    (tmp_path / "a/metrics.jsonl").write_text(text)
    env = json.loads((tmp_path / "a/env.json").read_text())
    (tmp_path / "a/env.json").write_text(json.dumps({"format": env["format"], "argv": 3}))
    (tmp_path / "a/config.yaml").unlink()
    page = write_report(tmp_path / "a").read_text()
    assert "missing" in page
    assert "nan" not in page
    assert page.count("<polyline") == 2


@pytest.mark.parametrize("file", ["summary.json", "env.json", "metrics.jsonl"])
def test_a_damaged_file_is_named(tmp_path, file):
    make(tmp_path)
    (tmp_path / file).write_text('{"stage": 3\n')
    with pytest.raises(ValueError, match=file):
        write_report(tmp_path)


def test_an_unfinished_run_has_a_report(tmp_path):
    Run.open(tmp_path, Settings())
    assert "has not finished" in write_report(tmp_path).read_text()


def test_another_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="run_folder must be a run folder"):
        write_report(tmp_path)
