"""Synthetic streets: seconds a street, a sweep and six images on one core, and class frequencies.

`OMP_NUM_THREADS=1 python packages/pcl-synth/benchmarks/bench_streets.py [streets]`; 8 streets
of seed 0 by default, 8 sweeps of each, 2.5 seconds apart. Seconds are those of the processor.
"""

import sys
import time

import numpy as np

from pcl_data import SEMANTICKITTI19, SEMANTICKITTI25
from pcl_synth.streets import dataset, generate_sweep

TICKS = range(0, 200, 25)


def main(n_streets: int = 8) -> None:
    seconds: dict[str, list[float]] = {"a street": [], "a sweep of 64": [], "a sweep of 32": []}
    seconds["six images"] = []
    sizes: dict[int, list[int]] = {64: [], 32: []}
    points, streets = np.zeros(20, dtype=int), np.zeros(20, dtype=int)
    generate_sweep(1, 0, 0)  # warm-up
    for sequence in range(n_streets):
        seconds["a street"].append(_time(lambda s=sequence: dataset._street(0, s))[0])
        generate_sweep(0, sequence, 0)  # the first rays build the tree of the triangles
        seen = np.zeros(20, dtype=int)
        for tick in TICKS:
            for beams in (64, 32):
                spent, scene = _time(
                    lambda b=beams, t=tick, s=sequence: generate_sweep(0, s, t, beams=b)
                )
                seconds[f"a sweep of {beams}"].append(spent)
                sizes[beams].append(len(scene.points))
            if tick % 100 == 0:
                both, _ = _time(
                    lambda t=tick, s=sequence: generate_sweep(0, s, t, beams=32, cameras=True)
                )
                seconds["six images"].append(both - spent)
            train = SEMANTICKITTI19.to_train(SEMANTICKITTI25.to_raw(scene.labels))
            seen += np.bincount(train + 1, minlength=20)
        points += seen
        streets += seen > 0
    for name, values in (*seconds.items(), *((f"points of {b}", n) for b, n in sizes.items())):
        quartiles = ", ".join(f"{v:.4g}" for v in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
        print(f"{name} (min, quartiles, max): {quartiles}")
    print(f"{'class':16}{'streets':>8}{'points %':>10}")
    for k, name in enumerate(("unlabeled", *SEMANTICKITTI19.names)):
        print(f"{name:16}{streets[k]:8}{100 * points[k] / points.sum():10.3f}")


def _time(job):
    start = time.process_time()
    result = job()
    return time.process_time() - start, result


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
