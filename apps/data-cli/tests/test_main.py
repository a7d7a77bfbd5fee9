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


@pytest.mark.parametrize("shards", [(), ("--shards",)])
@pytest.mark.parametrize("out", [".", "prepared", "..", "../link"])
def test_what_is_read_is_never_written_into(scans, out, shards):
    (scans.parent / "link").symlink_to(scans)
    before = {path: path.read_bytes() for path in scans.iterdir()}
    error = call("prepare", scans, scans / out, "label_set=scannet20", *shards, code=2)
    assert "out must lie apart from the data that are read" in error
    assert {path: path.read_bytes() for path in scans.iterdir()} == before


def test_a_single_scan_is_not_prepared_into_its_own_folder(scans):
    assert "out must lie apart" in call("prepare", scans / "hall.ply", scans, code=2)
    assert sorted(path.name for path in scans.iterdir()) == ["hall.ply", "shop.ply"]


@pytest.mark.parametrize(
    "command", [("prepare", "READ"), ("prepare", "READ", "--shards"), ("synth", "rooms")]
)
def test_folders_of_other_things_are_not_written_into(scans, tmp_path, command):
    other = tmp_path / "other"
    other.mkdir()
    (other / "room.ply").write_bytes(b"mine")
    words = [scans if word == "READ" else word for word in command]
    words.insert(2, other)
    if command[0] == "synth":
        words += ["--count", 1, f"cache={tmp_path / 'cache'}"]
    assert "got " in (error := call(*words, code=2))
    assert "which holds room.ply" in error
    assert [path.name for path in other.iterdir()] == ["room.ply"]


def test_a_picture_replaces_no_file_unless_it_is_told_to(scans, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"mine")
    (tmp_path / "hall.html").write_bytes(b"mine")
    for words in (["--out", "a.png"], []):
        assert "give --overwrite to replace it" in call("show", scans, *words, code=2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "hall.html").read_bytes() == b"mine"
    assert "out must end in .png" in call(
        "show", scans, "--out", scans / "hall.ply", "--overwrite", code=2
    )
    call("show", scans, "--out", "a.png", "--overwrite")
    assert Image.open("a.png").size == (1200, 900)


def test_two_processes_prepare_into_one_folder(scans, tmp_path):
    for number in range(20):
        points = np.full((2, 3), number, np.float32)
        write_ply(scans / f"scan_{number:02d}.ply", points, labels=np.zeros(2, int))
    code = "from data_cli.main import app; app()"
    command = [
        sys.executable,
        "-c",
        code,
        "prepare",
        scans,
        tmp_path / "out",
        "label_set=scannet20",
    ]
    parts = [("--split", "scan_0*"), ("--split", "*")]
    running = [subprocess.Popen([*command, *part], stdout=subprocess.DEVNULL) for part in parts]
    assert [process.wait(120) for process in running] == [0, 0]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["scenes"]) == 22
    assert "22 scenes, 0 errors" in call("validate", tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))


def test_shards_describe_themselves(scans, tmp_path):
    (scans / "dataset.yaml").write_text(
        "name: mine\nclasses: [{name: floor, id: 2}, {name: bench, id: 7}]\n"
        f"ignored: {[0, 1, *range(3, 7), *range(8, 20)]}\nsplits: {{train: ['h*']}}\n"
    )
    for path in scans.glob("*.ply"):
        points = np.random.default_rng(0).random((20, 3), np.float32)
        write_ply(path, points, labels=np.arange(20))
    out = tmp_path / "shards"
    call("prepare", scans, out, "--shards", "--split", "train")
    assert "bench" in call("stats", out, "--kind", "shards", "--split", "train")
    assert "1 scenes, 0 errors" in call("validate", out, "--kind", "shards")
    assert "which holds dataset.yaml" in call("prepare", scans, out, "--shards", code=2)


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


def test_columns_that_are_not_understood_are_listed_and_can_be_named(tmp_path):
    for name in "ab":
        rows = "".join(f"{i % 3} {i % 5} {i % 7} {i % 2 + 6}\n" for i in range(50))
        (tmp_path / f"{name}.csv").write_text(f"x y z semanticID\n{rows}")
    assert "columns that are not understood: semanticID (in 2)" in call("stats", tmp_path)
    assert json.loads(call("stats", tmp_path, "--json"))["unread_columns"] == {"semanticID": 2}
    said = call("validate", tmp_path)
    assert said.count("semanticID: label?") == 2
    assert f"warning: read: a: {tmp_path / 'a.csv'}: columns" in said
    (tmp_path / "dataset.yaml").write_text(
        "name: mine\nclasses: [{name: floor, id: 6}, {name: bench, id: 7}]\n"
        "columns: {label: semanticID}\nsplits: {val: [b]}\n"
    )
    said = call("stats", tmp_path, "--split", "val")
    assert "bench" in said
    assert "not understood" not in said
    assert "0 errors, 0 warnings" in call("validate", tmp_path)


def test_scans_far_away_and_large_ones_are_warnings_that_name_them(tmp_path):
    points = np.random.default_rng(0).random((500, 3)) * [250, 1, 1]
    np.save(tmp_path / "hall.npy", points)
    np.save(tmp_path / "tile.npy", points / [250, 1, 1] + [388096.0, 3948996, 30])
    said = call("validate", tmp_path)
    assert "warning: units: hall: the scene spans 249" in said
    assert "max_extent=25" in said
    assert "0 errors" in said
    error = call("show", tmp_path / "hall.npy", "max_extent=100", code=2)
    assert "; max_extent=250 takes it" in error


def test_a_partial_download_is_counted_and_left_out_on_request(tmp_path):
    cache = f"cache={tmp_path / 'cache'}"
    kitti = tmp_path / "kitti"
    call("synth", "streets", kitti, "--count", 1, "--layout", "semantickitti", *STREETS, cache)
    (kitti / "sequences" / "00" / "labels" / "000000.label").unlink()
    words = ("--kind", "semantickitti", "--split", "00")
    error = call("stats", kitti, *words, code=2)
    assert "labels/000000.label missing, from semantic-kitti.org" in error
    assert "; 1 of 2 scenes are not complete; missing=skip leaves those out" in error
    assert call("stats", kitti, *words, "missing=skip").startswith("1 scenes")
    assert call("stats", kitti, *words, "label_ids=none").startswith("2 scenes")


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
