"""Tests of the commands of pretrain-cli."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from pcl_data.readers import read_scene
from pretrain_cli.main import app

COMMANDS = ("pairs", "run", "finetune", "probe", "label", "evaluate", "predict")
METHODS = ("pointcontrast", "csc", "sspl", "depthcontrast", "byol")


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def pretrained(scans, small, tmp_path_factory) -> Path:
    """A finished pre-training."""
    folder = tmp_path_factory.mktemp("runs") / "csc"
    call("run", "--data", scans, "--out", folder, *small)
    return folder


@pytest.fixture(scope="module")
def finetuned(scans, few, pretrained, tmp_path_factory) -> Path:
    """A finished fine-tuning of it, of instances."""
    folder = tmp_path_factory.mktemp("runs") / "finetuned"
    words = ["--data", scans, "--init", pretrained, "--task", "instance", "--budget", "50%"]
    call("finetune", *words, "--out", folder, *few)
    return folder


def test_help_does_not_load_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from pretrain_cli.main import app;"
        "CliRunner().invoke(app, ['--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_line_in_the_readme(command):
    assert f"pretrain-cli {command}" in call(command, "--help").replace("\n", " ")
    readme = Path(__file__).parent.parent / "README.md"
    assert f"pretrain-cli {command}" in readme.read_text()


@pytest.mark.parametrize(
    ("words", "budget"),
    [
        (["detector.strides=[2,4]"], "lr-50%-seed0"),
        (["detector.name=votenet", "detector.n_seeds=64", "--budget", "2boxes"], "boxes-2-seed0"),
        (
            ["detector.name=votenet", "model.backbone=pointnet2", "detector.n_seeds=64"],
            "lr-50%-seed0",
        ),
    ],
)
def test_boxes_are_learned_and_scored(scans, few, tmp_path, words, budget):
    given = ["--data", scans, "--task", "detection", "--budget", "50%", *few, *words]
    given += ["detector.n_proposals=16", "detector.n_points=900"]
    assert json.loads(call("finetune", *given, "--dry-run"))["training_minutes"] > 0
    call("finetune", *given, "--out", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["protocol"].endswith(f"/held-out/boxes/no-tta/{budget}")
    assert 0 <= summary["map50"] <= summary["map25"] <= 1
    told = call("predict", scans / "scene4", "--model", tmp_path / "run", "--out", tmp_path / "out")
    assert "scene4.json, .ply, .html: " in told
    again = json.loads(call("evaluate", "--model", tmp_path / "run", "--json"))
    assert {name: again[name] for name in ("map25", "map50")} == {
        name: summary[name] for name in ("map25", "map50")
    }


def test_a_detector_starts_from_a_pre_training(scans, few, pretrained, tmp_path):
    words = ["--data", scans, "--task", "detection", "--init", pretrained, *few]
    call("finetune", *words, "detector.strides=[2,4]", "--out", tmp_path / "run")
    assert "starts from" in (tmp_path / "run" / "train.log").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_its_backbone_and_watches_it(scans, small, tmp_path, method):
    out = tmp_path / "run"
    summary = json.loads(
        call("run", "--data", scans, "--method", method, "--out", out, "--json", *small)
    )
    assert [row["step"] for row in summary["panels"]] == [0, 3, 6]
    for row in summary["panels"]:
        assert row["effective_rank"] >= 1
        assert 0 <= row["knn_miou"] <= 1
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["stage"] == method]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    stages = {row["stage"] for row in rows}
    assert stages == {method, "monitor"}
    assert (
        "learning" in (text := (out / "train.log").read_text())
        or "collapsed" in text
        or ("positives" in text)
    )
    assert (out / "report" / "index.html").exists()


@pytest.mark.parametrize("variant", ["none", "hard", "random", "class"])
def test_every_global_loss_of_volumes_trains(scans, small, tmp_path, variant):
    words = ["--method", "sspl", f"sspl.global_loss={variant}", "teacher.queue_size=16"]
    call("run", "--data", scans, "--out", tmp_path / "run", *small, *words)
    rows = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert ('"global"' in rows) == (variant != "none")


def test_volumes_can_be_compared_without_negatives(scans, small, tmp_path):
    words = ["--method", "sspl", "sspl.local_loss=byol", "sspl.global_loss=none"]
    call("run", "--data", scans, "--out", tmp_path / "run", *small, *words)
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-2])
    assert 0 <= row["local"] <= 4


def test_hardest_contrastive_loss_is_a_choice(scans, small, tmp_path):
    words = ["--method", "pointcontrast", "contrast.loss=hardest"]
    call("run", "--data", scans, "--out", tmp_path / "run", *small, *words)


def test_sweeps_are_read_by_their_intensity(sweeps, outdoor, small, tmp_path):
    words = [word for word in small if not word.startswith(("model.", "data."))]
    words += [*outdoor, "sspl.volume_size=[4,4,4]", "sspl.min_points=5"]
    call("run", "--data", sweeps, "--method", "sspl", "--out", tmp_path / "run", *words)
    few = [*outdoor, "train.steps=4", "train.batch_size=1", "train.n_scored_checkpoints=3"]
    few += ["train.elastic=false"]
    call(
        *("finetune", "--data", sweeps, "--init", tmp_path / "run", "--budget", "50%"),
        *("--out", tmp_path / "fine", *few),
    )
    summary = json.loads((tmp_path / "fine" / "summary.json").read_text())
    name = "semantickitti19/held-out/points/no-tta/lidar-50%-random-seed0"
    assert summary["protocol"] == f"folder:{sweeps.name}/{name}"
    rows = summary["checkpoints"]
    assert summary["miou"] == pytest.approx(np.mean([row["miou"] for row in rows]))
    assert "ap50" not in summary


def test_frame_pairs_are_written_and_learned_from(scans, small, tmp_path):
    out = tmp_path / "pairs"
    words = ["kind=folder", "--data", scans, "--voxel-size", 0.02]
    counted = json.loads(call("pairs", "--out", out, *words, "--json"))
    assert counted["pairs"] == counted["scenes"] == 6
    summary = json.loads(
        call("run", "--data", scans, "--pairs", out, "--out", tmp_path / "run", "--json", *small)
    )
    assert summary["pairs"] == 4  # of the scenes that are not held out


def test_weights_say_what_they_are_and_fit_no_other_network(pretrained, scans, few, tmp_path):
    from pcl_backbones.weights import read_card

    card = read_card(pretrained / "backbone.safetensors")
    assert (card["kind"], card["method"], card["voxel_size"]) == ("backbone", "csc", 0.08)
    words = ["--data", scans, "--init", pretrained, "--out", tmp_path / "run", *few]
    message = call("finetune", *words, "model.width=0.5", code=2)
    assert "init must be of width 0.5, got 0.25" in message


def test_voxels_may_have_another_size_when_fine_tuned(pretrained, scans, few, tmp_path):
    words = ["--data", scans, "--init", pretrained, "--out", tmp_path / "run", *few]
    call("finetune", *words, "model.voxel_size=0.1", "train.steps=1")
    log = (tmp_path / "run" / "train.log").read_text()
    assert f"starts from {pretrained}/backbone.safetensors (method csc, voxel_size 0.08): " in log
    assert "fresh: semantic_head (2)" in log


def test_fine_tuning_starts_from_the_weights(pretrained, finetuned, scans):
    summary = json.loads((finetuned / "summary.json").read_text())
    assert summary["init"] == "csc"
    assert summary["labeled_scenes"] == 2
    name = "scannet20/held-out/points/no-tta/min_region=100/lr-50%-seed0"
    assert summary["protocol"] == f"folder:{scans.name}/{name}"
    assert {"miou", "macc", "ap", "ap50", "ap25"} <= summary.keys()
    before = load_file(pretrained / "backbone.safetensors")
    after = load_file(finetuned / "model.safetensors")
    name = "block1.0.conv1.kernel"
    change = (after[f"backbone.{name}"] - before[name]).abs().max()
    assert 0 < change < before[name].abs().max()


def test_low_rank_terms_leave_norms_and_layout_as_they_were(pretrained, scans, few, tmp_path):
    words = ["--data", scans, "--init", pretrained, "train.lora_rank=2", "--budget", "50%"]
    call("finetune", *words, "--out", tmp_path / "run", *few)
    before = load_file(pretrained / "backbone.safetensors")
    after = load_file(tmp_path / "run" / "model.safetensors")
    own = {key.removeprefix("backbone.") for key in after if key.startswith("backbone.")}
    assert own == before.keys()
    kernel = after["backbone.block1.0.conv1.kernel"] - before["block1.0.conv1.kernel"]
    assert kernel.abs().max() > 0
    assert np.linalg.matrix_rank(kernel.reshape(-1, kernel.shape[-1]).numpy(), tol=1e-5) <= 2


def test_evaluate_repeats_the_scores_of_the_run(finetuned, scans):
    scores = json.loads(call("evaluate", "--model", finetuned, "--json"))
    summary = json.loads((finetuned / "summary.json").read_text())
    for key in ("miou", "ap50", "protocol"):
        assert scores[key] == summary[key]
    words = ["--data", scans, "model.checkpoint_activations=true", "--json"]
    assert json.loads(call("evaluate", "--model", finetuned, *words)) == scores
    message = call("evaluate", "--model", finetuned, "model.width=1", code=2)
    assert "model.width must stay 0.25, as trained, got 1.0" in message
    turned = json.loads(call("evaluate", "--model", finetuned, "model.views=2", "--json"))
    assert turned["protocol"] == scores["protocol"].replace("no-tta", "tta-2-views")
    assert turned["miou"] != scores["miou"]


def test_evaluate_scores_a_folder_that_holds_test_data_alone(finetuned, scans, tmp_path):
    import shutil

    shutil.copytree(scans / "scene5", tmp_path / "test" / "scene5")
    words = ["--model", finetuned, "--data", tmp_path / "test", "--json"]
    scores = json.loads(call("evaluate", *words))
    name = "scannet20/held-out/points/no-tta/min_region=100/lr-50%-seed0"
    assert scores["protocol"] == f"folder:test/{name}/trained-on:folder:{scans.name}"
    assert 0 <= scores["miou"] <= 1


def test_predict_labels_every_point_of_a_scan(finetuned, scans, tmp_path):
    line = json.loads(
        call("predict", scans / "scene0", "--model", finetuned, "--out", tmp_path, "--json")
    )
    read = read_scene(tmp_path / "scene0.ply")
    assert line["n_points"] == len(read.points) == 3100
    assert read.labels.min() >= 0


def test_a_run_of_any_app_is_a_start(finetuned, scans, few, tmp_path):
    words = ["--data", scans, "--init", finetuned, "--task", "instance"]
    call("finetune", *words, "--out", tmp_path / "run", *few, "train.steps=1")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "fresh" not in log
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["init"] == "segmentation"


def test_probes_score_the_features_as_they_stand(pretrained, scans, few):
    words = ["--data", scans, "--budget", "100%", *few]
    rows = json.loads(call("probe", "--init", pretrained, *words, "--json"))
    assert [row["probe"] for row in rows] == ["knn", "linear"]
    assert all(row["init"] == "csc" and row["miou"] > 0 for row in rows)
    random = json.loads(call("probe", "--kinds", "knn", *words, "--json"))
    assert random[0]["init"] == "random"
    assert "kinds must be of knn, linear, got svm" in call(
        "probe", "--kinds", "svm", *words, code=2
    )


@pytest.mark.parametrize("strategy", ["active", "csc_reference", "kmeans", "random"])
def test_chosen_points_are_a_budget_and_a_picture(pretrained, scans, few, tmp_path, strategy):
    words = ["--data", scans, "--strategy", strategy, "--points", 5, *few]
    out = tmp_path / "choice"
    found = json.loads(call("label", "--init", pretrained, "--out", out, *words, "--json"))
    assert found["scenes"] == 4
    assert 0.2 < found["object_coverage"] <= 1
    with np.load(out / "points5.npz") as chosen:
        assert all(len(np.unique(chosen[name])) == 5 for name in chosen.files)
        marked = read_scene(out / "ply" / "scene0.ply").colors
        assert (marked[chosen["scene0"]] == (255, 0, 255)).all()
    words = ["--data", scans, "--budget", out / "points5.npz", "--out", tmp_path / "run"]
    call("finetune", *words, "--task", "instance", *few)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["protocol"].endswith("la-5pts-list:points5.npz")


def test_weights_are_written_whatever_a_score_is(scans, few, tmp_path):
    words = ["--data", scans, "--out", tmp_path / "run", "--task", "instance", *few]
    table = call("finetune", *words, "train.steps=1", "min_region=100000")
    assert table.splitlines()[1].split()[-3:] == ["-", "-", "-"]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["ap"] is None
    assert (tmp_path / "run" / "model.safetensors").is_file()
    shown = call("evaluate", "--model", tmp_path / "run")
    assert ["ap", "-"] in [line.split() for line in shown.splitlines()]


@pytest.mark.parametrize("command", ["run", "finetune"])
def test_a_dry_run_tells_what_a_run_takes_and_writes_nothing(scans, small, few, tmp_path, command):
    settings = small if command == "run" else few
    words = ["--data", scans, "--out", tmp_path / "run", "--dry-run", *settings]
    shown = json.loads(call(command, *words, "train.steps=6000"))
    minutes = 6000 * shown["seconds_per_step"] / 60
    assert shown["training_minutes"] == pytest.approx(minutes)
    assert (shown["scoring_minutes"] > 0) == (command == "finetune")
    assert shown["disk_bytes"] > 1e6
    assert shown["validation"] == ["scene4", "scene5"]
    assert list(tmp_path.iterdir()) == []


def test_every_scene_is_checked_before_the_first_step(scans, small, few, tmp_path):
    import shutil

    data = shutil.copytree(scans, tmp_path / "data")
    (data / "scene2" / "coord.npy").write_bytes(b"\x93NUMPY")
    for command, settings in (("run", small), ("finetune", few)):
        words = [command, "--data", data, "--out", tmp_path / "run", "--budget", "1scenes"]
        words = words[:5] if command == "run" else words
        assert "scene2" in call(*words, *settings, code=2)
    words = ["label", "--data", data, "--out", tmp_path / "out", "--strategy", "random"]
    assert "scene2" in call(*words, *few, code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_chosen_points_are_not_written_over_other_files(scans, few, tmp_path):
    words = ["label", "--data", scans, "--strategy", "random", "--points", 5, *few]
    (tmp_path / "ply").mkdir()
    (tmp_path / "ply" / "scene2.ply").write_text("mine")
    assert "--overwrite" in call(*words, "--out", tmp_path, code=2)
    assert not (tmp_path / "points5.npz").exists()
    call(*words, "--out", tmp_path, "--overwrite")
    budget = f"data.budget={tmp_path}/points5.npz"
    message = call(*words, "--out", tmp_path, "--overwrite", budget, code=2)
    assert "points5.npz must not be replaced, as it is an input" in message


def test_pairs_take_settings_as_messages_name_them(scans, tmp_path):
    words = ["pairs", "--data", scans, "--out", tmp_path / "pairs"]
    assert "data.n_validation" not in call(*words, "data.split=scene9", code=2)
    assert "data.kind must be one of" in call(*words, "data.kind=x", code=2)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    message = call("pairs", "--data", scans, "--out", other, code=2)
    assert "must be empty or hold pairs, got other files" in message


@pytest.mark.parametrize("place", ["run", "finetune"])
def test_a_signal_after_the_training_is_honoured_at_once(
    place, scans, small, few, pretrained, finetuned, monkeypatch
):
    def press(*arguments):
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("went on")

    monkeypatch.setattr("pretrain_cli.pretraining.summarize", press)
    monkeypatch.setattr("pretrain_cli.finetuning._learn", press)
    words = ["--data", scans, "--out", pretrained, *small]
    if place == "finetune":
        words = ["--data", scans, "--init", pretrained, "--task", "instance", "--budget", "50%"]
        words += ["--out", finetuned, *few]
    assert call(place, *words, "--resume", code=130).endswith("interrupted\n")


def test_active_labeling_needs_weights(scans, few, tmp_path):
    message = call("label", "--data", scans, "--out", tmp_path, *few, code=2)
    assert "--init must name the pre-trained weights that choose, got none" in message


def test_an_interrupted_run_goes_on_to_the_same_weights(scans, small, pretrained, tmp_path):
    out = tmp_path / "run"
    program = Path(sys.executable).parent / "pretrain-cli"
    command = [program, "run", "--data", scans, "--out", out, *small]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    while not re.search(r"csc 2/6", process.stderr.readline()):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    code = process.returncode
    if code != 0:  # it may just have finished
        assert code == 130
        call("run", "--data", scans, "--out", out, "--resume", *small)
    ours, theirs = (load_file(one / "backbone.safetensors") for one in (out, pretrained))
    assert all((ours[key] == theirs[key]).all() for key in theirs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian.steps=3"], "trian is no setting"),
        (["--method", "simclr"], "method must be"),
        (["contrast.inner_radius=2"], "contrast.outer_radius must exceed"),
        (["--pairs", "/nowhere"], "must be a folder that `pretrain-cli pairs` wrote"),
    ],
)
def test_bad_settings_are_one_line(scans, small, tmp_path, words, message):
    text = call("run", "--data", scans, "--out", tmp_path / "run", *small, *words, code=2)
    assert message in text
    assert len(text.strip().splitlines()) == 1
