"""Your own scans: from PLY files with your own classes to a network, its scores and labeled scans.

Writes six small rooms as PLY files with a `dataset.yaml`, as you would have them, trains a small
network on four of them with 20 labeled points each, scores it on the others and labels one. Boxes
on a floor are learned in seconds; real rooms need the presets of `pretrain-cli finetune`.

    python examples/own_scans.py
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pcl_data.export import write_ply
from pcl_methods.data import open_split
from pcl_methods.segmentation.batches import SceneBatches, SceneSource
from pcl_methods.segmentation.fine_tuning import fine_tune
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.predicting import predict_scans
from pcl_methods.segmentation.samples import labeled_sample
from pcl_methods.segmentation.scoring import score_split
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.testing import CHAIR, FLOOR, make_room
from pcl_methods.settings import DataConfig
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.run import Run

DESCRIPTION = """
name: boxes
classes:
  - {name: ground, id: 1, stuff: true}
  - {name: red box, id: 2}
  - {name: blue box, id: 3}
splits:
  train: [room0, room1, room2, room3]
  val: [room4, room5]
"""


def write_scans(folder: Path) -> None:
    """Six scans with the ids 1, 2 and 3 in their files."""
    for number in range(6):
        room = make_room(f"room{number}", number)
        ids = np.select([room.labels == FLOOR, room.labels == CHAIR], [1, 2], 3)
        write_ply(
            folder / f"{room.name}.ply",
            room.points,
            colors=room.colors,
            labels=ids,
            instances=room.instances,
        )
    (folder / "dataset.yaml").write_text(DESCRIPTION)


def main() -> None:
    folder = Path(tempfile.mkdtemp()) / "scans"
    folder.mkdir()
    write_scans(folder)

    # Which scans are learned from, which of their labels, which are held out.
    split = open_split(
        DataConfig(root=folder, split="train", validation_split="val", budget="20pts")
    )
    print(f"{split.data}: {', '.join(split.label_set.names)}; labels: {split.budget.name}")

    # A network with fresh weights; `load_initial_weights` would start it from others.
    torch.manual_seed(0)
    network = SegmentationNetwork(
        build_backbone("res16unet14a", 3, width=0.25, bn_momentum=0.1), split.label_set.n_classes
    )
    segmenter = Segmenter(network, split.label_set, voxel_size=0.1, min_points=10)

    sample = partial(labeled_sample, split, instances=True, voxel_size=0.1, elastic=False)
    fine_tune(
        Run.open(folder.parent / "run", Config()),  # takes checkpoints and metrics
        make_fabric(),
        network,
        SceneBatches([SceneSource(split.labeled, 2, sample)], seed=[0]),
        n_steps=60,
        make_optimizer=lambda module: torch.optim.AdamW(module.parameters(), 0.01),
        freeze_bn_fraction=0.5,
    )

    scores = score_split(
        segmenter, split, split.label_set, trained_on=split.data, budget=split.budget.name
    )
    print(f"mIoU {scores['miou']:.2f}, AP50 {scores['ap50']:.2f} ({scores['protocol']})")
    for done in predict_scans(
        [folder / "room5.ply"], segmenter, split.label_set, folder.parent / "predicted"
    ):
        print(f"{done.file.name}: {done.n_points} points, {done.n_instances} instances")
    assert scores["miou"] > 0.5


if __name__ == "__main__":
    main()
