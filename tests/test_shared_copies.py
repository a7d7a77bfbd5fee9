"""Modules that packages hold as copies, since libraries import no sibling, are the same."""

from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"

CHECKED = ("backbones", "calibration", "clip3d", "contrastive", "pseudolabel")


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        (
            "argument_shapes.py",
            ("data", "backbones", "calibration", "clip3d", "contrastive", "pseudolabel"),
        ),
        (
            "argument_values.py",
            ("backbones", "calibration", "clip3d", "contrastive", "pseudolabel"),
        ),
        ("atomic_files.py", ("backbones", "pseudolabel")),
    ],
)
def test_copies_are_the_same(name, packages):
    files = [PACKAGES / f"pcl-{package}" / "src" / f"pcl_{package}" / name for package in packages]
    assert len({file.read_text(encoding="utf-8") for file in files}) == 1
