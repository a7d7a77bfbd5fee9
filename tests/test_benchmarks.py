"""The tables of `benchmarks/`: runs become records, and records become tables."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RECORDS = BENCHMARKS / "results" / "records"
# In place of an app: a run folder and a summary, or a choice of points; each call is logged.
FAKE_APP = """#!{python}
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as handle:
    handle.write(json.dumps(words) + chr(10))
out, seed = Path(words[words.index("--out") + 1]), int(words[words.index("--seed") + 1])
if "fail=yes" in words:
    sys.exit(3)
out.mkdir(parents=True, exist_ok=True)
git = {{"commit": "c" * 40, "changed": True}}
env = {{"git": git, "started": "2026-01-02T03:04:05", "platform": "Here", "cpu": "x", "cores": 2}}
if "--resume" in words:
    env = {{**env, "git": {{"commit": "d" * 40, "changed": False}}, "earlier": [env]}}
(out / "env.json").write_text(json.dumps(env))
score = 0.2 + 0.1 * seed + 0.05 * any("init=" in word for word in words)
summary = {{"protocol": "fake", "seconds": 60.0, "miou": score, "map25": score, "map50": score}}
summary["object_coverage"] = 0.5
summary["file"] = "points.npz"
summary["rounds"] = [{{"round": t, "ap50": score + t / 10, "miou": 0.1}} for t in range(3)]
for name in ("summary.json", "config.yaml"):
    (out / name).write_text(json.dumps(summary))
speed = 4.0 if os.environ.get("GOMP_SPINCOUNT") == "300000" else 3.0
lines = [json.dumps({{"steps_per_second": value}}) for value in (0.1, 0.1, speed)]
(out / "metrics.jsonl").write_text(chr(10).join(lines))
print(json.dumps(summary))
"""


@pytest.fixture
def modules(monkeypatch):
    """`records` and `make_tables`, as the scripts import them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import make_tables
    import records

    return records, make_tables


@pytest.fixture
def run_script(tmp_path):
    """Run a script with apps that only pretend; return the calls it made, or its error."""
    for app in ("pretrain-cli", "twist-cli"):
        (tmp_path / app).write_text(FAKE_APP.format(python=sys.executable))
        (tmp_path / app).chmod(0o755)
    calls = tmp_path / "calls"

    def run(script: str, *words: str) -> list[list[str]] | str:
        calls.write_text("")
        places = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / script), *places, *words],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return done.stderr
        return [json.loads(line) for line in calls.read_text().splitlines()]

    return run


@pytest.fixture
def record(modules):
    """A record of one seed."""
    records, _ = modules
    machine = {"platform": "Here", "cpu": None, "cores": 2}
    return records.Record("a", "1%", [0], {"miou": [0.25]}, {}, "make", "c0", "2026-01-02", machine)


@pytest.fixture
def folder(modules, tmp_path):
    """The folder of a table that has no record yet."""
    records, _ = modules
    folder = tmp_path / "records" / "some"
    records.write_table(records.Table("Some", ["b", "a"], ["5%", "1%"], [], ["A remark."]), folder)
    return folder


def test_a_record_is_read_as_it_was_written(modules, record, folder):
    records, _ = modules
    path = records.write_record(record, folder)
    assert path.name == "a__1pct__seed0.json"
    assert records.read_records(folder) == [record]
    assert [one.name for one in folder.iterdir() if one.name.startswith(".")] == []
    keys = list(json.loads(path.read_text()))
    assert keys == sorted(keys)


@pytest.mark.parametrize("text", ["", '{"row": "a"', "[]", '{"row": "a"}', '"a"'])
def test_a_damaged_record_is_named(modules, record, folder, text):
    records, _ = modules
    path = records.write_record(record, folder)
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{path.name} is not a whole record"):
        records.read_records(folder)


def test_a_record_without_a_score_of_each_seed_is_damaged(modules, record, folder):
    records, _ = modules
    path = records.write_record(record, folder)
    path.write_text(path.read_text().replace("0.25", "0.25, 0.5"))
    with pytest.raises(ValueError, match=r"not a whole record: miou must have a score of each"):
        records.read_records(folder)
    with pytest.raises(ValueError, match=r"miou must have scores or a mean"):
        replace(record, scores={"miou": None})


def test_one_run_has_one_record(modules, record, folder):
    records, _ = modules
    records.write_record(record, folder)
    records.write_record(replace(record, seeds=[0, 1], scores={"miou": [0.2, 0.3]}), folder)
    with pytest.raises(ValueError, match=r"one record of \('a', '1%', 0\)"):
        records.read_records(folder)


def test_a_table_has_mean_deviation_and_scores_by_seed(modules, record, folder):
    records, make_tables = modules
    for seed, score in ((10, 0.4), (0, 0.2), (2, None)):
        records.write_record(replace(record, seeds=[seed], scores={"miou": [score]}), folder)
    records.write_record(replace(record, row="b"), folder)
    page = make_tables.page(folder)
    assert "| b | 25.0 |\n| a | 30.0 ± 14.1 |" in page  # sqrt(2) times 10, of 20 and 40
    assert "| b | 25.0 |\n| a | 20.0, -, 40.0 |" in page
    assert "- `make`  \n  seeds 0, 2, 10; commit c0, 2026-01-02, Here, 2 cores" in page
    assert "- A remark." in page


def test_a_table_marks_scores_that_were_not_kept(modules, record, folder):
    records, make_tables = modules
    published = {"scores": {"miou": None}, "mean": {"miou": 0.3}, "sd": {"miou": 0.01}}
    records.write_record(replace(record, seeds=[0, 1], **published), folder)
    page = make_tables.page(folder)
    assert "| a | 30.0 ± 1.0 |" in page
    assert "mIoU, by seed: not kept for 1%." in page
    records.write_record(replace(record, seeds=[2]), folder)
    with pytest.raises(ValueError, match=r"must be the only record of its cell"):
        make_tables.page(folder)


def test_a_published_mean_is_shown_where_scores_are_rounded(modules, record, folder):
    records, make_tables = modules
    rounded = {"scores": {"miou": [0.2, 0.3]}, "mean": {"miou": 0.251}, "sd": {"miou": 0.07}}
    records.write_record(replace(record, seeds=[0, 1], **rounded), folder)
    page = make_tables.page(folder)
    assert "| a | 25.1 ± 7.0 |" in page
    assert "| a | 20.0, 30.0 |" in page


@pytest.mark.parametrize(
    "name", sorted(one.name for one in (BENCHMARKS / "results/records").iterdir())
)
def test_published_tables_are_what_their_records_make(modules, name):
    _, make_tables = modules
    results = BENCHMARKS / "results"
    assert (results / f"{name}.md").read_text("utf-8") == make_tables.page(
        results / "records" / name
    )


def test_a_table_of_pretraining_is_recorded_and_not_run_again(run_script, tmp_path):
    words = ["scenes", "data.n_scenes=60", "--rows", "scratch", "CSC", "--columns", "5%"]
    words += ["--seeds", "0"]
    calls = run_script("pretraining.py", *words)
    assert [call[0] for call in calls] == ["finetune", "run", "finetune"]
    assert {"data.budget=5%", "data.budget_seed=0", "data.n_scenes=60"} <= set(calls[0])
    page = (tmp_path / "results/pretraining_scenes.md").read_text()
    assert "| scratch | 20.0 |\n| CSC | 25.0 |" in page
    assert "- `python benchmarks/pretraining.py --results " in page
    assert "commit ccccccc-dirty, 2026-01-02, Here, x, 2 cores" in page
    assert run_script("pretraining.py", *words) == []
    # One seed more: of the seed that is there nothing is run, and its record stays.
    calls = run_script("pretraining.py", *words, "1")
    assert [call[call.index("--seed") + 1] for call in calls] == ["1", "1", "1"]
    page = (tmp_path / "results/pretraining_scenes.md").read_text()
    assert "| scratch | 25.0 ± 7.1 |\n| CSC | 30.0 ± 7.1 |" in page
    # A record that is lost is made again from its run folder, with the commit of its start.
    (tmp_path / "results/records/pretraining_scenes/CSC__5pct__seed0.json").unlink()
    calls = run_script("pretraining.py", *words)
    assert [call[0] for call in calls] == ["run", "finetune"]
    assert all(call[-1] == "--resume" for call in calls)
    assert "ddddddd" not in (tmp_path / "results/pretraining_scenes.md").read_text()


def test_detectors_are_compared_at_shares_and_boxes(run_script, tmp_path):
    rows = ["--rows", "sparse detector, scratch", "VoteNet on voxels, start"]
    words = ["train.steps=9", *rows, "--columns", "20%", "4boxes", "--seeds", "1"]
    assert "--init must name a run" in run_script("detection.py", *words)
    calls = run_script("detection.py", *words, "--init", "csc_{seed}")
    assert [call[0] for call in calls] == ["finetune"] * 4
    assert ["init=csc_1" in call for call in calls] == [False, False, True, True]
    assert {"task=detection", "data.budget=4boxes", "train.steps=9"} <= set(calls[1])
    page = (tmp_path / "results/detection.md").read_text()
    assert "| row | 20% | 4boxes |" in page
    assert "AP25 of boxes" in page
    assert run_script("detection.py", *words, "--init", "csc_{seed}") == []


def test_the_error_of_a_command_is_the_last_word(run_script):
    words = ["scenes", "fail=yes", "--rows", "scratch", "--columns", "5%", "--seeds", "0"]
    assert "Traceback" not in run_script("pretraining.py", *words)


def test_a_record_of_other_settings_stops_before_any_run(run_script):
    words = ["--rows", "scratch", "--columns", "5%", "--seeds"]
    run_script("pretraining.py", "scenes", *words, "0")
    error = run_script("pretraining.py", "scenes", "data.n_scenes=60", *words, "1", "0")
    assert "must have been made with" in error
    assert "pretrain-cli" not in error  # nothing was called
    assert "Traceback" not in error


def test_chosen_points_and_their_coverage_are_recorded(run_script, tmp_path):
    words = ["points", "--rows", "active, scratch", "--columns", "20", "--seeds", "0"]
    calls = run_script("pretraining.py", *words)
    assert [call[0] for call in calls] == ["run", "label", "finetune"]
    assert "data.budget=points.npz" in calls[-1]
    page = (tmp_path / "results/pretraining_points.md").read_text()
    assert "Objects of a scene that the points hit:\n\n| row | 20 |\n|---|---|\n| active" in page
    (record,) = (tmp_path / "results/records/pretraining_points").glob("active*")
    record.unlink()
    assert [call[0] for call in run_script("pretraining.py", *words)] == ["run", "finetune"]


def test_rows_of_twist_share_their_round_zero_and_are_not_run_again(run_script, tmp_path):
    words = ["--rows", "I", "VI", "VI+CSC", "--seeds", "0", "--init", "csc_{seed}", "--name", "my"]
    calls = run_script("twist.py", *words, "data.n_scenes=70")
    outs = [Path(call[call.index("--out") + 1]).name for call in calls]
    expected = ["round_0_seed0", "I_seed0", "VI_seed0", "round_0_CSC_seed0", "VI+CSC_seed0"]
    assert outs == expected
    assert ["twist.rounds=0" in call for call in calls] == [True, False, False, True, False]
    assert "init=csc_0" in calls[-1]
    page = (tmp_path / "results/my.md").read_text()
    assert "| VI: TWIST | 20.0 | 30.0 | 40.0 |" in page  # AP50 by round
    assert "| VI+CSC: TWIST, from CSC | 45.0 |" in page
    assert run_script("twist.py", *words, "data.n_scenes=70") == []
    words[words.index("csc_{seed}")] = "other_{seed}"
    assert "got {'init': ['csc_{seed}']" in run_script("twist.py", *words, "data.n_scenes=70")


def test_rows_without_annotation_begin_with_a_run_of_labels(run_script, tmp_path):
    words = ["--rows", "VI", "VI no annotation", "--seeds", "1", "--labels", "free_{seed}"]
    calls = run_script("twist.py", *words, "--name", "my")
    outs = [Path(call[call.index("--out") + 1]).name for call in calls]
    assert outs == ["round_0_seed1", "VI_seed1", "round_0_labels_seed1", "VI_no_annotation_seed1"]
    assert ["labels=free_1" in call for call in calls] == [False, False, True, True]
    assert ["data.budget=40scenes" in call for call in calls] == [False, False, True, True]
    error = run_script("twist.py", "--rows", "VI no annotation", "--name", "other")
    assert "--labels must name a run for the row VI no annotation" in error


def test_rows_of_a_teacher_share_round_zero_and_smoothed_ones_begin_with_a_network(run_script):
    words = ["--rows", "teacher soft", "smoothed uniform", "--seeds", "1", "--init", "sup_{seed}"]
    calls = run_script("twist.py", *words, "--name", "my", "calibration.scenes=2")
    outs = [Path(call[call.index("--out") + 1]).name for call in calls]
    assert outs == ["round_0_seed1", "teacher_soft_seed1", "smoothed_uniform_seed1"]
    assert ["calibration.targets=soft" in call for call in calls] == [False, True, False]
    assert ["init=sup_1" in call for call in calls] == [False, False, True]
    assert "calibration.smoothing=uniform" in calls[2]
    assert all("calibration.scenes=2" in call for call in calls)


def test_images_are_rendered_learned_and_taught(run_script, tmp_path):
    words = ["data.n_rooms=1", "data.n_validation=1", "data.every=6", "image_size=64"]
    words += [f"train.{stage}=1" for stage in ("warm_up", "burn_in", "teaching")]
    words += ["train.labeled_images=1", "train.unlabeled_images=1", "--seeds", "0"]
    assert run_script("image_instances.py", "teaching", *words, "--rows", "soft corrected") == []
    page = (tmp_path / "results/image_teaching.md").read_text()
    assert (
        "| row | AP | AP50 | AP rare | AP common | AP frequent | ECE | ECE of the teacher |" in page
    )
    assert "lvis-rooms-longtail-v1" in page


def test_trainings_beside_each_other_are_compared_with_one_alone(run_script, tmp_path):
    words = ["train.initial_steps=9", "--seeds", "0", "--rows", "passive"]
    calls = run_script("busy_machine.py", *words)
    outs = sorted(Path(call[call.index("--out") + 1]).name for call in calls)
    assert outs == ["repeat0_0", "repeat0_0", "repeat0_0", "repeat0_1"]  # default, alone, two
    assert all("train.initial_steps=9" in call for call in calls)
    page = (tmp_path / "results/busy_machine.md").read_text()
    assert "| passive | 75.0 | 75.0 |" in page
    assert run_script("busy_machine.py", *words) == []
