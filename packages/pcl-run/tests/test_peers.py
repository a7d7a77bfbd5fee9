"""Tests of pcl_run.peers: what two processes that train together say, and what they leave."""

import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from pcl_run import peers
from pcl_run.checkpoint import newest_checkpoint
from pcl_run.cli import boundary
from pcl_run.interrupts import Interrupted
from pcl_run.peers import casualty, from_first, how_it_ended

SCRIPT = Path(__file__).with_name("two_devices.py")


@pytest.fixture
def others(monkeypatch):
    """Let this process be the first, of others that run some code."""
    monkeypatch.setattr(peers, "_peers", [])

    def start(*codes: str) -> list[peers._Peer]:
        programs = [[sys.executable, "-c", code] for code in codes]
        peers._peers += [
            peers._Peer(rank, program, dict(os.environ)) for rank, program in enumerate(programs, 1)
        ]
        return list(peers._peers)

    yield start
    peers.end_peers(0.0)
    peers._leaving.clear()


DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
SLEEP = "import time; time.sleep(60)"
FAIL = "print('error: points must be finite, got nan in a.ply'); raise SystemExit(2)"
KILLED = (
    r"error: process \d+ \(device 2\) was killed by SIGKILL; memory is the usual cause; --resume.*"
)


@pytest.mark.parametrize(
    ("codes", "error", "code", "line"),
    [
        ((SLEEP, DIE), RuntimeError("[gloo] Connection closed"), 1, KILLED),
        ((SLEEP, FAIL), RuntimeError("[gloo] Connection closed"), 2, "error: points must be .*"),
        ((FAIL, FAIL), ValueError("width must be positive"), 2, "error: width must be positive"),
        ((SLEEP, SLEEP), Interrupted("interrupted"), 130, "interrupted"),
    ],
)
def test_the_first_says_why_all_end_and_ends_all(others, capsys, codes, error, code, line):
    started = others(*codes)
    with pytest.raises(SystemExit, match=str(code)), boundary():
        raise error
    assert re.fullmatch(line + r"\n", capsys.readouterr().err)
    assert all(one.process.poll() is not None for one in started)


def test_an_own_bug_keeps_its_traceback(others, monkeypatch):
    others("")
    monkeypatch.setattr(peers, "GONE", 0.1)
    with pytest.raises(KeyError), boundary():
        raise KeyError("bug")


def test_one_that_is_dead_ends_a_process_that_waits_for_it(others, monkeypatch, capsys):
    left = Event()
    monkeypatch.setattr(peers, "PATIENCE", 0.1)
    monkeypatch.setattr(peers.os, "_exit", lambda code: left.set())
    with peers.needed():
        others(FAIL)
        assert left.wait(30)
    assert capsys.readouterr().err == "error: points must be finite, got nan in a.ply\n"


@pytest.mark.parametrize("tell", ["", "os.environ['PCL_RUN_PEER'] = '1'"])
def test_one_that_was_started_by_the_first_is_quiet(tell):
    code = (
        f"import os; from pcl_run.cli import boundary\n{tell}\nwith boundary(): raise KeyError(7)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout, done.stderr) if tell else (done.stderr, done.stdout)
    assert done.returncode == 1
    assert "KeyError: 7" in said[0]
    assert said[1] == ""


def test_one_ends_when_the_first_is_gone():
    code = "import time; from pcl_run.peers import end_with_first; end_with_first(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    process.stdin.close()
    assert process.wait(30) == 1


@pytest.mark.parametrize(
    ("accident", "code", "last_line"),
    [
        ("usage", 2, "error: width must be positive, got 0"),
        ("slow", 130, "interrupted at round_0 step 8; continue with --resume"),
    ],
)
def test_two_processes_end_together(tmp_path, accident, code, last_line):
    """Where both fail alike, and where one is slow to write the checkpoint of a stop."""
    command = [sys.executable, str(SCRIPT), str(tmp_path), accident]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert lines[-1] == last_line
    assert "Traceback" not in done.stderr
    assert sum(line.startswith(("error:", "interrupted")) for line in lines) == 1
    if accident == "slow":
        assert newest_checkpoint(tmp_path / "0").name == "round_0_step_000008"
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
        (3, "ended with exit code 3"),
    ],
)
def test_an_end_in_words(code, words):
    assert how_it_ended("device 1", 5, code) == f"process 5 (device 1) {words}"


def test_a_process_alone_has_no_others():
    assert casualty() is None
    assert from_first(lambda: "folder") == "folder"
