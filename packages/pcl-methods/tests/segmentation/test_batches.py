"""Tests of pcl_methods.segmentation.batches."""

import numpy as np
import pytest
import torch

from pcl_methods.segmentation.batches import SceneBatches, SceneSource

NAMES, OTHERS = ("a", "b", "c", "d", "e"), ("x", "y")


def make_sample(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two voxels that tell the scene's name, and noise."""
    noise = rng.random(2)
    return {"coords": np.zeros((2, 3), np.int32), "name": np.full(2, ord(name)), "noise": noise}


def batches_of(*, count: int = 2, seed=(0, 1), **ranks: int) -> SceneBatches:
    sources = [SceneSource(NAMES, count, make_sample), SceneSource(OTHERS, 1, make_sample)]
    return SceneBatches(sources, seed, **ranks)


def names_in(batch: dict) -> list[str]:
    return [chr(code) for code in batch["name"][::2]]


def test_a_batch_holds_so_many_scenes_of_each_source_in_order():
    batch = batches_of()[0]
    names = names_in(batch)
    assert set(names[:2]) <= set(NAMES)
    assert set(names[2:]) <= set(OTHERS)
    assert batch["batch_index"].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["coords"].shape == (6, 4)


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_an_epoch_visits_every_scene_once(n_ranks):
    parts = [batches_of(rank=rank, n_ranks=n_ranks) for rank in range(n_ranks)]
    order = [
        name
        for step in range(10 // n_ranks)
        for part in parts
        for name in part.names(part.sources[0], step)
    ]
    epochs = [order[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(epoch) == list(NAMES) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_batch_depends_on_seed_step_and_rank_alone():
    batches = batches_of()
    batches[3]
    noise = batches[7]["noise"]
    assert torch.equal(noise, batches_of()[7]["noise"])
    others = batches[8], batches_of(seed=(0, 2))[7], batches_of(rank=1, n_ranks=2)[7]
    assert not any(torch.equal(noise, other["noise"]) for other in others)


def test_more_scenes_than_there_are_come_again():
    assert sorted(names_in(batches_of(count=10)[0])[:10]) == sorted(NAMES * 2)


def test_a_source_without_scenes_is_refused():
    with pytest.raises(ValueError, match="names of a source must hold at least one scene"):
        SceneBatches([SceneSource((), 1, make_sample)], (0,))
