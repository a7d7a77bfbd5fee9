"""Training samples whose randomness depends on (seed, epoch, index) alone.

A key (epoch, index) carries the epoch to the worker, so that a sample is the same whichever process
makes it, however many there are, and wherever a run was resumed.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.random import Generator

from pcl_data.scene import Scene

Sample = TypeVar("Sample")
Key = tuple[int, int]


class SeededSamples(Generic[Sample]):
    """`samples[epoch, index]` is `make(scenes[index], generator)`.

    The generator is seeded by (seed, epoch, index). Serves as map-style data set of a torch
    `DataLoader`, with a `PointBudgetSampler`, whose batches are of such keys.

    Args:
        scenes: a data set.
        make: makes a sample of a scene; all its randomness must come from the generator.
        seed: of the run.

    Example:
        >>> import numpy as np
        >>> scenes = [Scene("a", np.zeros((1, 3), np.float32))]
        >>> samples = SeededSamples(scenes, lambda scene, generator: generator.random())
        >>> samples[3, 0] == samples[3, 0], samples[3, 0] == samples[4, 0]
        (True, False)
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        make: Callable[[Scene, Generator], Sample],
        *,
        seed: int = 0,
    ) -> None:
        self.scenes, self.make, self.seed = scenes, make, seed

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        return self.make(self.scenes[index], np.random.default_rng([self.seed, epoch, index]))
