"""What is measured while a network is pre-trained: a loss alone does not say whether it learns."""

import math
from dataclasses import asdict, astuple
from functools import partial
from typing import Any

import torch

from pcl_contrastive import RepresentationHealth, representation_health
from pcl_run.run import Run
from pretrain_cli.config import PretrainConfig
from pretrain_cli.encoding import finished_backbone, untouched
from pretrain_cli.objectives import Objective
from pretrain_cli.probing import neighbours, probe_scores
from pretrain_cli.views import ViewBatches
from pretrain_cli.worlds import World, spread

STAGE = "monitor"
MAX_SCENES = 64  # of a health panel whose rows are scenes


class Monitor:
    """The health panel and the kNN probe of a run, at every so many steps.

    Args:
        run: takes the numbers, and lines of the log.
        config: of the run.
        world: its labelled scenes are those of the probe; without labels there is none.
        batches: views that the health panel is made of.
    """

    def __init__(
        self, run: Run, config: PretrainConfig, world: World, batches: ViewBatches
    ) -> None:
        self.run, self.config, self.world, self.batches = run, config, world, batches

    def watch(self, objective: Objective, step: int) -> None:
        """Measure after `step` steps, if it is time; the run goes on as if nothing was."""
        panels = self.run.recall("panels", {})
        is_due = step % self.config.monitor.every == 0 or step == self.config.train.steps
        if not is_due or str(step) in panels:
            return
        with untouched(objective):
            health = self.health(objective)
            panel = {**asdict(health), **self.probe(objective)}
        self.run.metrics(STAGE, step, **panel)
        self.run.remember("panels", {**panels, str(step): panel})
        shown = "  ".join(f"{name} {value:.3f}" for name, value in panel.items())
        self.run.log(f"step {step}: {shown}")
        self.run.log(f"step {step}: {health.verdict()}")

    def health(self, objective: Objective) -> RepresentationHealth:
        """The mean of the health panel over a few batches.

        Where a row is a whole scene a batch has few, and the panel is of held-out scenes together.
        """
        device = next(objective.parameters()).device
        n_batches = self.config.monitor.batches
        if objective.rows_are_scenes:
            n_scenes = max(2, min(MAX_SCENES, len(self.batches.items)))  # one has no others
            n_batches = math.ceil(n_scenes / self.config.train.scenes)
        compared = [
            objective.compared(on_device(self.batches[i], device)) for i in range(n_batches)
        ]
        if objective.rows_are_scenes:
            queries, keys, temperatures = zip(*compared, strict=True)
            compared = [(torch.cat(queries), torch.cat(keys), temperatures[0])]
        panels = [
            astuple(representation_health(queries, keys, temperature=temperature))
            for queries, keys, temperature in compared
        ]
        means = [sum(each) / len(panels) for each in zip(*panels, strict=True)]
        return RepresentationHealth(*means)

    def probe(self, objective: Objective) -> dict[str, float]:
        """mIoU and mAcc of a kNN probe on held-out scenes; {} without labels."""
        settings, world = self.config.monitor, self.world
        chosen = (world.training, settings.scenes), (world.validation, settings.probed)
        labeled, held_out = (
            [world.load(name) for name in spread(names, count)] for names, count in chosen
        )
        if world.label_set is None or not held_out:
            return {}
        if any(scene.labels is None for scene in [*labeled, *held_out]):
            return {}
        found = probe_scores(
            finished_backbone(objective.backbone, self.config, world),
            {"knn": partial(neighbours, n_neighbours=settings.n_neighbours)},
            labeled,
            held_out,
            world.label_set,
            voxel_size=self.config.model.voxel_size,
            features=self.config.data.features,
            max_voxels=settings.max_voxels,
        )
        return {"knn_miou": found["knn"]["miou"], "knn_macc": found["knn"]["macc"]}


def on_device(batch: Any, device: torch.device) -> Any:
    """The tensors of nested dicts on a device."""
    if isinstance(batch, dict):
        return {key: on_device(value, device) for key, value in batch.items()}
    return batch.to(device)
