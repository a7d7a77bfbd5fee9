"""Two processes that train tiny_app together, with an accident.

python two_devices.py FOLDER usage | slow
"""

import os
import signal
import sys
import time
from pathlib import Path

import tiny_app

from pcl_run import keeping
from pcl_run.cli import boundary, make_fabric
from pcl_run.run import Run


def main(folder: Path, accident: str) -> None:
    """The first process makes the folder `0`, and the other one would take `1`."""
    with boundary():
        fabric = make_fabric(devices=2)
        if accident == "usage":
            raise ValueError("width must be positive, got 0")
        is_first, save = fabric.global_rank == 0, keeping.save_checkpoint

        def save_slowly(*arguments, **options):
            time.sleep(3)
            return save(*arguments, **options)

        def hook(stage: str, step: int) -> None:
            if is_first and step == 7:
                keeping.save_checkpoint = save_slowly
                os.kill(os.getpid(), signal.SIGTERM)

        run = Run.open(folder / str(fabric.global_rank), tiny_app.Settings())
        tiny_app.train(run, tiny_app.build(), fabric=fabric, stages=1, hook=hook)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
