"""Tests of twist_cli.self_training; whole runs are in test_main.py and tests/ of the repository."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from twist_cli.main import app
from twist_cli.self_training import freeze_norms


def test_frozen_norms_normalise_as_at_test():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    rows = torch.randn(8, 3)
    freeze_norms(module, True)
    at_test = module.eval()(rows)
    module.train()
    freeze_norms(module, True)
    assert torch.equal(module(rows), at_test)
    freeze_norms(module, False)
    assert not torch.equal(module(rows), at_test)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_last_share_of_a_round_trains_with_frozen_norms(scans, small, tmp_path, share):
    arguments = ["run", "--data", str(scans), "--out", str(tmp_path / "run"), *small]
    arguments += ["twist.rounds=0", f"train.frozen_norm={share}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    weights = load_file(tmp_path / "run" / "model.safetensors")
    counts = {int(weights[key]) for key in weights if key.endswith("bn0.bn.num_batches_tracked")}
    assert counts == {6 * (1 - share)}
