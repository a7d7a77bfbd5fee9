"""Tests of twist_cli.samples."""

import numpy as np
import pytest
import torch
from twist_cli.samples import step_batches
from twist_cli.scenes import Split, open_split

from pcl_data import Scene
from pcl_pseudolabel import PseudoLabelRecord
from twist_cli.config import DataConfig, ModelConfig, RunConfig, TrainConfig


@pytest.fixture
def config(scans) -> RunConfig:
    return RunConfig(
        data=DataConfig(root=scans, labeled=("scene0", "scene1"), validation=("scene5",)),
        model=ModelConfig(voxel_size=0.08),
        train=TrainConfig(steps=10, labeled_scenes=1, unlabeled_scenes=2),
    )


@pytest.fixture
def split(config) -> Split:
    return open_split(config.data, 0)


def record_of(scene: Scene) -> PseudoLabelRecord:
    """Every point is a chair and of one proposal."""
    return PseudoLabelRecord(
        labels=np.full(len(scene.points), 4),
        proposals=np.zeros(len(scene.points), np.int64),
        centers=np.zeros((1, 3), np.float32),
        scores=np.ones(1, np.float32),
        proposal_labels=np.full(1, 4),
    )


def test_a_batch_depends_on_seed_round_and_step_alone(config, split):
    records = {name: record_of(split.load(name)) for name in split.unlabeled}
    first, again = (step_batches(config, split, 1, records.__getitem__) for _ in range(2))
    first[3]
    for key, value in first[7].items():
        assert torch.equal(value, again[7][key]), key
    other = config.model_copy(update={"seed": 1})
    assert not torch.equal(first[7]["points"], first[8]["points"])
    for changed in (
        step_batches(config, split, 2, records.__getitem__),
        step_batches(other, split, 1, records.__getitem__),
    ):
        assert not torch.equal(first[7]["points"], changed[7]["points"])


def test_labeled_scenes_come_first_and_the_others_have_their_pseudo_labels(config, split):
    batch = step_batches(config, split, 1, lambda name: record_of(split.load(name)))[0]
    assert set(batch["batch_index"].tolist()) == {0, 1, 2}
    assert torch.equal(batch["is_labeled"], batch["batch_index"] == 0)
    assert (batch["labels"][~batch["is_labeled"]] == 4).all()
    assert len(batch["instances"][~batch["is_labeled"]].unique()) == 2
    assert len(batch["labels"][batch["is_labeled"]].unique()) == 3


def test_without_pseudo_labels_every_scene_is_labeled(config, split):
    assert step_batches(config, split, 0, None)[0]["is_labeled"].all()
