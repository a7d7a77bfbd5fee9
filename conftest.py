"""Test settings shared by every package."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Small tensors gain nothing from threads, and threads that wait for each other on a busy machine
# are slow beyond measure. Set before torch is imported; commands that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Triton's kernels are interpreted where there is no GPU. Set before triton is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A first call into torch takes seconds; fixed examples keep CI repeatable.
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run in several processes, those of a file stay together and share fixtures."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False  # apps first: theirs take longest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings, or a skip that says why."""
    candidates = [os.environ.get("PCL_REAL_DATA"), Path(__file__).parent.parent / "shared" / "data"]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no real recordings: set PCL_REAL_DATA to a folder that holds them")
