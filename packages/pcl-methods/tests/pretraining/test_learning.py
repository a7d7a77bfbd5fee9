"""Tests of pcl_methods.pretraining.learning."""

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from pcl_methods.pretraining.learning import Training, cosine, exponential, pretrain
from pcl_methods.pretraining.matched_views import CutViews, MatchedViews
from pcl_methods.pretraining.monitoring import Monitor
from pcl_methods.pretraining.objective import Objective
from pcl_methods.pretraining.point_objective import SceneContexts
from pcl_methods.pretraining.views import ViewBatches
from pcl_run.config import Config
from pcl_run.loop import LoopOptions
from pcl_run.run import Run


class OwnBackbone(nn.Module):
    """A network of the user: one layer on the features of each voxel."""

    feature_channels = 6

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 6)

    def features(self, voxels):
        return voxels.with_features(self.layer(voxels.features))


@pytest.fixture
def batches(rooms):
    return ViewBatches(list(rooms), rooms.__getitem__, CutViews(MatchedViews(0.1)), count=2)


def training(n_steps, optimizer=torch.optim.AdamW):
    def make(module):
        return optimizer(module.parameters(), lr=0.01)

    return Training(n_steps, make, cosine, options=LoopOptions(log_every=1, checkpoint_every=2))


def test_a_backbone_of_ones_own_learns_and_is_watched(batches, tmp_path):
    run = Run.open(tmp_path / "run", Config())
    torch.manual_seed(0)
    own = OwnBackbone()
    before = own.layer.weight.detach().clone()
    monitor = Monitor(run, batches, every=4, n_batches=1)
    objective = SceneContexts(own, channels=8, temperature=0.1, n_matches=100)
    found = pretrain(
        run, Fabric(accelerator="cpu", devices=1), objective, batches, training(6), monitor=monitor
    )
    assert found is own
    assert not torch.equal(own.layer.weight, before)
    assert list(run.recall("panels")) == ["0", "4", "6"]
    assert run.recall("panels")["6"]["loss"] < run.recall("panels")["0"]["loss"]


def test_each_step_is_watched_then_followed_then_taken(batches, tmp_path):
    events = []

    class Watched(Objective):
        def forward(self, batch, step):
            events.append(f"step {step}")
            return {"loss": self.backbone.layer.weight.square().sum()}

        def follow(self):
            events.append("follow")

    class Watch(Monitor):
        def watch(self, objective, step, *, is_last=False):
            events.append("last" if is_last else "watch")

    run = Run.open(tmp_path / "run", Config())
    options = training(3, torch.optim.SGD)
    pretrain(
        run,
        Fabric(accelerator="cpu", devices=1),
        Watched(OwnBackbone()),
        batches,
        options,
        monitor=Watch(run, batches),
    )
    expected = "watch, step 0, watch, follow, step 1, watch, follow, step 2, last"
    assert ", ".join(events) == expected


def test_rates_fall_as_published():
    assert [exponential(step, 9000) for step in (0, 999, 1000, 2000)] == [1, 1, 0.99, 0.99**2]
    assert [cosine(step, 100) for step in (0, 50, 100)] == pytest.approx([1, 0.5005, 0.001])
