"""twist-cli on real ScanNet rooms; skipped where the recordings are absent."""

import json

import pytest
from typer.testing import CliRunner

from pcl_data import SCANNET20
from pcl_data.readers import read_scene
from twist_cli.main import app

pytestmark = pytest.mark.real


def test_twist_runs_on_real_rooms_and_predicts_every_point(real_data, tmp_path):
    out = tmp_path / "run"
    scans = real_data / "scannet" / "points50k"
    arguments = [
        *("run", "--data", scans, "--out", out, "--json"),
        *("data.labeled=[scene0000*]", "data.validation=[scene0007*]"),
        *("model.width=0.25", "model.voxel_size=0.1", "train.initial_steps=3"),
        *("train.steps=3", "twist.rounds=1"),
        *("twist.recorrector_start=1", "twist.min_points=3"),
    ]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert len(summary["scenes"]["labeled"]) == 3
    assert len(summary["scenes"]["unlabeled"]) == 13
    assert summary["rounds"][1]["pseudo_coverage"] is not None

    scan = real_data / "scannet" / "scans" / "scene0000_00" / "scene0000_00_vh_clean_2.ply"
    arguments = ["predict", str(scan), "--model", str(out), "--out", str(tmp_path / "predicted")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    labeled = read_scene(tmp_path / "predicted" / f"{scan.stem}.ply", label_set=SCANNET20)
    assert len(labeled.points) == 81_369
    assert labeled.labels.min() >= 0
