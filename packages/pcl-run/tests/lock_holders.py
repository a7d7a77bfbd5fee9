"""What other processes do in test_lock; they import it by this name."""

import os
import time

from pcl_run import run_folder
from pcl_run.config import Config
from pcl_run.environment import FORMAT
from pcl_run.lock import lock_folder
from pcl_run.run_folder import prepare_folder


class Settings(Config):
    seed: int = 0


def hold(folder, ready, done):
    """Lock the folder, and start a process that outlives this one."""
    lock = lock_folder(folder)
    if os.fork() == 0:
        done.wait(60)
        os._exit(0)
    ready.set()
    time.sleep(60)
    del lock


def start(folder, gate, answers):
    """`Run.open` but for what needs torch."""
    run_folder.environment = lambda: {"format": FORMAT}
    gate.wait(60)
    try:
        lock = prepare_folder(folder, Settings(), preset=None, overwrite=False, resume=False)
        answers.put("")
        time.sleep(0.5)
        del lock
    except ValueError as error:
        answers.put(str(error))
