"""Tests of pcl_clip3d.machine_code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pcl_clip3d
from pcl_clip3d import machine_code
from pcl_clip3d.machine_code import compiled


@pytest.fixture(autouse=True)
def unwarned():
    machine_code._warn.cache_clear()
    yield
    machine_code._warn.cache_clear()


def refuse(message, monkeypatch):
    """Let numba compile without a cache only."""

    def njit(cache=False, **options):
        if cache:
            raise RuntimeError(message)
        return lambda function: function

    monkeypatch.setattr(machine_code, "njit", njit)


def test_without_a_place_there_is_no_cache_and_one_warning(monkeypatch):
    refuse("cannot cache function 'f': no locator available for file 'f.py'", monkeypatch)
    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR may name one") as caught:
        assert [compiled(len), compiled(abs)] == [len, abs]
    assert len(caught) == 1


def test_another_error_is_not_hidden(monkeypatch):
    refuse("bug", monkeypatch)
    with pytest.raises(RuntimeError, match="bug"):
        compiled(len)


@pytest.mark.parametrize(("named", "expected"), [("", False), (os.path.abspath("x"), True)])
def test_without_a_home_only_a_named_folder_is_used(monkeypatch, named, expected):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as with no HOME and no user
    monkeypatch.setenv("NUMBA_CACHE_DIR", named)
    assert machine_code._home_is_known() is expected


CODE = """
import numpy as np
from pcl_clip3d.graph_segments import number_by_first
assert number_by_first(np.array([4, -1, 2])).tolist() == [0, -1, 1]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="users of POSIX")
def test_loops_compile_where_nothing_is_writable(tmp_path):
    """A file in place of `__pycache__` stops root as well."""
    package, work = tmp_path / "src" / "pcl_clip3d", tmp_path / "work"
    package.mkdir(parents=True)
    source = Path(pcl_clip3d.__file__).parent
    (package / "__init__.py").write_text("")
    for name in ("argument_shapes.py", "machine_code.py", "graph_segments.py"):
        shutil.copy(source / name, package)
    (package / "__pycache__").write_bytes(b"")
    work.mkdir()
    left_out = ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    env |= {"PYTHONPATH": str(package.parent), "HOME": "/dev/null"}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("UserWarning") == 1
    assert list(work.iterdir()) == []
