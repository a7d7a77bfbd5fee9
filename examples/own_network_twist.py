"""TWIST with a network of your own: from two labeled rooms to instances in six.

    python examples/own_network_twist.py

`MyNetwork` is any torch module from voxels to a `VoxelPrediction`. Everything below it is what a
notebook needs: scenes, a model, the method. Takes half a minute on two CPU cores.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.segmentation.network import VoxelPrediction
from pcl_methods.segmentation.testing import make_room
from pcl_methods.self_training.batches import BatchContents
from pcl_methods.self_training.labeling import Labeling
from pcl_methods.self_training.networks import TwistModel, build_recorrector
from pcl_methods.self_training.objective import RecorrectorTraining
from pcl_methods.self_training.proposals import Clustering
from pcl_methods.self_training.rounds import RoundTraining, SelfTraining, Twist
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import LoopOptions
from pcl_run.run import Run

VOXEL = 0.1  # metres


class MyNetwork(nn.Module):
    """A layer for each voxel, and what lies around it: the means of cells of three sizes."""

    cells = (3, 6, 12)  # voxels

    def __init__(self, n_classes: int, channels: int = 32) -> None:
        super().__init__()
        self.own = nn.Sequential(nn.Linear(3, channels), nn.ReLU(), nn.Linear(channels, channels))
        n_inputs = channels + len(self.cells) * (channels + 3)
        self.joined = nn.Sequential(nn.Linear(n_inputs, 128), nn.ReLU(), nn.Linear(128, 64))
        self.classes, self.offsets = nn.Linear(64, n_classes), nn.Linear(64, 3)

    def forward(self, coords: Tensor, features: Tensor) -> VoxelPrediction:
        """Features, classes and offsets of voxels (v, 4) with colours (v, 3)."""
        own, position = self.own(features), coords[:, 1:] * VOXEL
        parts = [own]
        for size in self.cells:
            key = torch.cat([coords[:, :1], coords[:, 1:].div(size, rounding_mode="floor")], 1)
            _, cell, counts = key.unique(dim=0, return_inverse=True, return_counts=True)
            values = torch.cat([own, position], 1)
            sums = values.new_zeros(len(counts), values.shape[1]).index_add(0, cell, values)
            mean = (sums / counts[:, None])[cell]
            parts += [mean[:, :-3], mean[:, -3:] - position]
        joined = self.joined(torch.cat(parts, 1)).relu()
        return VoxelPrediction(joined, self.classes(joined), self.offsets(joined))


def adam(module: nn.Module) -> torch.optim.Optimizer:
    """Makes an optimizer; each round starts with a fresh one."""
    return torch.optim.Adam(module.parameters(), lr=0.003)


def main(folder: Path) -> list[dict]:
    """The scores of each round."""
    # Scenes: two of six have labels to learn from, two more are held out.
    rooms = {f"room{i}": make_room(f"room{i}", i) for i in range(8)}
    names = tuple(rooms)
    budget = LabelBudget("2-rooms", names[:2])
    split = SceneSplit("toy-rooms", SCANNET20, names[:6], names[6:], budget, rooms.__getitem__)

    # Networks: yours, and the one that judges its proposals.
    torch.manual_seed(0)
    model = TwistModel(
        MyNetwork(SCANNET20.n_classes),
        build_recorrector(64, SCANNET20.n_classes, voxel_size=VOXEL),
        SCANNET20,
        voxel_size=VOXEL,
        clustering=Clustering(radius=1.5 * VOXEL, min_points=10),
    )

    # The method: 150 steps on labeled rooms, then rounds of 50 on both.
    twist = Twist(
        RoundTraining(
            adam, adam, steps=50, initial_steps=150, batch=BatchContents(1, 2, elastic=False)
        ),
        n_rounds=2,
        labeling=Labeling(stuff_threshold=0.9),
        recorrection=RecorrectorTraining(first_step=50),
    )
    run = Run.open(folder, Config())  # give resume=True to continue one
    options = LoopOptions(log_every=50)
    return SelfTraining(run, make_fabric(), split, model, twist, options=options).all_rounds()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for row in main(Path(folder) / "run"):
            shown = ("ap", "ap25", "miou", "pseudo_semantic_accuracy", "pseudo_coverage")
            print(row["round"], *(f"{key} {row[key]:.2f}" for key in shown if row[key]), sep="  ")
