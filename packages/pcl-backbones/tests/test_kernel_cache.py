"""Tests of pcl_backbones.kernel_cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pcl_backbones
from pcl_backbones import kernel_cache
from pcl_backbones.kernel_cache import compiled_once

NO_PLACE = RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")


@pytest.fixture(autouse=True)
def unwarned():
    kernel_cache._warn.cache_clear()
    yield
    kernel_cache._warn.cache_clear()


def test_the_cache_is_used_where_there_is_a_place():
    assert compiled_once(lambda cache: cache) is True


def test_without_a_place_there_is_no_cache_and_one_warning():
    def build(cache):
        if cache:
            raise NO_PLACE
        return "compiled"

    with pytest.warns(
        UserWarning, match="NUMBA_CACHE_DIR and TRITON_CACHE_DIR may name one"
    ) as caught:
        assert [compiled_once(build), compiled_once(build)] == ["compiled", "compiled"]
    assert len(caught) == 1


def test_another_error_is_not_hidden():
    def build(cache):
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        compiled_once(build)


@pytest.mark.parametrize(("named", "expected"), [("", False), ("/tmp", True)])
def test_without_a_home_only_a_named_folder_is_used(monkeypatch, named, expected):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as with no HOME and no user
    monkeypatch.setenv("NUMBA_CACHE_DIR", named)
    assert kernel_cache._home_is_known() is expected


def test_triton_gets_a_folder_of_its_own_only_where_it_needs_one(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", "")  # so that it comes back as it was
    monkeypatch.delenv("TRITON_CACHE_DIR")
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(tmp_path))
    kernel_cache.place_for_triton()
    assert "TRITON_CACHE_DIR" not in os.environ
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(kernel_cache.tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix))
    with pytest.warns(UserWarning, match="TRITON_CACHE_DIR"):
        kernel_cache.place_for_triton()
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton-")


CODE = """
import os, sys, pwd
def unknown(uid): raise KeyError(uid)
pwd.getpwuid = unknown
import numpy as np
from pcl_backbones.row_kernels import match_sorted
rising = np.arange(3)
assert len(match_sorted(rising, rising, 1)[0]) == 2
"""


@pytest.mark.skipif(sys.platform == "win32", reason="users of POSIX")
@pytest.mark.parametrize("home", ["/dev/null", None])
def test_import_works_where_nothing_is_writable(tmp_path, home):
    """A file in place of `__pycache__` stops root as well."""
    package, work = tmp_path / "src" / "pcl_backbones", tmp_path / "work"
    source = Path(pcl_backbones.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").write_bytes(b"")
    work.mkdir()
    left_out = ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    env["PYTHONPATH"] = str(package.parent)
    env |= {} if home is None else {"HOME": home}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("UserWarning") == 1
    assert list(work.iterdir()) == []
