"""Synthetic rooms: seconds and points a room on one core, and how often each class occurs.

`OPENBLAS_NUM_THREADS=1 python packages/pcl-synth/benchmarks/bench_rooms.py [rooms [vocabulary]]`;
40 rooms of seed 0 with the vocabulary scannet20 by default, of long-tail none of them flat.
"""

import sys
import time

import numpy as np

from pcl_synth.rooms import generate_room
from pcl_synth.rooms.dataset import LABEL_SETS


def main(n_rooms: str = "40", vocabulary: str = "scannet20") -> None:
    label_set = LABEL_SETS[vocabulary]
    seconds, sizes, unlabeled = [], [], []
    points, instances, rooms = (np.zeros(label_set.n_classes, dtype=int) for _ in range(3))
    generate_room(1, 0, vocabulary=vocabulary)  # warm-up
    for index in range(int(n_rooms)):
        start = time.process_time()
        scene = generate_room(0, index, vocabulary=vocabulary)
        seconds.append(time.process_time() - start)
        sizes.append(len(scene.points))
        unlabeled.append((scene.labels < 0).mean())
        count = np.bincount(scene.labels[scene.labels >= 0], minlength=label_set.n_classes)
        points += count
        rooms += count > 0
        things = np.unique(
            np.stack([scene.instances, scene.labels], 1)[scene.instances >= 0], axis=0
        )
        instances += np.bincount(things[:, 1], minlength=label_set.n_classes)
    for name, values in (("seconds", seconds), ("points", sizes), ("unlabeled", unlabeled)):
        quartiles = ", ".join(f"{v:.4g}" for v in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
        print(f"{name} a room (min, quartiles, max): {quartiles}")
    print(f"{'class':24}{'rooms':>6}{'instances':>11}{'points %':>10}")
    for k, name in enumerate(label_set.names):
        share = 100 * points[k] / points.sum()
        print(f"{name:24}{rooms[k]:6}{instances[k]:11}{share:10.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
