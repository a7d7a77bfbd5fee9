"""Tests of twist_cli.self_training; whole runs are in test_main.py and tests/ of the repository."""

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from twist_cli.main import app


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_last_share_of_a_round_trains_with_frozen_norms(scans, small, tmp_path, share):
    arguments = ["run", "--data", str(scans), "--out", str(tmp_path / "run"), *small]
    arguments += ["twist.rounds=0", f"train.freeze_bn_fraction={share}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    weights = load_file(tmp_path / "run" / "model.safetensors")
    counts = {int(weights[key]) for key in weights if key.endswith("bn0.bn.num_batches_tracked")}
    assert counts == {6 * (1 - share)}
