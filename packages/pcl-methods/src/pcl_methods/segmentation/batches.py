"""Training batches that depend on (seed, step) alone, so a resumed run sees the same ones."""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pcl_data import collate

Sample = dict[str, np.ndarray]


class Kept:
    """A function of one argument that keeps its last results.

    Unlike what `lru_cache` makes it can be sent to a worker process that is not a copy of this one,
    as on macOS and Windows; a worker begins with none.

    Args:
        function: what is called.
        size: how many results are kept.
    """

    def __init__(self, function: Callable[[Any], Any], size: int) -> None:
        self._of, self._call = (function, size), lru_cache(maxsize=size)(function)

    def __call__(self, argument: Hashable) -> Any:
        """The result, of now or of before."""
        return self._call(argument)

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, self._of


class SceneSource(NamedTuple):
    """Scenes of one kind, such as the labeled ones, and how many of them a batch holds."""

    names: Sequence[str]
    count: int
    make_sample: Callable[[str, np.random.Generator], Sample]


class SceneBatches(Dataset):
    """`batches[step]`: so many scenes of each source, in the order of the sources.

    A source is gone through in epochs, each a permutation of its scenes, one after the other; with
    several processes each takes its share of a step.

    Args:
        sources: the scenes; their samples have the same arrays.
        seed: one number or several, such as the seed of a run and the number of a round.
        rank: of this process.
        n_ranks: how many processes there are.

    Raises:
        ValueError: if a source holds no scene.
    """

    def __init__(
        self,
        sources: Sequence[SceneSource],
        seed: Sequence[int],
        *,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        if not all(source.names for source in sources):
            raise ValueError("names of a source must hold at least one scene, got none")
        self.sources, self.seed, self.rank, self.n_ranks = sources, seed, rank, n_ranks

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step = index
        rng = np.random.default_rng([*self.seed, step, self.rank])
        samples = [
            source.make_sample(name, rng)
            for source in self.sources
            for name in self.names(source, step)
        ]
        return {key: torch.from_numpy(value) for key, value in collate(samples).items()}

    def names(self, source: SceneSource, step: int) -> list[str]:
        """The scenes of a source in a step."""
        n_names, order = len(source.names), []
        first = (step * self.n_ranks + self.rank) * source.count
        for position in range(first, first + source.count):
            epoch, place = divmod(position, n_names)
            rng = np.random.default_rng([*self.seed, epoch, n_names])
            order.append(source.names[rng.permutation(n_names)[place]])
        return order
