"""What is measured while a network is pre-trained: a loss alone does not say whether it learns."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass
from functools import partial

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device

from pcl_contrastive import RepresentationHealth, representation_health
from pcl_data.splits import SceneSplit
from pcl_methods.data import spread
from pcl_methods.pretraining.objective import Objective
from pcl_methods.pretraining.views import ViewBatches
from pcl_methods.segmentation.encoding import (
    VoxelBackbone,
    device_of,
    encode_scene,
    untouched,
)
from pcl_methods.segmentation.features import FeatureKind
from pcl_methods.segmentation.probing import neighbors, probe_scores
from pcl_run.run import Run

STAGE = "monitor"
MAX_SCENES = 64  # of a health panel whose rows are scenes


class Monitor:
    """The health panel and a probe, at every so many steps and at the last.

    Args:
        run: takes the numbers, and lines of the log.
        batches: views that the health panel is made of, best of held-out scenes.
        probe: backbone -> scores, such as a `KnnProbe`; none: the health panel alone.
        every: steps between two panels.
        n_batches: of the health panel, if a row is not a whole scene.
    """

    def __init__(
        self,
        run: Run,
        batches: ViewBatches,
        probe: Callable[[VoxelBackbone], Mapping[str, float]] | None = None,
        *,
        every: int = 1000,
        n_batches: int = 2,
    ) -> None:
        self.run, self.batches, self.probe = run, batches, probe
        self.every, self.n_batches = every, n_batches

    def watch(self, objective: Objective, step: int, *, is_last: bool = False) -> None:
        """Measure after `step` steps, if it is time; the run goes on as if nothing was."""
        panels = self.run.recall("panels", {})
        if not (step % self.every == 0 or is_last) or str(step) in panels:
            return
        with untouched(objective):
            health = self.health(objective)
            scores = {} if self.probe is None else self.probe(objective.backbone)
        panel = {**asdict(health), **scores}
        self.run.metrics(STAGE, step, **panel)
        self.run.remember("panels", {**panels, str(step): panel})
        shown = "  ".join(f"{name} {value:.3f}" for name, value in panel.items())
        self.run.log(f"step {step}: {shown}")
        self.run.log(f"step {step}: {health.verdict()}")

    def health(self, objective: Objective) -> RepresentationHealth:
        """The mean of the health panel over a few batches.

        Where a row is a whole scene a batch has few, and the panel is of many scenes together.
        """
        device, n_batches = device_of(objective), self.n_batches
        if objective.rows_are_scenes:
            n_scenes = max(2, min(MAX_SCENES, len(self.batches.items)))  # one has no others
            n_batches = math.ceil(n_scenes / self.batches.count)
        compared = [
            objective.compared(move_data_to_device(self.batches[i], device))
            for i in range(n_batches)
        ]
        if objective.rows_are_scenes:
            queries, keys, temperatures = zip(*compared, strict=True)
            compared = [(torch.cat(queries), torch.cat(keys), temperatures[0])]
        panels = [
            astuple(representation_health(queries, keys, temperature=temperature))
            for queries, keys, temperature in compared
        ]
        return RepresentationHealth(
            *(sum(each) / len(panels) for each in zip(*panels, strict=True))
        )


@dataclass(frozen=True)
class KnnProbe:
    """mIoU and mAcc of a kNN probe on held-out scenes; nothing where labels are missing.

    Args:
        split: scenes; the labels of a few to learn from are used, whatever the budget.
        voxel_size: metres.
        features: what the backbone reads.
        n_labeled: scenes that the probe learns from, from all over the training scenes.
        n_held_out: scenes that it is scored on.
        n_neighbors: that vote.
        max_voxels: labeled voxels that it learns from.
    """

    split: SceneSplit
    voxel_size: float
    features: FeatureKind = "colors"
    n_labeled: int = 5
    n_held_out: int = 5
    n_neighbors: int = 20
    max_voxels: int = 20_000

    def __call__(self, backbone: VoxelBackbone) -> dict[str, float]:
        """The scores of a backbone as it stands."""
        split = self.split
        labeled = [split.load(name) for name in spread(split.training, self.n_labeled)]
        held_out = [split.load(name) for name in spread(split.validation, self.n_held_out)]
        scenes = [*labeled, *held_out]
        if split.label_set is None or not held_out or any(one.labels is None for one in scenes):
            return {}
        scores = probe_scores(
            partial(encode_scene, backbone, voxel_size=self.voxel_size, features=self.features),
            {"knn": partial(neighbors, n_neighbors=self.n_neighbors)},
            labeled,
            held_out,
            split.label_set,
            max_voxels=self.max_voxels,
        )
        return {"knn_miou": scores["knn"]["miou"], "knn_macc": scores["knn"]["macc"]}
