"""Tests of pcl_run.cli."""

import errno
import json
import os
import signal
import subprocess
import sys
import warnings

import pytest
import typer
from typer.testing import CliRunner

from pcl_run.cli import RunFailed, boundary, make_fabric, print_json
from pcl_run.config import ConfigError
from pcl_run.interrupts import Interrupted


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("twist.round is no setting"), 2, "error: twist.round is no setting"),
        (FileNotFoundError(2, "No such file", "a.ply"), 2, "a.ply"),
        (FileExistsError("folder must not hold shards yet, got out"), 2, "error: folder must not"),
        (IsADirectoryError(21, "Is a directory", "a.png"), 2, "a.png"),
        (NotADirectoryError(20, "Not a directory", "a/b"), 2, "a/b"),
        (OSError(errno.EROFS, "Read-only file system", "a"), 2, "error: "),
        (PermissionError(13, "Permission denied", "a"), 2, "error: "),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 1, "error: no space left"),
        (
            OSError(errno.EIO, "Input/output error", "a"),
            1,
            "error: [Errno 5] Input/output error: 'a'",
        ),
        (RunFailed("loss must be finite"), 1, "error: loss must be finite"),
        (Interrupted("interrupted at round_0 step 4"), 130, "interrupted at round_0 step 4"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_expected_failures_are_a_line_and_a_code(error, code, message):
    app = typer.Typer()

    @app.command()
    @boundary()
    def command() -> None:
        raise error

    result = CliRunner().invoke(app)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("error", [KeyError("bug"), RuntimeError("bug"), OSError(5, "I/O error")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)), boundary():
        raise error


def test_sigterm_ends_a_command_with_130_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="130"), boundary():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_importing_the_edge_does_not_load_torch():
    code = "import sys, pcl_run.cli, pcl_run.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_print_json(capsys):
    print_json({"ap": float("nan")})
    assert json.loads(capsys.readouterr().out) == {"ap": None}


def test_fabric_checks_what_it_is_asked():
    with pytest.raises(ValueError, match="devices and nodes must be at least 1, got 0 and 1"):
        make_fabric(devices=0)
    with pytest.raises(ValueError, match="precision must be one of 32-true, bf16-mixed, got 8"):
        make_fabric(precision="8")
    assert make_fabric(precision="bf16-mixed").world_size == 1


def test_a_warning_is_a_line_and_those_of_others_are_quiet(capsys):
    with boundary():
        warnings.warn("labels are read as scannet20", stacklevel=1)
        warnings.warn("soon", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: labels are read as scannet20\n"
