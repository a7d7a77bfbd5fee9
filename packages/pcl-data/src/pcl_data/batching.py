"""Samples to batches: rows are concatenated, never padded, and every index is shifted to match."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np


def collate(samples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One batch of all samples, with `batch_index` (int64) for each row of `coords`.

    `coords` (v, 3) get the number of the sample as first column. `inverse` (voxel of each point)
    and `index` (first point of each voxel) are shifted to rows of the batch; `instances` are
    shifted to stay unique, -1 stays -1. Every other array is concatenated as it is.

    Args:
        samples: arrays by name, the same names in each; `coords` among them, and `inverse` if there
            is `index`.

    Raises:
        ValueError: if there is no sample, names differ, a needed array is missing, `coords` are not
            (v, 3), or an index names a row that its sample does not have.

    Example:
        >>> import numpy as np
        >>> sample = {"coords": np.zeros((2, 3), np.int32), "instances": np.array([0, -1])}
        >>> batch = collate([sample, sample])
        >>> batch["coords"][:, 0].tolist(), batch["instances"].tolist()
        ([0, 0, 1, 1], [0, -1, 1, -1])
    """
    if not samples:
        raise ValueError("samples must hold at least one sample, got 0")
    names = samples[0].keys()
    for i, sample in enumerate(samples):
        if sample.keys() != names:
            raise ValueError(
                f"samples must have the same names {sorted(names)}, "
                f"got {sorted(sample)} in sample {i}"
            )
    if "coords" not in names or ("index" in names and "inverse" not in names):
        raise ValueError(
            f"samples must have coords, and inverse if there is index, got {sorted(names)}"
        )
    for i, sample in enumerate(samples):
        _check_sample(i, sample)
    batch = {
        name: np.concatenate([sample[name] for sample in samples])
        for name in names
        if name not in ("coords", "inverse", "index", "instances")
    }
    n_voxels = [len(sample["coords"]) for sample in samples]
    batch["batch_index"] = np.repeat(np.arange(len(samples)), n_voxels)
    batch["coords"] = np.concatenate(
        [np.insert(sample["coords"], 0, i, axis=1) for i, sample in enumerate(samples)]
    )
    if "inverse" in names:
        batch["inverse"] = _concatenate_shifted(samples, "inverse", n_voxels)
    if "index" in names:
        n_points = [len(sample["inverse"]) for sample in samples]
        batch["index"] = _concatenate_shifted(samples, "index", n_points)
    if "instances" in names:
        n_ids = [int(sample["instances"].max(initial=-1)) + 1 for sample in samples]
        batch["instances"] = _concatenate_shifted(samples, "instances", n_ids)
    return batch


class PointBudgetSampler:
    """Batches of scenes whose sizes sum to at most a budget, each scene once.

    The scenes are shuffled by (seed, epoch) alone and taken in turn; a batch ends where the next
    scene does not fit. A scene is named by the key (epoch, index) that `SeededSamples` takes, so
    this serves as `batch_sampler` of a torch `DataLoader` over one.

    Args:
        sizes: number of points (or voxels) of each scene.
        max_points: budget of a batch, in the same unit.
        seed: of the run.
        epoch: number of the pass over the data.
        start: batches of the epoch to leave out because an interrupted run has had them.

    Raises:
        ValueError: if a size is negative, a scene alone is over the budget, or start is outside the
            epoch.

    Example:
        >>> sampler = PointBudgetSampler([4, 4, 2], 6, epoch=7)
        >>> len(sampler), sorted(key for batch in sampler for key in batch)
        (2, [(7, 0), (7, 1), (7, 2)])
    """

    def __init__(
        self,
        sizes: Sequence[int] | np.ndarray,
        max_points: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        start: int = 0,
    ) -> None:
        if len(sizes) and not min(sizes) >= 0:  # also catches NaN
            raise ValueError(f"sizes must be at least 0, got {min(sizes)}")
        batches: list[list[tuple[int, int]]] = []
        room = 0
        for scene in np.random.default_rng([seed, epoch]).permutation(len(sizes)).tolist():
            size = int(sizes[scene])
            if size > max_points:
                raise ValueError(
                    f"sizes must be at most max_points={max_points}, got {size} in scene {scene}"
                )
            if size > room or not batches:
                batches.append([])
                room = max_points
            batches[-1].append((epoch, scene))
            room -= size
        if not 0 <= start <= len(batches):
            raise ValueError(f"start must lie in [0, {len(batches)}], got {start}")
        self.batches = batches[start:]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _check_sample(i: int, sample: Mapping[str, np.ndarray]) -> None:
    coords = sample["coords"]
    if coords.ndim != 2 or coords.shape[1] != 3 or coords.dtype.kind != "i":
        raise ValueError(
            f"coords must be signed integers of shape (v, 3), got {coords.dtype} of shape "
            f"{coords.shape} in sample {i}"
        )
    if "index" in sample and len(sample["index"]) != len(coords):
        got = len(sample["index"])
        raise ValueError(
            f"index must be as many as coords ({len(coords)}), got {got} in sample {i}"
        )
    bounds = {"inverse": len(coords), "index": len(sample.get("inverse", ())), "instances": 2**40}
    for name in bounds.keys() & sample.keys():
        low = -1 if name == "instances" else 0
        ids, high = sample[name], bounds[name] - 1
        if ids.size and not low <= ids.min() <= ids.max() <= high:
            raise ValueError(
                f"{name} must lie in [{low}, {high}], got [{ids.min()}, {ids.max()}] in sample {i}"
            )


def _concatenate_shifted(
    samples: Sequence[Mapping[str, np.ndarray]], name: str, counts: Sequence[int]
) -> np.ndarray:
    """Ids of all samples, raised by the counts of the samples before; negative ids stay."""
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    pairs = zip((sample[name] for sample in samples), starts, strict=True)
    return np.concatenate([np.where(ids >= 0, ids + start, ids) for ids, start in pairs])
