"""data-cli on real recordings in their official layouts; skipped where they are absent."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_cli.main import app
from pcl_data import SCANNET20, SEMANTICKITTI19
from pcl_data.datasets import SceneFolder

pytestmark = pytest.mark.real


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_real_scan_is_prepared_checked_and_shown(real_data, tmp_path):
    out = tmp_path / "prepared"
    scans = real_data / "scannet"
    call("prepare", scans, out, "--kind", "scannet", "--split", "scene0000_00,")
    scene = SceneFolder(out)[0]
    assert len(scene.points) == 81_369
    assert len(scene.boxes) > 20
    assert scene.label_set == SCANNET20
    checked = json.loads(call("validate", out, "--json"))
    assert [finding["level"] for finding in checked["findings"]] == ["warning"]  # absent classes
    counted = json.loads(call("stats", out, "--json"))
    assert counted["classes"]["floor"]["points"] > 10_000
    picture = tmp_path / "scan.png"
    call("show", out, "--out", picture, "--layer", "labels", "--cut-above", "2")
    colors = np.unique(np.asarray(Image.open(picture)).reshape(-1, 3), axis=0)
    assert len(colors) > 8


def test_real_sweeps_are_prepared(real_data, tmp_path):
    out = tmp_path / "prepared"
    root = real_data / "semantickitti"
    names = sorted(path.stem for path in (root / "sequences/00/labels").glob("*.label"))
    split = ",".join(f"00/{name}" for name in names)
    call("prepare", root, out, "--kind", "semantickitti", "--split", split, "--workers", 2)
    sweeps = SceneFolder(out)
    assert sweeps.names == tuple(f"00_{name}" for name in names)
    assert sweeps.label_set == SEMANTICKITTI19
    assert sweeps[0].intensity.max() <= 1
    assert "0 errors" in call("validate", out)


def test_real_scans_of_any_format_have_no_errors(real_data):
    said = call("validate", real_data / "scannet" / "points50k", "label_set=scannet20")
    assert "17 scenes, 0 errors" in said
