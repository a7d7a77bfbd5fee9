"""Tests of the commands of labelfree-cli."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from labelfree_cli.main import app
from pcl_data import save_scene
from pcl_data.export import write_ply
from pcl_data.readers import read_scene
from pcl_methods.labelfree.testing import make_posed_room

COMMANDS = ("labels", "run", "evaluate", "predict", "query")
CLASSES = "wall,floor,chair,table"


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
        "import sys; from typer.testing import CliRunner; from labelfree_cli.main import app;"
        "CliRunner().invoke(app, ['--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_line_in_the_readme(command):
    assert f"labelfree-cli {command}" in call(command, "--help").replace("\n", " ")
    readme = Path(__file__).parent.parent / "README.md"
    assert f"labelfree-cli {command}" in readme.read_text()


def test_a_run_leaves_its_folder(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"config.yaml", "env.json", "metrics.jsonl", "summary.json", "split.json"} <= names
    assert {"labels", "checkpoints", "report", "model.safetensors"} <= names
    assert "text_head.safetensors" in names
    summary = json.loads((finished / "summary.json").read_text())
    steps = {row["step"]: row["miou"] for row in summary["steps"]}
    assert list(steps) == ["projected labels", "refined in sets", "network", "2D-3D ensemble"]
    assert summary["miou"] == steps["network"]
    assert summary["protocol"].endswith("/none")
    assert summary["f_protocol"].endswith("/none/foreground")
    losses = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert {"label", "correlation", "feedback"} <= set(losses[2])  # the last epoch has all parts


def test_a_run_says_the_license_of_its_encoder(finished):
    assert "license of the weights: Apache-2.0" in (finished / "train.log").read_text()


def test_a_run_that_was_interrupted_ends_with_the_same_bits(
    finished, scans, small, tmp_path, monkeypatch
):
    import pcl_methods.labelfree.learning as learning

    def pressing(*arguments, **how):
        def between(step):
            if step == 3:
                signal.raise_signal(signal.SIGTERM)

        return fit(*arguments, **how, between=between)

    fit = learning.fit
    with monkeypatch.context() as patch:
        patch.setattr(learning, "fit", pressing)
        call("run", "--data", scans, "--out", tmp_path / "run", *small, code=130)
    call("run", "--resume", "--out", tmp_path / "run")
    first, second = (
        load_file(folder / "model.safetensors") for folder in (finished, tmp_path / "run")
    )
    assert all((first[name] == second[name]).all() for name in first)


def test_labels_of_shares_are_those_of_one_call(scans, small, tmp_path):
    words = ["labels", "--data", scans, "--out", tmp_path / "labels", "--json", *small]
    first = json.loads(call(*words, "--shard", "0/2"))
    second = json.loads(call(*words, "--shard", "1/2"))
    made = [row["scene"] for row in (*first["scenes"], *second["scenes"])]
    assert sorted(made) == ["scene0", "scene1", "scene2"]
    assert json.loads(call(*words))["scenes"] == []  # what is there is kept
    assert 0 < first["bytes"] < first["dense_bytes"]
    folder, other = tmp_path / "run", tmp_path / "other"
    given = ["--data", scans, *small]
    call("run", "--labels", tmp_path / "labels", "--out", folder, *given)
    assert not (folder / "labels").exists()
    error = call(
        "run", "--labels", tmp_path / "labels", "--out", other, "images.border=3", *given, code=2
    )
    assert "holds labels made with images" in error


def test_filters_leave_out_labels_that_do_not_agree(scans, small, tmp_path):
    """Every refinement of the images is a setting, and the filters keep a part of the rows."""
    rows = {}
    for name, settings in {
        "plain": [],
        "filtered": ["images.agreement=0.7", "images.mirrored=true"],
        "refined": ["images.denoise=true", "images.smooth_keys=true"],
    }.items():
        call("labels", "--data", scans, "--out", tmp_path / name, *small, *settings)
        with np.load(tmp_path / name / "scene0.npz") as found:
            labels = found["labels"].tolist()
            keys = zip(found["point_index"].tolist(), found["views"].tolist(), strict=True)
            rows[name] = dict(zip(keys, labels, strict=True))
    assert 0 < len(rows["filtered"]) < len(rows["plain"])
    assert rows["filtered"].items() <= rows["plain"].items()
    assert rows["refined"].keys() == rows["plain"].keys()
    assert rows["refined"] != rows["plain"]


def test_evaluate_gives_the_scores_of_the_run(finished):
    found = json.loads(call("evaluate", "--model", finished, "--json"))
    summary = json.loads((finished / "summary.json").read_text())
    assert found["miou"] == pytest.approx(summary["miou"])
    assert found["protocol"] == summary["protocol"]
    turned = json.loads(call("evaluate", "--model", finished, "model.views=2", "--json"))
    assert turned["protocol"] == found["protocol"].replace("no-tta", "tta-2-views")
    assert turned["miou"] != found["miou"]


def test_evaluate_scores_other_labeled_scans(finished, tmp_path):
    other = tmp_path / "other"
    save_scene(make_posed_room("new", 7), other / "new")
    words = ["--model", finished, "--data", other, "data.options.label_set=scannet20", "--json"]
    found = json.loads(call("evaluate", *words))
    assert found["protocol"].startswith("folder:other/scannet20/held-out/")
    assert "/none/trained-on:folder:scans" in found["protocol"]


def test_predict_needs_no_images(finished, tmp_path):
    room = make_posed_room("new", 9)
    write_ply(tmp_path / "new.ply", room.points, colors=room.colors)
    out = tmp_path / "predicted"
    call("predict", tmp_path / "new.ply", "--model", finished, "--out", out)
    labeled = read_scene(out / "new.ply")
    assert len(labeled.labels) == len(room.points)


def test_query_shows_how_well_points_fit(finished, scans, tmp_path):
    out = tmp_path / "queried"
    words = ["query", "a red chair", scans / "scene0", "--model", finished, "--out", out]
    call(*words, "--not", "a table", "--not", "a floor")
    assert sorted(path.suffix for path in out.iterdir()) == [".html", ".ply", ".png"]
    assert "--overwrite" in call(*words, code=2)
    error = call("query", "a xylophone", scans / "scene0", "--model", finished, code=2)
    assert "xylophone" in error


def test_own_classes_need_no_annotation(bare_scans, small_bare, tmp_path):
    folder = tmp_path / "run"
    words = ["--data", bare_scans, "--classes", CLASSES, "--out", folder, *small_bare]
    call("run", *words)
    summary = json.loads((folder / "summary.json").read_text())
    assert "miou" not in summary
    assert summary["scenes"]["validation"] == []
    call("predict", bare_scans / "scene0", "--model", folder, "--out", tmp_path / "predicted")


def test_a_dry_run_writes_nothing(scans, small, tmp_path):
    out = tmp_path / "run"
    words = ["run", "--data", scans, "--out", out, "--dry-run", "--json", *small]
    found = json.loads(call(*words))
    assert found["labeling_minutes"] > 0
    assert found["training_minutes"] > 0
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["classes.names=[wall]"], "classes must be at least two names, got 1"),
        (["classes.names=[wall,wall]"], "classes must be distinct, got 'wall' twice"),
        (["data.budget=10%"], "data.budget must be none"),
        (["images.clip=ViT-B-16"], "images.clip must be small, MODEL/WEIGHTS"),
        (["method.intra_scene=false", "method.inter_scene=false"], "feedback must be false"),
        (["classes.synonyms={couch: [sofa]}"], "classes.synonyms must be of classes of scannet20"),
        (["images.sets=mesh"], "must have faces for these sets"),
    ],
)
def test_a_wrong_setting_is_one_line(scans, small, tmp_path, words, message):
    out = tmp_path / "run"
    error = call("run", "--data", scans, "--out", out, *small, *words, code=2)
    assert message in error
    assert "Traceback" not in error


def test_scenes_without_images_are_refused(tmp_path, small):
    from pcl_methods.segmentation.testing import make_room

    for index in range(4):
        save_scene(make_room(f"scene{index}", index), tmp_path / "scans" / f"scene{index}")
    error = call("run", "--data", tmp_path / "scans", "--out", tmp_path / "run", *small, code=2)
    assert "must have camera frames, got none" in error
    assert not (tmp_path / "run").exists()
