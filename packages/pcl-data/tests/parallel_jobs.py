"""Jobs of test_parallel, which other processes import by this name."""

import os
import time
from pathlib import Path


def write_slowly(folder, number):
    """A file that is taken away when it cannot be finished."""
    path = Path(folder, str(number))
    path.touch()
    try:
        time.sleep(60)
    finally:
        path.unlink()


def kill_own_process(number, index):
    if index == 1:
        os.kill(os.getpid(), number)
        time.sleep(60)
    time.sleep(1)
