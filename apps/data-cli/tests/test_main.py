"""Tests of the commands of data-cli, on small worlds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_cli.main import app
from pcl_data import SCANNET20, Scene, load_scene
from pcl_data.dataset import Dataset
from pcl_data.datasets import SceneFolder, SemanticKitti
from pcl_data.export import write_ply
from pcl_data.shards import ShardFolder

COMMANDS = ("prepare", "validate", "stats", "synth", "show")
STREETS = ("n_sweeps=2", "beams=32")


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stderr if code == 2 and not result.stdout else result.stdout


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rooms") / "rooms"
    call("synth", "rooms", folder, "--count", 2, f"cache={folder.parent / 'cache'}")
    return folder


@pytest.fixture
def scans(tmp_path) -> Path:
    generator = np.random.default_rng(0)
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("hall", "shop"):
        points = generator.uniform(0, [5, 4, 2], (500, 3)).astype(np.float32)
        colors = generator.integers(0, 256, (500, 3), dtype=np.uint8)
        labels = generator.integers(-1, 20, 500)
        write_ply(folder / f"{name}.ply", points, colors=colors, labels=labels)
    return folder


def test_help_does_not_load_numpy_or_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from data_cli.main import app;"
        "CliRunner().invoke(app, ['--help']);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_loads_torch(scans):
    code = (
        "import sys; from typer.testing import CliRunner; from data_cli.main import app;"
        f"result = CliRunner().invoke(app, ['stats', {str(scans)!r}]);"
        "sys.exit(result.exit_code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_line_in_the_readme(command):
    assert f"data-cli {command}" in call(command, "--help").replace("\n", " ")
    readme = Path(__file__).parent.parent / "README.md"
    assert f"data-cli {command}" in readme.read_text()


def test_prepared_scans_describe_themselves(scans, tmp_path):
    out = tmp_path / "prepared"
    said = call("prepare", scans, out, "label_set=scannet20", "--workers", 2)
    assert said.startswith("2 scenes, ")
    prepared = SceneFolder(out)
    assert prepared.names == ("hall", "shop")
    assert prepared.label_set.names == SCANNET20.names
    first, original = prepared[0], SceneFolder(scans, label_set=SCANNET20)[0]
    np.testing.assert_array_equal(first.points, original.points)
    np.testing.assert_array_equal(first.labels, original.labels)


def test_an_interrupted_preparation_goes_on(scans, tmp_path):
    out = tmp_path / "prepared"
    call("prepare", scans, out, "label_set=scannet20", "--split", "hall,hall", code=2)
    call("prepare", scans, out, "label_set=scannet20")
    before = (out / "hall" / "coord.npy").stat().st_mtime_ns
    write_ply(scans / "yard.ply", np.ones((5, 3), np.float32), labels=np.zeros(5, int))
    summary = json.loads(call("prepare", scans, out, "label_set=scannet20", "--json"))
    assert summary["scenes"] == 3
    assert (out / "hall" / "coord.npy").stat().st_mtime_ns == before
    assert set(SceneFolder(out).names) == {"hall", "shop", "yard"}


def test_a_broken_scan_leaves_the_finished_ones(scans, tmp_path):
    (scans / "zoo.ply").write_bytes(b"ply\nformat")
    error = call("prepare", scans, tmp_path / "out", "label_set=scannet20", code=2)
    assert "zoo.ply" in error
    assert set(SceneFolder(tmp_path / "out").names) == {"hall", "shop"}
    assert not list((tmp_path / "out").glob(".*"))


def test_shards_hold_the_same_scenes(scans, tmp_path):
    call("prepare", scans, tmp_path / "shards", "label_set=scannet20", "--shards")
    shards = ShardFolder(tmp_path / "shards", label_set=SCANNET20)
    assert shards.names == ("hall", "shop")
    said = call("stats", tmp_path / "shards", "--kind", "shards", "label_set=scannet20")
    assert "2 scenes, 1,000 points" in said
    error = call("prepare", scans, tmp_path / "more", "--shards", "--workers", 2, code=2)
    assert "workers must be 1 with --shards" in error


def test_sound_rooms_validate(rooms):
    said = call("validate", rooms)
    assert said.endswith("2 scenes, 0 errors, 1 warnings\n")
    assert "warning: classes: no point of" in said


def test_a_changed_file_is_found_by_its_hash(scans, tmp_path):
    out = tmp_path / "prepared"
    call("prepare", scans, out, "label_set=scannet20")
    labels = np.load(out / "hall" / "segment.npy")
    labels[0] = (labels[0] + 1) % 20
    np.save(out / "hall" / "segment.npy", labels)
    findings = json.loads(call("validate", out, "--json", code=2))["findings"]
    assert [(f["rule"], f["scene"]) for f in findings if f["level"] == "error"] == [
        ("hash", "hall/segment.npy")
    ]


def test_what_cannot_be_read_exits_with_two(scans):
    (scans / "zoo.ply").write_bytes(b"ply\nformat")
    said = call("validate", scans, "label_set=scannet20", code=2)
    assert "error: read: zoo: " in said
    assert "3 scenes, 1 errors" in said


def test_statistics_without_labels_have_no_classes(scans):
    for path in scans.iterdir():
        path.unlink()
    for name, size in (("a", 10), ("b", 40)):
        np.save(scans / f"{name}.npy", np.random.default_rng(0).random((size, 3), np.float32))
    said = call("stats", scans, "label_set=scannet20")
    assert said.splitlines()[1] == "points of a scene: 10 to 40, median 25"
    assert len(said.splitlines()) == 3


def test_statistics_count_the_classes(rooms):
    table = call("stats", rooms)
    scenes = [load_scene(path) for path in sorted(rooms.glob("room*"))]
    n_points = sum(len(scene.points) for scene in scenes)
    assert f"2 scenes, {n_points:,} points" in table
    counted = json.loads(call("stats", rooms, "--json"))
    walls = sum(int((scene.labels == 0).sum()) for scene in scenes)
    assert counted["classes"]["wall"]["points"] == walls
    assert f"{walls:,}" in table


def test_rooms_are_made_once(rooms):
    assert len(list(rooms.glob("room*"))) == 2
    said = call("synth", "rooms", rooms, "--count", 2, f"cache={rooms.parent / 'cache'}")
    assert said == f"2 scenes in {rooms}\n"


def test_scenes_of_another_world_are_not_mixed(tmp_path):
    words = ("--count", 1, "n_sweeps=1", "beams=32", f"cache={tmp_path / 'cache'}")
    call("synth", "streets", tmp_path / "scenes", *words)
    error = call("synth", "streets", tmp_path / "scenes", "--seed", 1, *words, code=2)
    assert "source must be 'streets seed=1 beams=32 n_sweeps=1', got 'streets seed=0" in error


def test_streets_come_in_the_official_layouts(tmp_path):
    cache = f"cache={tmp_path / 'cache'}"
    call("synth", "streets", tmp_path / "scenes", "--count", 1, *STREETS, cache)
    streets = SceneFolder(tmp_path / "scenes")
    assert len(streets) == 2
    kitti = tmp_path / "kitti"
    call("synth", "streets", kitti, "--count", 1, "--layout", "semantickitti", *STREETS, cache)
    sweeps = SemanticKitti(kitti, "00")
    assert len(sweeps) == 2
    np.testing.assert_allclose(sweeps[1].points, streets[1].points, atol=1e-5)
    nuscenes = tmp_path / "nuscenes"
    call("synth", "streets", nuscenes, "--count", 1, "--layout", "nuscenes", *STREETS, cache)
    words = ("--kind", "nuscenes", "--split", "street_0000", "version=v1.0-mini")
    assert "2 scenes" in call("stats", nuscenes, *words)
    again = ("--count", 1, "--layout", "nuscenes", *STREETS, cache)
    error = call("synth", "streets", nuscenes, *again, code=2)
    assert "must not exist yet" in error
    said = call("stats", kitti, "--kind", "semantickitti", "--split", "00")
    assert f"2 scenes, {sum(len(sweep.points) for sweep in sweeps):,} points" in said


def test_rooms_have_no_lidar_layout(tmp_path):
    error = call("synth", "rooms", tmp_path / "x", "--layout", "nuscenes", code=2)
    assert "layout must be one of scenes, got 'nuscenes'" in error
    assert "world must be one of rooms, streets" in call("synth", "roms", tmp_path / "x", code=2)


def test_a_picture_and_a_page(scans, tmp_path):
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    assert call("show", scans / "hall.ply", "--out", picture, "--layer", "height") == f"{picture}\n"
    assert Image.open(picture).size == (1200, 900)
    call(
        "show", scans, "--scene", "shop", "--out", page, "--layer", "labels", "label_set=scannet20"
    )
    text = page.read_text()
    assert "<h1>shop</h1>" in text
    assert "otherfurniture" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scene", "shoppe"), "did you mean 'shop'?"),
        (("--layer", "label"), "did you mean 'labels'?"),
        (("--out", "a.jpg"), "out must end in .png or .html, got a.jpg"),
        (("--cut-above", "2"), "cut-above must be given with a .png"),
    ],
)
def test_what_cannot_be_shown_is_named(scans, arguments, message):
    assert message in call("show", scans, *arguments, code=2)


def test_a_missing_folder_is_one_line(tmp_path):
    error = call("stats", tmp_path / "absent", code=2)
    assert error == f"error: root must exist, got {tmp_path / 'absent'}\n"


def test_scenes_of_a_lidar_keep_what_they_know(tmp_path):
    points = np.zeros((3, 3), np.float32)
    intensity = np.array([0, 0.5, 1], np.float32)
    scene = Scene("08/000001", points, intensity=intensity, sensor_to_world=np.eye(4))

    class One(Dataset):
        names, label_set = ("08/000001",), None

        def __getitem__(self, index):
            return scene

    from pcl_data.preparation import prepare

    prepare(One(), tmp_path / "out")
    read = SceneFolder(tmp_path / "out")[0]
    assert read.name == "08_000001"
    np.testing.assert_array_equal(read.intensity, intensity)
    np.testing.assert_array_equal(read.sensor_to_world, np.eye(4))
