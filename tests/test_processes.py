"""Runs as processes: killed and resumed bit for bit, refused, two that train together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pcl_contrastive import split_volumes
from pcl_data import SCANNET20, Scene, load_scene, save_scene, voxelize
from pcl_methods.labelfree.testing import make_posed_room
from pcl_run.checkpoint import newest_checkpoint

SETTINGS = [
    "model.backbone=res16unet14a",
    "model.width=0.25",
    "model.voxel_size=0.1",
    "train.initial_steps=6",
    "train.steps=6",
    "train.labeled_batch_size=1",
    "train.unlabeled_batch_size=1",
    "train.checkpoint_every=2",
    "train.log_every=1",
    "twist.rounds=1",
    "twist.min_points=3",
    "twist.recorrector_start=1",
    "data.labeled=[scene0]",
    "data.validation=[scene3]",
]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    chair = SCANNET20.names.index("chair")
    for index in range(4):
        rng = np.random.default_rng(index)
        floor = rng.uniform((0, 0, 0), (2, 2, 0.01), (800, 3))
        boxes = [rng.uniform((x, 0.5, 0.1), (x + 0.4, 0.9, 0.5), (200, 3)) for x in (0.2, 1.3)]
        points = np.concatenate([floor, *boxes]).astype(np.float32)
        scene = Scene(
            f"scene{index}",
            points,
            colors=rng.integers(0, 255, points.shape).astype(np.uint8),
            labels=np.repeat([1, chair, chair], [800, 200, 200]),
            instances=np.repeat([-1, 0, 1], [800, 200, 200]),
            label_set=SCANNET20,
        )
        save_scene(scene, root / scene.name)
    return root


def command(scans: Path, out: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "twist_cli.main", "run", "--data", str(scans)),
        *("--out", str(out), *SETTINGS, *options),
    ]


@pytest.fixture(scope="module")
def uninterrupted(scans, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    subprocess.run(command(scans, out), check=True, capture_output=True)
    return out


def start_and_signal(scans: Path, out: Path, n_lines: int, number: int) -> int:
    """Run until metrics.jsonl has that many lines, then send the signal; the exit code."""
    process = subprocess.Popen(command(scans, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    metrics = out / "metrics.jsonl"
    while process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= n_lines:
            os.kill(process.pid, number)
            break
        time.sleep(0.002)
    process.communicate()
    return process.returncode


def rounds(folder: Path) -> list[dict]:
    return json.loads((folder / "summary.json").read_text())["rounds"]


def logged_steps(folder: Path) -> list[tuple]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["stage"], line["step"], line["loss"]) for line in lines]


@pytest.mark.parametrize("n_lines", [1, 5, 9])
def test_killed_and_resumed_equals_uninterrupted(scans, uninterrupted, tmp_path, n_lines):
    whole, out = uninterrupted, tmp_path / "run"
    assert start_and_signal(scans, out, n_lines, signal.SIGKILL) == -signal.SIGKILL
    subprocess.run(command(scans, out, "--resume"), check=True, capture_output=True)
    expected, found = (load_file(folder / "model.safetensors") for folder in (whole, out))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert rounds(out) == rounds(whole)
    assert logged_steps(out) == logged_steps(whole)


def test_sigterm_writes_a_checkpoint_and_exits_130(scans, tmp_path):
    out = tmp_path / "run"
    assert start_and_signal(scans, out, 3, signal.SIGTERM) == 130
    assert newest_checkpoint(out) is not None


def test_two_runs_have_the_same_weights(scans, uninterrupted, tmp_path):
    out = tmp_path / "run"
    subprocess.run(command(scans, out), check=True, capture_output=True)
    expected, found = (load_file(folder / "model.safetensors") for folder in (uninterrupted, out))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_resume_with_other_settings_is_refused(scans, uninterrupted):
    result = subprocess.run(
        command(scans, uninterrupted, "--resume", "train.steps=7"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "train.steps" in result.stderr


def test_two_processes_train_one_network(scans, tmp_path):
    out = tmp_path / "run"
    arguments = command(scans, out, "--devices", "2", "data.labeled=[scene0,scene1]")
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)
    # Their pseudo-labels name the weights that made them: one store, or an error.
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("protocol") == 1
    assert len(rounds(out)) == 2
    assert result.stderr.count("round 1: ap") == 1


def test_two_processes_pretrain_with_one_queue(scans, tmp_path):
    """Each takes its own scenes, and the queue of each holds the volumes of both."""
    out, n_steps = tmp_path / "run", 4
    words = ["model.backbone=res16unet14a", "model.width=0.25", "model.voxel_size=0.1"]
    words += ["data.kind=folder", "data.options.label_set=scannet20"]
    words += ["data.validation=[scene3]", f"train.steps={n_steps}", "train.batch_size=1"]
    words += ["monitor.every=4", "teacher.queue_size=16", "sspl.n_clusters=4", "train.log_every=1"]
    program = [sys.executable, "-m", "pretrain_cli.main", "run", "--method", "sspl"]
    options = ["--data", str(scans), "--out", str(out), "--devices", "2"]
    subprocess.run([*program, *options, *words], check=True, capture_output=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert "global" in rows[-2]  # the queue is full, and clustered
    counts = [len(np.unique(volumes(scans / f"scene{i}"))) for i in range(3)]
    assert max(counts) < 2 * min(counts)
    state = load_file(newest_checkpoint(out) / "model.safetensors")
    n_enqueued = int(state["objective.queue.n_enqueued"])
    assert 2 * n_steps * min(counts) <= n_enqueued <= 2 * n_steps * max(counts)


def volumes(scene: Path) -> np.ndarray:
    """The volumes of a scene with ten points or more, as SSPL splits it."""
    points = load_scene(scene).points
    thinned = torch.from_numpy(points[voxelize(points, 0.05).index])
    found = split_volumes(thinned, volume_size=0.65, min_points=10).numpy()
    return found[found >= 0]


def run_two(words: list[str], folder: Path) -> None:
    """Run a command in two processes, one of which tells the scores."""
    result = subprocess.run(
        [*words, "--devices", "2"], cwd=folder, check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.count("protocol") == 1


def test_two_processes_learn_from_images(tmp_path):
    """The labels are made once, and each process correlates the points of both."""
    scans, out = tmp_path / "scans", tmp_path / "run"
    for index in range(3):
        save_scene(make_posed_room(f"scene{index}", index), scans / f"scene{index}")
    words = ["model.width=0.25", "model.voxel_size=0.1", "data.options.label_set=scannet20"]
    words += ["data.validation=[scene2]", "train.steps=3", "train.batch_size=2"]
    words += ["train.log_every=1", "method.correlation_epoch=2", "method.feedback_epoch=3"]
    words += ["method.n_samples=32", "method.n_layers=1"]
    program = [sys.executable, "-m", "labelfree_cli.main", "run", "--data", str(scans)]
    run_two([*program, "--out", str(out), *words], tmp_path)
    assert sorted(path.stem for path in (out / "labels").iterdir()) == [
        "scene0",
        "scene1",
        "scene2",
    ]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"label", "correlation", "feedback"} <= set(rows[2])
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_two_processes_fine_tune_in_one_folder(scans, tmp_path):
    words = ["model.backbone=res16unet14a", "model.width=0.25", "model.voxel_size=0.1"]
    words += ["data.options.label_set=scannet20", "data.validation=scene3"]
    words += ["train.steps=2", "train.batch_size=1"]
    program = [sys.executable, "-m", "pretrain_cli.main", "finetune", "--data", str(scans)]
    run_two([*program, *words], tmp_path)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["finetune_001"]
