"""pretrain-cli on real recordings: posed frames, scans and LiDAR sweeps; skipped without them."""

import json

import pytest
from typer.testing import CliRunner

from pretrain_cli.main import app

pytestmark = pytest.mark.real
SMALL = ["train.steps=3", "train.batch_size=1", "monitor.every=3", "monitor.batches=1"]
NETWORK = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.voxel_size=0.1",
    "model.views=1",
]


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


@pytest.mark.parametrize(
    ("kind", "folder", "split", "option"),
    [
        ("scannet", "scannet", "scene0000_00,", "frames=folders"),
        ("frames", "scannet/frames", "null", "frame_step=2"),
        ("sevenscenes", ".", "seven_scenes,", "frame_step=5"),
    ],
)
def test_real_posed_frames_are_paired_and_learned_from(
    real_data, tmp_path, kind, folder, split, option
):
    words = [f"split={split}", f"options.{option}"]
    data = ["--data", real_data / folder]
    found = json.loads(
        call("pairs", "--kind", kind, *data, "--out", tmp_path / "pairs", *words, "--json")
    )
    assert found["pairs"] > 4
    words = [f"data.{word}" for word in words]
    words += [f"data.kind={kind}", *NETWORK, *SMALL, "contrast.n_matches=500"]
    out = tmp_path / "run"
    call("run", "--method", "csc", "--pairs", tmp_path / "pairs", *data, "--out", out, *words)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["pairs"] == found["pairs"]
    assert summary["panels"][-1]["effective_rank"] > 1


def test_real_sweeps_are_learned_from(real_data, tmp_path):
    labels = (real_data / "semantickitti" / "sequences" / "00" / "labels").glob("*.label")
    split = ",".join(f"00/{path.stem}" for path in sorted(labels))
    words = ["data.kind=semantickitti", f"data.split={split}", *SMALL]
    words += ["model.width=0.5", "model.voxel_size=0.4", "teacher.queue_size=256"]
    data = ["--preset", "quick-lidar", "--data", real_data / "semantickitti"]
    call("run", "--method", "sspl", *data, "--out", tmp_path / "run", *words)
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-2])
    assert 0 < row["local"] < 7


def test_points_of_real_scans_are_chosen_and_learned_from(real_data, tmp_path):
    words = ["data.kind=folder", "data.options.label_set=scannet20", "data.options.label_ids=raw"]
    words += ["data.validation=[scene0007*]", "data.split=scene0000_00,scene0000_01,scene0007_00"]
    data = ["--data", real_data / "scannet" / "points50k"]
    out = tmp_path / "chosen"
    found = json.loads(
        call("label", "--strategy", "kmeans", *data, "--out", out, "--no-ply", "--json", *words)
    )
    assert 0.05 < found["object_coverage"] < 1
    run = tmp_path / "run"
    settings = [*words, *NETWORK, "train.steps=3", "train.batch_size=1"]
    call("finetune", *data, "--budget", found["file"], "--out", run, *settings)
    protocol = json.loads((run / "summary.json").read_text())["protocol"]
    name = "scannet20/held-out/points/no-tta/la-20pts-list:points20.npz"
    assert protocol == f"folder:points50k/{name}"
