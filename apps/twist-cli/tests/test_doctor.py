"""Tests of twist_cli.doctor."""

import pytest

from pcl_backbones import engine
from twist_cli import doctor
from twist_cli.doctor import examine, print_findings


def test_the_engine_is_the_one_in_use(monkeypatch):
    assert examine()["engine"].startswith("torch (")
    monkeypatch.setattr(engine, "_engine", engine.use_engine)  # of another module
    assert examine()["engine"] == "engine"


def test_cores_threads_and_waiting_are_shown_with_what_limits_them(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(doctor, "allowed_cores", lambda: 4)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 64)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    print_findings(examine(), as_json=False)
    shown = capsys.readouterr().out
    assert "cores      2 of 64 (affinity 4, quota 1.5)" in shown
    assert "waiting: OMP_WAIT_POLICY=active (yours)" in shown
    assert "slow or missing: OpenMP threads never stop spinning" in shown


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"machine": 2, "affinity": 2, "quota": None, "usable": 2}, "2 of 2"),
        ({"machine": 64, "affinity": 8, "quota": None, "usable": 8}, "8 of 64 (affinity 8)"),
    ],
)
def test_cores_that_nothing_limits_are_given_alone(found, expected):
    assert doctor._cores(found) == expected
