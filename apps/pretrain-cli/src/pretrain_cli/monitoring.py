"""What is measured while a network is pre-trained: a loss alone does not say whether it learns."""

from dataclasses import asdict, astuple
from functools import partial
from typing import Any

import torch

from pcl_appkit.run import Run
from pcl_contrastive import RepresentationHealth, knn_probe, representation_health
from pretrain_cli.config import PretrainConfig
from pretrain_cli.encoding import finished_backbone, untouched
from pretrain_cli.objectives import Objective
from pretrain_cli.probing import probe_scores
from pretrain_cli.views import ViewBatches
from pretrain_cli.worlds import World

STAGE = "monitor"


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
        if step % self.config.monitor.every and step != self.config.train.steps:
            return
        with untouched(objective):
            health = self.health(objective)
            panel = {**asdict(health), **self.probe(objective)}
        self.run.metrics(STAGE, step, **panel)
        self.run.remember("panels", {**self.run.recall("panels", {}), str(step): panel})
        shown = "  ".join(f"{name} {value:.3f}" for name, value in panel.items())
        self.run.log(f"step {step}: {shown}")
        self.run.log(f"step {step}: {health.verdict()}")

    def health(self, objective: Objective) -> RepresentationHealth:
        """The mean of the health panel over a few batches."""
        device = next(objective.parameters()).device
        panels = []
        for i in range(self.config.monitor.batches):
            queries, keys, temperature = objective.compared(on_device(self.batches[i], device))
            panels.append(astuple(representation_health(queries, keys, temperature=temperature)))
        means = [sum(each) / len(panels) for each in zip(*panels, strict=True)]
        return RepresentationHealth(*means)

    def probe(self, objective: Objective) -> dict[str, float]:
        """mIoU and mAcc of a kNN probe on held-out scenes; {} without labels."""
        settings, world = self.config.monitor, self.world
        names = world.training[: settings.scenes], world.validation[: settings.probed]
        labeled, held_out = ([world.load(name) for name in some] for some in names)
        if world.label_set is None or not held_out:
            return {}
        if any(scene.labels is None for scene in [*labeled, *held_out]):
            return {}
        found = probe_scores(
            finished_backbone(objective.backbone, self.config, world),
            {"knn": partial(knn_probe, n_neighbours=settings.n_neighbours)},
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
