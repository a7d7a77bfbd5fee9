"""From generated worlds to pre-trained networks and on: pretrain-cli, then twist-cli."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pretrain_cli.main
import twist_cli.main

NETWORK = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.voxel_size=0.1",
    "model.views=1",
]
ROOMS = ["data.n_scenes=3", "data.n_validation=1"]


def call(app, *arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def pretrain(*arguments: object) -> str:
    return call(pretrain_cli.main.app, *arguments)


@pytest.fixture(scope="module")
def csc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network pre-trained on the frames of two rooms."""
    folder = tmp_path_factory.mktemp("csc")
    words = ["n_scenes=3", "n_validation=1", "--voxel-size", 0.05]
    found = json.loads(pretrain("pairs", "--out", folder / "pairs", *words, "--json"))
    assert found["scenes"] == 3
    assert found["pairs"] > 100
    words = [*NETWORK, *ROOMS, "train.steps=4", "train.batch_size=1", "monitor.every=4"]
    out = folder / "run"
    pretrain("run", "--method", "csc", "--pairs", folder / "pairs", "--out", out, *words)
    return out


def test_generated_rooms_pretrain_and_fine_tune(csc, tmp_path):
    panels = json.loads((csc / "summary.json").read_text())["panels"]
    assert panels[-1]["effective_rank"] > 1
    assert {"knn_miou", "floor", "alignment"} <= panels[-1].keys()
    words = [*NETWORK, *ROOMS, "train.steps=3", "train.batch_size=1", "--budget", "50%"]
    out = tmp_path / "fine"
    pretrain("finetune", "--task", "instance", "--init", csc, "--out", out, *words)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["init"] == "csc"
    assert summary["protocol"].endswith("min_region=100/lr-50%-seed0")


def test_self_training_starts_from_the_pretrained_backbone(csc, tmp_path):
    words = [*NETWORK, "data.n_scenes=3", "data.budget=1scenes", "data.n_validation=1"]
    words += ["train.initial_steps=2", "train.steps=2", "twist.rounds=1"]
    words += ["twist.recorrector_start=1", "twist.min_points=3"]
    out = tmp_path / "twist"
    call(twist_cli.main.app, "run", "--init", csc, "--out", out, *words)
    assert len(json.loads((out / "summary.json").read_text())["rounds"]) == 2
    result = CliRunner().invoke(
        twist_cli.main.app, ["run", "--init", str(csc), *words, "model.width=0.5"]
    )
    assert result.exit_code == 2
    assert "init must be of width 0.5, got " in result.stderr


def test_generated_streets_pretrain_and_fine_tune(tmp_path):
    words = ["data.n_scenes=2", "data.n_validation=1", "data.n_sweeps=2"]
    words += ["model.voxel_size=0.5", "train.batch_size=1"]
    out = tmp_path / "sspl"
    settings = [*words, "train.steps=3", "teacher.queue_size=128", "monitor.every=3"]
    pretrain("run", "--preset", "quick-lidar", "--method", "sspl", "--out", out, *settings)
    fine = tmp_path / "fine"
    settings = [*words, "train.steps=10", "train.n_scored_checkpoints=2", "--budget", "50%"]
    pretrain("finetune", "--preset", "quick-lidar", "--init", out, "--out", fine, *settings)
    summary = json.loads((fine / "summary.json").read_text())
    assert [row["step"] for row in summary["checkpoints"]] == [8, 10]
    assert summary["miou"] == pytest.approx(np.mean([r["miou"] for r in summary["checkpoints"]]))
