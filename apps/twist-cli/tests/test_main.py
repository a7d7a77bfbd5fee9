"""Tests of the commands of twist-cli."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from pcl_data import SCANNET20, SCANNET200, load_scene, save_scene
from pcl_data.export import write_ply
from pcl_data.readers import read_scene
from pcl_methods.labelfree.classes import class_texts
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.segmentation.testing import make_room
from twist_cli.main import app

TABLE, CANDLE = SCANNET20.names.index("table"), SCANNET200.names.index("candle")
COMMANDS = ("run", "predict", "evaluate", "report", "pseudo", "doctor")


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def finished(scans, small, tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    call("run", "--data", scans, "--out", folder, *small)
    return folder


def test_help_does_not_load_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from twist_cli.main import app;"
        "CliRunner().invoke(app, ['--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_line_in_the_readme(command):
    assert f"twist-cli {command}" in call(command, "--help").replace("\n", " ")
    readme = Path(__file__).parent.parent / "README.md"
    assert f"twist-cli {command}" in readme.read_text()


def test_a_run_leaves_its_folder(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"config.yaml", "env.json", "metrics.jsonl", "train.log", "summary.json"} <= names
    assert {"checkpoints", "pseudo", "report", "model.safetensors"} <= names
    rounds = json.loads((finished / "summary.json").read_text())["rounds"]
    assert [row["round"] for row in rounds] == [0, 1]
    keys = {"ap", "ap50", "ap25", "miou", "pseudo_semantic_accuracy", "pseudo_coverage"}
    assert keys <= set(rounds[1])
    assert rounds[0]["pseudo_coverage"] is None
    assert 0 <= rounds[1]["pseudo_coverage"] <= 1


def test_a_network_labels_in_place_of_annotators(finished, scans, small, tmp_path):
    """Any network that gives classes does; here that of a finished run."""
    words = ["--data", scans, "--labels", finished, *small]
    labeler = load_file(finished / "model.safetensors")
    call("run", "--out", tmp_path / "run", *words)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["protocol"].endswith("/labelfree-2")
    names = {path.stem for path in (tmp_path / "run" / "predicted_labels").iterdir()}
    assert names == {"scene0", "scene1"}
    assert labeler  # is only read
    found = json.loads(call("run", "--dry-run", *words))
    assert found["training_minutes"] > 0


def test_images_label_in_place_of_annotators(scans, small, tmp_path):
    store = LabelStore(tmp_path / "labels", {"classes": class_texts(SCANNET20)})
    words = ["--data", scans, "--labels", store.root, *small]
    store.root.mkdir()
    for name in ("scene0", "scene1"):
        message = call("run", "--out", tmp_path / "run", *words, code=2)
        assert f"a file of each of the 2 labeled scenes, got none of {name} in " in message
        assert not (tmp_path / "run").exists()
        room = load_scene(scans / name)
        rows, ones = np.arange(len(room.points)), np.ones(len(room.points), np.float32)
        told = ImageLabels(rows, 0 * rows, room.labels, ones, 0 * rows - 1, np.zeros((0, 4)))
        store.save(name, told)
    call("run", "--out", tmp_path / "run", *words)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["protocol"].endswith("/labelfree-2")
    with np.load(tmp_path / "run" / "predicted_labels" / "scene1.npz") as found:
        np.testing.assert_array_equal(found["labels"], room.labels)


def test_a_teacher_is_corrected_by_what_scenes_without_learning_measure(scans, small, tmp_path):
    out, words = tmp_path / "run", ["calibration.scenes=1", "calibration.targets=corrected"]
    call("run", "--data", scans, "--out", out, *small, *words, "calibration.proposals=true")
    losses = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in losses if "taught" in row} == {"round_1"}
    call("evaluate", "--model", out)
    made = next((out / "pseudo" / "round_1").glob("*.npz"))
    first = made.read_bytes()
    made.unlink()
    call("pseudo", out, "--round", 1, "--shard", "0/1")  # measures the same errors
    assert made.read_bytes() == first
    few = ["--out", tmp_path / "x", *small, "calibration.scenes=2"]
    message = call("run", "--data", scans, *few, code=2)
    assert "calibration.scenes must leave one of the 2 labeled scenes" in message
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_training_is_honoured_at_once(
    finished, scans, small, monkeypatch, number
):
    def press(folder):
        signal.raise_signal(number)
        pytest.fail("went on")

    monkeypatch.setattr("twist_cli.running.write_report", press)
    words = ["--data", scans, "--out", finished, "--resume", *small]
    assert call("run", *words, code=130).endswith("interrupted\n")


def test_an_existing_run_is_not_overwritten(finished, scans, small):
    assert "not empty" in call("run", "--data", scans, "--out", finished, *small, code=2)


def test_evaluate_repeats_the_scores_of_the_run(finished):
    scores = json.loads(call("evaluate", "--model", finished, "--json"))
    last = json.loads((finished / "summary.json").read_text())["rounds"][-1]
    assert {key: scores[key] for key in ("ap", "ap50", "ap25", "miou")} == {
        key: last[key] for key in ("ap", "ap50", "ap25", "miou")
    }


def test_evaluate_tells_how_sure_the_network_may_be(finished, tmp_path):
    scores = json.loads(call("evaluate", "--model", finished, "--json"))
    summary = json.loads((finished / "summary.json").read_text())
    assert scores["ece"] == pytest.approx(summary["rounds"][-1]["ece"])
    assert scores["calibration"] == summary["calibration"]
    assert sum(row["points"] for row in scores["calibration"]) == 3100  # every labeled point
    diagram = tmp_path / "diagram.png"
    text = call("evaluate", "--model", finished, "--diagram", diagram)
    assert all(row["class"] in text for row in scores["calibration"])
    assert diagram.read_bytes()[:4] == b"\x89PNG"
    message = call("evaluate", "--model", finished, "--diagram", diagram, code=2)
    assert "is there already" in message
    assert "<figcaption>calibration<" in (finished / "report" / "index.html").read_text()


def test_views_are_named_beside_the_score(finished):
    once, four = (
        json.loads(call("evaluate", "--model", finished, "--json", *words))
        for words in ([], ["model.views=4"])
    )
    assert "/no-tta/" in once["protocol"]
    assert once["protocol"].replace("no-tta", "tta-4-views") == four["protocol"]
    assert once["miou"] != four["miou"]


def test_evaluate_scores_no_scene_that_was_learned_from(finished, scans):
    """The folder of the run is no other data, and how a network is computed is no other network."""
    own = call("evaluate", "--model", finished, "--json")
    assert call("evaluate", "--model", finished, "--data", scans, "--json") == own
    other = ["data.budget=50%", "data.labeled=", "model.checkpoint_activations=true"]
    assert call("evaluate", "--model", finished, "--json", *other) == own


def test_every_scene_labeled_leaves_none_to_label(scans, small, tmp_path):
    settings = [one for one in small if not one.startswith("data.labeled")]
    words = ["--data", scans, "--out", tmp_path / "run", "data.budget=100%", *settings]
    assert "data.budget must leave scenes without labels" in call("run", *words, code=2)
    assert not (tmp_path / "run").exists()


def test_scores_name_their_protocol(finished, scans, tmp_path):
    summary = json.loads((finished / "summary.json").read_text())
    name = "scannet20/held-out/points/no-tta/min_region=100/lr-2-named"
    own = f"folder:{scans.name}/{name}"
    assert summary["protocol"] == own
    assert json.loads(call("evaluate", "--model", finished, "--json"))["protocol"] == own
    shutil.copytree(scans / "scene4", tmp_path / "test" / "scene4")
    words = ["--model", finished, "--data", tmp_path / "test", "--json"]
    other = json.loads(call("evaluate", *words))
    assert other["protocol"] == f"folder:test/{name}/trained-on:folder:{scans.name}"


def test_a_wrong_setting_is_answered_before_torch_is_loaded():
    code = (
        "import sys; from typer.testing import CliRunner; from twist_cli.main import app;"
        "done = CliRunner().invoke(app, ['run', 'twist.round=2']);"
        "sys.exit('torch' in sys.modules or done.exit_code != 2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_can_be_continued_by_another(finished, scans, small, tmp_path):
    words = ["--data", scans, "--out", tmp_path / "run", "--init", finished, *small]
    call("run", *words, "train.initial_steps=1", "twist.rounds=0")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "starts from" in log
    assert "fresh" not in log.partition("starts from")[2].partition("\n")[0]


def test_activations_that_are_computed_again_give_the_same_weights(
    finished, scans, small, tmp_path
):
    words = ["--data", scans, "--out", tmp_path / "run", "model.checkpoint_activations=true"]
    call("run", *words, *small)
    one, other = (load_file(path / "model.safetensors") for path in (finished, tmp_path / "run"))
    assert all((one[name] == other[name]).all() for name in one)


def test_precision_and_engine_are_settings(finished, scans, small, tmp_path):
    words = ["--data", scans, "--out", tmp_path / "run", "twist.rounds=0", *small[:-1]]
    call("run", *words, "data.validation=scene5", "--precision", "bf16-mixed")
    assert "bf16-mixed" in (tmp_path / "run" / "config.yaml").read_text()
    one, other = (load_file(path / "model.safetensors") for path in (finished, tmp_path / "run"))
    assert any((one[name] != other[name]).any() for name in one)
    message = call("run", "--data", scans, *small, "--precision", "16-mixed", code=2)
    assert "train.precision must be '32-true' or 'bf16-mixed'" in message
    if find_spec("MinkowskiEngine") is None:
        message = call("run", "--data", scans, *small, "model.engine=minkowski", code=2)
        assert "model.engine must be installed, got minkowski" in message


def test_a_few_points_of_every_scene_train_instances_too(small, scans, tmp_path):
    settings = [one for one in small if not one.startswith("data.labeled")]
    words = ["--data", scans, "--out", tmp_path / "run", "data.budget=20pts", *settings]
    message = call("run", *words, code=2)
    assert "twist.pseudo_labels must be another than recorrected" in message
    call("run", *words, "twist.pseudo_labels=proposals")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["scenes"]["labeled"] == summary["scenes"]["unlabeled"]
    assert summary["protocol"].endswith("/la-20pts-seed0")


def test_areas_of_s3dis_are_learned_from_and_area_5_is_held_out(small, tmp_path):
    for area in range(1, 7):
        write_s3dis_room(tmp_path / f"S3DIS/Area_{area}/office_1", seed=area)
    out = tmp_path / "run"
    settings = [one for one in small if not one.startswith("data.")]
    words = ["data.kind=s3dis", "--data", tmp_path / "S3DIS", "data.budget=2scenes"]
    call("run", *words, "--out", out, *settings)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["scenes"]["validation"] == ["Area_5_office_1"]
    assert len(summary["scenes"]["labeled"]) == 2
    name = "s3dis/s3dis13/held-out/points/no-tta/min_region=100/lr-2-seed0"
    assert summary["protocol"] == name
    assert {"floor", "chair", "table"} <= {
        name for name, value in summary["per_class"].items() if value is not None
    }


def write_s3dis_room(folder: Path, seed: int) -> None:
    """A room of boxes in the official layout: one text file an object."""
    room = make_room("office_1", seed)
    (folder / "Annotations").mkdir(parents=True)
    rows = np.concatenate([room.points, room.colors], axis=1)
    for number in np.unique(room.instances):
        chosen = room.instances == number
        name = SCANNET20.names[room.labels[chosen][0]]
        file = folder / "Annotations" / f"{name}_{number + 1}.txt"
        np.savetxt(file, rows[chosen], fmt=["%.3f"] * 3 + ["%d"] * 3)


def test_evaluate_takes_settings_of_the_method_but_no_other_network(finished):
    none = call("evaluate", "--model", finished, "--json", "twist.min_points=100000")
    assert json.loads(none)["ap25"] == 0
    message = call("evaluate", "--model", finished, "model.width=1", code=2)
    assert "model.width must stay 0.25, as trained, got 1.0" in message


def test_predict_labels_every_point_of_a_foreign_scan(finished, tmp_path):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 2, (700, 3)).astype(np.float32)
    scan = tmp_path / "scan.ply"
    write_ply(scan, points, colors=rng.integers(0, 255, (700, 3)).astype(np.uint8))
    call("predict", scan, "--model", finished / "model.safetensors", "--out", tmp_path / "out")
    result = read_scene(tmp_path / "out" / "scan.ply")
    assert np.array_equal(result.points, points)
    assert len(result.labels) == 700
    assert result.labels.min() >= 0


def test_pseudo_shows_the_scenes_of_a_round_and_writes_over_nothing(finished, tmp_path):
    table = call("pseudo", finished, "--ply", tmp_path)
    assert "scene3" in table
    before = (tmp_path / "scene3.ply").read_bytes()
    (tmp_path / "scene3.ply").write_bytes(b"mine")
    error = call("pseudo", finished, "--ply", tmp_path, code=2)
    assert "--overwrite" in error
    assert (tmp_path / "scene3.ply").read_bytes() == b"mine"
    call("pseudo", finished, "--ply", tmp_path, "--overwrite")
    assert (tmp_path / "scene3.ply").read_bytes() == before


def test_predict_never_replaces_its_scan(finished, tmp_path):
    scan = tmp_path / "scan.ply"
    room = make_room("scan", 0)
    write_ply(scan, room.points, colors=room.colors)
    before = scan.read_bytes()
    words = ["predict", scan, "--model", finished, "--out", tmp_path, "--overwrite"]
    assert "scan.ply must not be replaced, as it is an input" in call(*words, code=2)
    assert scan.read_bytes() == before
    spread_out = room.points.copy()
    spread_out[:, 0] *= np.float32(5e5)
    write_ply(scan, spread_out, colors=room.colors)
    words = ["predict", scan, "--model", finished, "--out", tmp_path / "out"]
    assert "must span at most 65536 voxels of 0.08 m" in call(*words, code=2)
    assert not (tmp_path / "out").exists()


def test_a_run_keeps_the_split_that_it_began_with(finished, scans, tmp_path):
    kept = json.loads((finished / "split.json").read_text())
    assert (kept["labeled"], kept["validation"]) == (["scene0", "scene1"], ["scene5"])
    assert set(kept["scenes"]) == {f"scene{index}" for index in range(6)}
    assert all(scene["n_points"] == 3100 for scene in kept["scenes"].values())


def test_weights_are_written_whatever_a_score_is(scans, small, tmp_path):
    words = ["--data", scans, "--out", tmp_path / "run", *small, "twist.rounds=0"]
    table = call("run", *words, "train.initial_steps=1", "min_region=100000")
    assert table.splitlines()[1].split()[:4] == ["0", "-", "-", "-"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["rounds"][0]["ap"] is None
    assert (tmp_path / "run" / "model.safetensors").is_file()
    shown = call("evaluate", "--model", tmp_path / "run")
    assert shown.splitlines()[0].split() == ["ap", "-"]


def test_head_common_and_tail_classes_are_scored_apart(small, tmp_path):
    """Of a label set that says how frequent its classes are."""
    for index in range(6):
        room = make_room(f"scene{index}", index)
        tail = np.where(room.labels == TABLE, CANDLE, room.labels)
        scan = replace(room, labels=tail, label_set=SCANNET200)
        save_scene(scan, tmp_path / "scans" / f"scene{index}")
    words = ["--data", tmp_path / "scans", "--out", tmp_path / "run", *small, "twist.rounds=0"]
    words += ["data.options.label_set=scannet200", "train.initial_steps=1"]
    shown = call("run", *words)
    starts = ["head", "common", "tail"]
    lines = [line for line in shown.splitlines() if line.split()[0] in starts]
    assert [line.split()[0] for line in lines] == starts
    row = json.loads((tmp_path / "run" / "summary.json").read_text())["rounds"][0]
    assert row["ap_common"] is None  # there are chairs and candles
    assert row["ap"] == pytest.approx((row["ap_head"] + row["ap_tail"]) / 2)
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "<th>ap tail</th>" in page
    again = call("evaluate", "--model", tmp_path / "run").splitlines()
    assert set(lines) <= set(again)


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_a_folder_without_unlabeled_scenes_is_refused(scans, tmp_path, preset):
    words = ["--data", scans, "--out", tmp_path / "run", "--preset", preset]
    words += ["data.labeled=scene[0-4]", "data.validation=scene5"]
    assert "data.budget must leave scenes without labels" in call("run", *words, code=2)
    assert not (tmp_path / "run").exists()


def test_doctor_and_report(finished):
    found = json.loads(call("doctor", "--json"))
    assert found["engine"] in ("torch (cpu_engine)", "torch (triton_engine)")
    assert 1 <= found["cores"]["usable"] <= found["cores"]["machine"]
    assert "--overwrite" in call("report", finished, code=2)
    assert call("report", finished, "--overwrite").strip().endswith("index.html")


def test_dry_run_tells_what_a_run_takes_and_writes_nothing(scans, small, finished, tmp_path):
    out = tmp_path / "run"
    shown = json.loads(call("run", "--data", scans, "--out", out, "--dry-run", *small))
    for key in ("seconds_per_step", "training_minutes", "labeling_and_scoring_minutes"):
        assert shown[key] > 0
    taken = sum(path.stat().st_size for path in finished.rglob("*") if path.is_file())
    assert 0.4 < taken / shown["disk_bytes"] < 1.2  # of a run this small the newest are the last
    assert shown["peak_memory_bytes"] > 1e6
    assert not out.exists()


def scan_with(tmp_path: Path, **changes) -> Path:
    """A folder of three labeled scans, one of them changed."""
    for index in range(3):
        arrays = {
            "coord": np.random.default_rng(index).uniform(0, 2, (500, 3)).astype(np.float32),
            "color": np.full((500, 3), 100, np.uint8),
            "segment": np.full(500, 4),
            "instance": np.zeros(500, np.int64),
        }
        if index == 0:
            arrays |= changes
        kept = {key: value for key, value in arrays.items() if value is not None}
        np.savez(tmp_path / f"scan{index}.npz", **kept)
    return tmp_path


ROOM = np.random.default_rng(0).uniform(0, 2, (500, 3)).astype(np.float32)
NAN = ROOM.copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coord": NAN}, "finite|NaN"),
        ({"coord": ROOM[:0], "color": None, "segment": None, "instance": None}, "at least one"),
        ({"color": None}, "colours"),
        ({"coord": ROOM * 2500}, "max_extent"),
        ({"segment": np.full(500, 77)}, "77"),
    ],
)
def test_a_bad_scan_is_one_line_and_exit_2(tmp_path, small, changes, message):
    data, out = scan_with(tmp_path, **changes), tmp_path / "run"
    settings = [one for one in small if not one.startswith("data.")]
    settings.append("data.options.label_set=scannet20")
    error = call(
        *("run", "--data", data, "--out", out, "data.labeled=[scan0]", "data.n_validation=1"),
        "data.options.label_set=scannet20",
        *settings,
        code=2,
    )
    assert re.search(message, error), error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"ply\nformat binary_little_endian 1.0\nelement v"])
def test_a_folder_without_readable_scans_is_refused(tmp_path, small, content):
    data = tmp_path / "data"
    data.mkdir()
    if content:
        (data / "scan.ply").write_bytes(content)
    assert call("run", "--data", data, "--out", tmp_path / "run", *small, code=2)
    assert not (tmp_path / "run").exists()


def test_too_few_labeled_scenes_are_refused(scans, tmp_path, small):
    settings = [one for one in small if not one.startswith("data.")]
    error = call(
        "run", "--data", scans, "--out", tmp_path / "r", "data.budget=9scenes", *settings, code=2
    )
    assert "9" in error


def test_missing_and_foreign_weights_are_refused(tmp_path, scans):
    scan = scans / "scene0"
    assert "got" in call("predict", scan, "--model", tmp_path / "none", code=2)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"\x80\x04\x95 not weights")
    assert "foreign" in call("predict", scan, "--model", foreign, code=2)


def test_a_full_disk_is_exit_1(scans, tmp_path, small, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    error = call("run", "--data", scans, "--out", tmp_path / "run", *small, code=1)
    assert "no space left" in error
