"""Tests of pcl_run.run_folder and pcl_run.environment."""

import errno
import json
import os
import random
import shutil
import warnings
from pathlib import Path

import pytest
from torch import nn

from pcl_run import files, run_folder
from pcl_run.checkpoint import save_checkpoint
from pcl_run.config import Config
from pcl_run.environment import changes, environment
from pcl_run.files import temporary_name
from pcl_run.lock import lock_folder
from pcl_run.report import write_report
from pcl_run.run import Run, is_run
from pcl_run.run_folder import stored_settings


class Settings(Config):
    seed: int = 0
    steps: int = 10
    data: Path | None = None


@pytest.fixture(autouse=True, scope="module")
def quick_environment():
    """That of this process, found once and not by every run."""
    found = environment()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "environment", lambda: dict(found))
        yield


def used(folder, seed=0):
    """A run that has left something of everything."""
    run = Run.open(folder, Settings(seed=seed))
    run.remember("round_0", {"ap": 0.25, "names": ["a", "b"]})
    run.metrics("round_0", 2, loss=0.5)
    run.write_summary({"rounds": [{"round": 0, "ap": 0.25}], "seconds": 2.5, "peak_bytes": 7})
    (folder / "pseudo").mkdir()
    (folder / "pseudo" / "scene.npz").write_text("labels")
    return run


class Killed(BaseException):
    pass


def killed_after(monkeypatch, n_calls):
    """From now on the process dies at the n-th call that changes the disk."""
    left = [n_calls]

    def dying(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(files.os, "replace", dying(os.replace))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))
    monkeypatch.setattr(shutil, "rmtree", dying(shutil.rmtree))


@pytest.mark.parametrize("n_calls", range(14))
def test_overwriting_that_is_killed_leaves_the_old_run_or_the_new_one(
    tmp_path, monkeypatch, n_calls
):
    used(tmp_path, seed=3)
    with monkeypatch.context() as patch:
        killed_after(patch, n_calls)
        try:
            Run.open(tmp_path, Settings(seed=4), overwrite=True)
        except Killed:
            pass
        else:
            assert n_calls > 7
    assert is_run(tmp_path)
    settings = stored_settings(tmp_path, Settings)
    run = Run.open(tmp_path, settings, resume=True)
    if settings.seed == 3:
        assert run.recall("round_0") == {"ap": 0.25, "names": ["a", "b"]}
        assert (tmp_path / "pseudo" / "scene.npz").read_text() == "labels"
    else:
        assert settings.seed == 4
        assert run.recall("round_0") is None
        kept = {".lock", "config.yaml", "env.json", "train.log"}
        assert set(os.listdir(tmp_path)) == kept
        assert "seed: 4" in (tmp_path / "config.yaml").read_text()
    with pytest.raises(ValueError, match="is not empty"):
        Run.open(tmp_path, Settings())


def test_files_that_are_no_run_are_never_touched(tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ValueError, match=r"is not empty|must name a run folder"):
            Run.open(tmp_path, Settings(), **options)
    assert os.listdir(tmp_path) == ["config.yaml"]


def test_what_another_process_did_before_the_lock_is_seen(tmp_path, monkeypatch):
    def late(folder):
        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "lock_folder", lock_folder)
            used(folder)
        return lock_folder(folder)

    monkeypatch.setattr(run_folder, "lock_folder", late)
    with pytest.raises(ValueError, match="is not empty"):
        Run.open(tmp_path / "run", Settings())
    assert (tmp_path / "run/pseudo/scene.npz").exists()


def test_leftovers_of_a_killed_run_go_when_it_is_resumed(tmp_path):
    used(tmp_path)
    (tmp_path / "report").mkdir()
    named = [tmp_path / "model.safetensors", tmp_path / "pseudo/a.npz", tmp_path / "report/x.html"]
    leftovers = [temporary_name(path) for path in named]
    for path in leftovers:
        path.write_text("half")
    Run.open(tmp_path, Settings(), resume=True)
    assert not any(path.exists() for path in leftovers)
    assert (tmp_path / "pseudo/scene.npz").exists()


def test_everything_in_a_run_has_the_modes_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        run = used(tmp_path / "run")
        run.log("hello")
        layer = nn.Linear(1, 1)
        save_checkpoint(run.folder, stage="s", stage_step=1, modules={"a": layer}, optimizers={})
        write_report(run.folder)
    finally:
        os.umask(old)
    made = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    assert len(made) > 12
    for path in made:
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path, monkeypatch):
    used(tmp_path)

    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(PermissionError, match=r"Permission denied: .*env\.json"):
        Run.open(tmp_path, Settings(), resume=True)
    with pytest.raises(PermissionError, match=r"Permission denied: .*env\.json"):
        write_report(tmp_path)


def test_a_run_that_was_moved_resumes(tmp_path):
    used(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    again = Run.open(tmp_path / "there", Settings(), resume=True)
    assert again.recall("round_0")["ap"] == 0.25


def test_data_that_lie_elsewhere_are_named_with_what_to_do(tmp_path):
    Run.open(tmp_path, Settings(data=Path("/old/scans")))
    with pytest.raises(ValueError, match=r"data must stay '/old/scans' to resume.*write it into"):
        Run.open(tmp_path, Settings(data=Path("/new/scans")), resume=True)
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text().replace("/old", "/new"))
    Run.open(tmp_path, Settings(data=Path("/new/scans")), resume=True)


def test_another_machine_is_a_warning(tmp_path):
    Run.open(tmp_path, Settings())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Run.open(tmp_path, Settings(), resume=True)
    env = json.loads((tmp_path / "env.json").read_text())
    env |= {"threads": 77, "processes": 5}
    (tmp_path / "env.json").write_text(json.dumps(env))
    with pytest.warns(UserWarning, match=r"processes 1 instead of 5, threads \d+ instead of 77: "):
        Run.open(tmp_path, Settings(), resume=True)
    assert changes(env, env) == []
    assert changes({"versions": 3}, env) == []


FILES = ("state.json", "summary.json", "metrics.jsonl", "env.json", "config.yaml")


def error_of(use, *arguments, **options):
    """The one line of the error, None where there is none; anything else fails the test."""
    try:
        use(*arguments, **options)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"3", b"null", b"{", b"[" * 9999, b"\xff\xfe\n", b'{"a": [1]}\n', b"\0\n"],
)
def test_a_damaged_file_of_a_run_is_named(tmp_path, file, content):
    used(tmp_path)
    (tmp_path / file).write_bytes(content)
    resumed = error_of(Run.open, tmp_path, Settings(), resume=True)
    reported = error_of(write_report, tmp_path)
    for error in (resumed, reported):
        assert error is None or (str(tmp_path) in error and "\n" not in error)
    is_foreign = file == "env.json" and content[:1] == b"{" and len(content) > 1
    is_whole = content in (b"", b"null") and file in ("config.yaml", "metrics.jsonl")
    if file not in ("summary.json", "metrics.jsonl") and not is_foreign and not is_whole:
        assert file in resumed
    if file == "summary.json" and content != b'{"a": [1]}\n':
        assert file in reported


@pytest.mark.parametrize("file", FILES)
def test_mutated_files_of_a_run_are_read_or_one_error(tmp_path, monkeypatch, file):
    monkeypatch.setattr("pcl_run.metrics.MetricsLog._show", lambda self, row: None)
    used(tmp_path)
    originals = {name: (tmp_path / name).read_bytes() for name in FILES}
    chosen = random.Random(0)
    warnings.simplefilter("ignore")
    for _ in range(40):
        for name, content in originals.items():
            (tmp_path / name).write_bytes(content)
        changed = bytearray(originals[file])
        for _ in range(chosen.randint(1, 5)):
            at = chosen.randrange(len(changed))
            letters = chosen.choices(b'{}[],:"\\0 9ea\n\xff', k=2)
            changed[at : at + chosen.randint(0, 3)] = bytes(letters)
        (tmp_path / file).write_bytes(changed)
        for error in (
            error_of(write_report, tmp_path),
            error_of(Run.open, tmp_path, Settings(), resume=True),
        ):
            assert error is None or "\n" not in error


def test_a_changed_fact_is_damage(tmp_path):
    used(tmp_path)
    file = tmp_path / "state.json"
    file.write_text(file.read_text().replace("0.25", "0.75"))
    with pytest.raises(ValueError, match=r"state\.json: is damaged: it is not what was written"):
        Run.open(tmp_path, Settings(), resume=True)
