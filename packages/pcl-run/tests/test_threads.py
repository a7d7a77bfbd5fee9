"""Tests of pcl_run.threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pcl_run import threads
from pcl_run.threads import bad_settings, cpu_quota, set_up_threads, share_threads, usable_cores


@pytest.fixture
def group(monkeypatch, tmp_path):
    """Write files of a control group of this process."""
    own = "machine/container"
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    text = {"/proc/self/cgroup": f"4:memory:/other\n1:cpu,cpuacct:/{own}\n0::/{own}\n"}
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a, **k: text.get(str(self)) or read(self, *a, **k)
    )

    def write(folder: str, **files: str) -> None:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (tmp_path / folder / name.replace("__", ".")).write_text(content)

    return write


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has set nothing and imported no torch."""
    monkeypatch.setattr(threads, "_given", {})
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.parametrize(
    ("folder", "files", "expected"),
    [
        ("machine/container", {"cpu__max": "250000 100000\n"}, 2.5),
        ("machine", {"cpu__max": "50000 100000\n"}, 0.5),
        ("", {"cpu__max": "max 100000\n"}, None),
        ("cpu", {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}, 3.0),
        ("cpu/machine", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ("machine", {"cpu__max": "what\n"}, None),
    ],
)
def test_the_quota_of_either_version_is_found_in_any_group_above(group, folder, files, expected):
    group(folder, **files)
    assert cpu_quota() == expected


def test_the_smallest_quota_holds(group):
    group("machine/container", cpu__max="400000 100000")
    group("machine", cpu__max="200000 100000")
    assert cpu_quota() == 2.0


@pytest.mark.parametrize(
    ("allowed", "quota", "expected"),
    [(64, None, 64), (64, 2.0, 2), (64, 1.5, 2), (64, 0.1, 1), (2, 8.0, 2)],
)
def test_cores_are_those_of_affinity_and_quota(monkeypatch, allowed, quota, expected):
    monkeypatch.setattr(threads, "allowed_cores", lambda: allowed)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert usable_cores() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity of Linux")
def test_affinity_is_respected():
    code = (
        "import os; from pcl_run.threads import usable_cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_threads_wait_for_a_moment_and_are_limited_by_the_quota(monkeypatch, fresh):
    monkeypatch.setattr(threads, "allowed_cores", lambda: 64)
    monkeypatch.setattr(threads, "cpu_quota", lambda: 2.0)
    environment = {}
    set_up_threads(environment)
    assert environment == {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "2"}


@pytest.mark.parametrize(
    "given", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "0"}, {"OMP_WAIT_POLICY": ""}]
)
def test_what_the_user_has_set_stays(monkeypatch, fresh, given):
    monkeypatch.setattr(threads, "cpu_quota", lambda: 0.5)
    environment = given | {"OMP_NUM_THREADS": "7"}
    set_up_threads(environment)
    assert environment == given | {"OMP_NUM_THREADS": "7"}


def test_nothing_is_set_once_torch_has_read_it(monkeypatch, fresh):
    monkeypatch.setitem(sys.modules, "torch", None)
    environment = {}
    set_up_threads(environment)
    assert environment == {}


def test_processes_share_the_cores_unless_the_user_says_otherwise(monkeypatch):
    import torch

    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(threads, "_given", {})
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    share_threads(2)
    assert (set_to, os.environ["OMP_NUM_THREADS"]) == ([], "5")
    monkeypatch.delenv("OMP_NUM_THREADS")
    share_threads(2)
    assert (set_to, os.environ["OMP_NUM_THREADS"]) == ([4], "4")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OMP_NUM_THREADS": "3"}, "OMP_NUM_THREADS is 3, more than the 2 cores"),
        ({"OMP_NUM_THREADS": "1"}, "torch uses as many of 2 cores"),
        ({"OMP_NUM_THREADS": "two"}, "OMP_NUM_THREADS must be a number of threads, got two"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "OpenMP threads never stop spinning"),
        ({"GOMP_SPINCOUNT": "infinity"}, "OpenMP threads never stop spinning"),
    ],
)
def test_bad_settings_are_named(monkeypatch, environment, message):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert [message in one for one in bad_settings(environment)] == [True]
    assert bad_settings({"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000"}) == []


def test_an_app_sets_it_before_torch_is_imported():
    code = (
        "import os, sys\n"
        "from pcl_run.cli import boundary\n"
        "with boundary(): print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    )
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False 1000\n"
