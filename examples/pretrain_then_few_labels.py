"""Pre-train a backbone of your own without labels, then ask what it knows with very few.

Needs pcl-methods. `Own` stands for any torch module with `feature_channels` and `features(voxels)`;
here it is a U-Net of `pcl_backbones` with a layer on top. Contrastive Scene Contexts (Hou et al.,
CVPR 2021) teaches it on sixteen rooms without their labels. A linear probe learns the classes from
twenty labeled points in each of two rooms and is scored on every point of four others, with the
features before pre-training, of random weights, and after.

Its limits: the rooms are toys (two chairs and two tables), and one seed says little. It shows how
the parts fit together, not what a method is worth.

    python examples/pretrain_then_few_labels.py
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from lightning_fabric import Fabric
from torch import nn

from pcl_backbones import Res16UNet14A, SparseTensor
from pcl_data.splits import annotation_budget
from pcl_methods.pretraining.learning import Training, cosine, pretrain
from pcl_methods.pretraining.matched_views import CutViews, MatchedViews
from pcl_methods.pretraining.monitoring import Monitor
from pcl_methods.pretraining.point_objective import SceneContexts
from pcl_methods.pretraining.views import ViewBatches
from pcl_methods.segmentation.encoding import encode_scene
from pcl_methods.segmentation.probing import PROBES, probe_scores
from pcl_methods.segmentation.testing import make_room
from pcl_run.config import Config
from pcl_run.run import Run

VOXEL_SIZE, N_STEPS = 0.1, 60
ROOMS = {f"room{i}": make_room(f"room{i}", i) for i in range(20)}
NAMES = list(ROOMS)
UNLABELED, FEW, HELD_OUT = NAMES[:16], NAMES[:2], NAMES[16:]


class Own(nn.Module):
    """The network to be pre-trained."""

    feature_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.unet = Res16UNet14A(3, None, width=0.25)
        self.last = nn.Linear(self.unet.feature_channels, self.feature_channels)

    def features(self, voxels: SparseTensor) -> SparseTensor:
        """Of every voxel."""
        found = self.unet.features(voxels)
        return found.with_features(self.last(found.features))


def learn(backbone: Own, folder: Path) -> None:
    """Pre-train without a label; the folder takes checkpoints, so that a killed run can go on."""
    make_views = CutViews(MatchedViews(VOXEL_SIZE, augmentation="strong"))
    batches = ViewBatches(UNLABELED, ROOMS.__getitem__, make_views, count=2)
    unseen = ViewBatches(HELD_OUT, ROOMS.__getitem__, make_views, count=2)
    objective = SceneContexts(backbone, temperature=0.1, n_matches=500)
    adamw = partial(torch.optim.AdamW, lr=3e-3)
    training = Training(N_STEPS, lambda module: adamw(module.parameters()), cosine)
    run = Run.open(folder, Config())
    fabric = Fabric(accelerator="cpu", devices=1)
    pretrain(run, fabric, objective, batches, training, monitor=Monitor(run, unseen, every=30))


def score(backbone: Own) -> float:
    """mIoU of a linear probe on twenty labeled points a room."""
    budget = annotation_budget(FEW, 20)
    scores = probe_scores(
        partial(encode_scene, backbone, voxel_size=VOXEL_SIZE),
        {"linear": PROBES["linear"]},
        [budget.limit(ROOMS[name]) for name in FEW],
        [ROOMS[name] for name in HELD_OUT],
        ROOMS[FEW[0]].label_set,
    )
    return scores["linear"]["miou"]


def main() -> None:
    """Score, pre-train, score."""
    torch.manual_seed(0)
    backbone = Own()
    print(f"random weights: mIoU {score(backbone):.3f}")
    with TemporaryDirectory() as folder:
        learn(backbone, Path(folder) / "run")
    print(f"pre-trained:    mIoU {score(backbone):.3f}")


if __name__ == "__main__":
    main()
