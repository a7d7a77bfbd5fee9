"""`pretrain-cli finetune`: a network trained with few labels, from scratch or pre-trained."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from pcl_backbones import add_low_rank, merge_low_rank, save_weights
from pcl_data import Scene
from pcl_data.splits import LabelBudget
from pcl_methods.segmentation.batches import SceneBatches, SceneSource
from pcl_methods.segmentation.encoding import untouched
from pcl_methods.segmentation.losses import rarity_weights, segmentation_losses
from pcl_methods.segmentation.network import SegmentationNetwork, freeze_norms
from pcl_methods.segmentation.samples import training_sample
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.loop import fit, interruptible, poly
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from pcl_run.training import make_optimizer
from pretrain_cli.backbones import build_network, initial_backbone
from pretrain_cli.budgets import open_budget
from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig
from pretrain_cli.evaluating import WEIGHTS, score_network
from pretrain_cli.worlds import World, open_labeled_world

SCORES = ("miou", "macc", "ap", "ap50", "ap25")
WINDOW = 0.15  # share of the steps, the last, whose checkpoints are scored (section 4.3, paper 003)


def finetune(start: Start) -> dict[str, Any]:
    """Fine-tune and return the summary.

    Raises:
        ValueError: if a setting, a scene, the weights or the run folder is not as it must be.
    """
    config = start.settings(FinetuneConfig, FINETUNE_PRESETS)
    world, label_set = open_labeled_world(config.data)
    budget = open_budget(config, world.training)
    fabric = start.fabric()
    torch.manual_seed(config.seed)
    network, card = initial_network(config, label_set.n_classes)
    with interruptible():
        run = start.open_run("finetune", config)
        if card:
            run.log(f"starts from {card.get('method')} at voxel_size {card.get('voxel_size')}")
        training = Finetuning(run, config, world, budget, network)
        with run.timed():
            training.learn(fabric)
        summary = training.summarize(card)
    if run.is_writer:
        if config.train.low_rank is not None:
            merge_low_rank(network)
        card = {"kind": "segmentation", "config": config.model_dump(mode="json"), **summary}
        save_weights(network, run.folder / WEIGHTS, card=jsonable(card))
        write_report(run.folder)
    return summary | {"folder": str(run.folder)}


class Finetuning:
    """One run: its folder, its scenes, its labels and its network."""

    def __init__(
        self,
        run: Run,
        config: FinetuneConfig,
        world: World,
        budget: LabelBudget,
        network: SegmentationNetwork,
    ) -> None:
        self.run, self.config, self.world = run, config, world
        self.budget, self.network = budget, network

    def learn(self, fabric: Any) -> None:
        """The steps of the run; the last checkpoints are scored on the held-out scenes."""
        settings = self.config.train
        self.network.to(fabric.device)
        frozen_from = settings.steps * (1 - settings.frozen_norm)
        scored = scored_steps(settings.steps, settings.scored)
        weights = self._class_weights()
        weights = None if weights is None else weights.to(fabric.device)

        def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
            if step in scored:
                self.score(step)
            freeze_norms(self.network, step >= frozen_from)
            prediction = self.network(batch["coords"], batch["features"])
            rows = torch.ones_like(batch["labels"], dtype=torch.bool)
            losses = segmentation_losses(prediction, batch, rows, weights)
            return {"loss": torch.stack(list(losses.values())).sum(), **losses}

        fit(
            self.run,
            fabric,
            stage="finetune",
            modules=nn.ModuleDict({"network": self.network}),
            optimizers={"network": make_optimizer(self.network, settings)},
            batches=self._batches(fabric),
            training_step=training_step,
            n_steps=settings.steps,
            schedule=poly(0.9),
            seed=self.config.seed,
            options=settings.loop_options(),
        )
        self.score(settings.steps)

    def score(self, step: int) -> None:
        """Score the network after `step` steps and remember it, on the first process."""
        if not self.run.is_writer or self.run.recall(f"step_{step}") is not None:
            return
        with untouched(self.network):
            scores = score_network(self.network, self.config, self.world, self.budget.name)
        self.run.remember(f"step_{step}", scores)
        numbers = {name: scores[name] for name in SCORES if name in scores}
        self.run.metrics("held_out", step, **numbers)
        shown = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        self.run.log(f"step {step}: {shown}")

    def summarize(self, card: Mapping[str, Any]) -> dict[str, Any]:
        """Scores, averaged over the scored checkpoints, written to `summary.json`."""
        settings = self.config.train
        steps = sorted(scored_steps(settings.steps, settings.scored))
        rows = [self.run.recall(f"step_{step}") for step in steps]
        names = [name for name in SCORES if name in rows[-1]]
        summary = {
            "task": self.config.task,
            "init": card.get("method", "scratch"),
            **{name: _mean([row[name] for row in rows]) for name in names},
            "protocol": rows[-1]["protocol"],
            "checkpoints": [
                {"step": step, **{name: row[name] for name in names}}
                for step, row in zip(steps, rows, strict=True)
            ],
            "per_class": rows[-1]["per_class"],
            "labeled_scenes": len(self.budget.scenes),
            "seconds": self.run.recall("seconds"),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.run.write_summary(summary)
        return summary

    def _class_weights(self) -> Tensor | None:
        """Of the classes as often as they are annotated; none where they weigh the same."""
        if self.config.train.rarity == 0:
            return None
        assert self.world.label_set is not None  # checked where worlds are opened
        counts = torch.zeros(self.world.label_set.n_classes, dtype=torch.int64)
        for name in self.budget.scenes:
            labels = self.budget.limit(self._labeled(name)).labels
            assert labels is not None  # `_labeled` has checked
            counts += torch.from_numpy(np.bincount(labels[labels >= 0], minlength=len(counts)))
        return rarity_weights(counts, self.config.train.rarity)

    def _batches(self, fabric: Any) -> SceneBatches:
        source = SceneSource(self.budget.scenes, self.config.train.scenes, self._sample)
        return SceneBatches(
            [source], [self.config.seed], rank=fabric.global_rank, n_ranks=fabric.world_size
        )

    def _sample(self, name: str, rng: Any) -> dict[str, Any]:
        scene = self.budget.limit(self._labeled(name))
        assert scene.labels is not None  # `_labeled` has checked
        return training_sample(
            scene,
            scene.labels,
            scene.instances if self.config.task == "instance" else None,
            None,
            rng,
            voxel_size=self.config.model.voxel_size,
            elastic=self.config.train.elastic,
            features=self.config.data.features,
        )

    def _labeled(self, name: str) -> Scene:
        scene = self.world.load(name)
        needed = ("labels", "instances") if self.config.task == "instance" else ("labels",)
        for field in needed:
            if getattr(scene, field) is None:
                raise ValueError(f"scene {name} must have {field} to learn from, got none")
        return scene


def scored_steps(n_steps: int, count: int) -> set[int]:
    """Steps of the checkpoints that are scored: evenly over the last 15 %, always the last.

    Example:
        >>> sorted(scored_steps(100, 4))
        [85, 90, 95, 100]
    """
    gaps = max(count - 1, 1)
    return {n_steps - round(n_steps * WINDOW * i / gaps) for i in range(count)}


def _mean(values: list[float | None]) -> float:
    return sum(_number(value) for value in values) / len(values)


def _number(value: float | None) -> float:
    """NaN where a score is undefined, which is None in a resumed run."""
    return math.nan if value is None else value


def initial_network(
    config: FinetuneConfig, n_classes: int
) -> tuple[SegmentationNetwork, dict[str, Any]]:
    """The network at step 0, and the card of the weights that its backbone starts from."""
    backbone, card = initial_backbone(config.model, config.data.features, config.init)
    if config.train.low_rank is not None:
        add_low_rank(backbone, rank=config.train.low_rank)
    return build_network(config, backbone, n_classes), card


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The scores on stdout."""
    if as_json:
        print_json(summary)
        return
    rows = summary["checkpoints"]
    typer.echo("".join(f"{name:>10}" for name in rows[0]))
    for row in rows:
        typer.echo("".join(f"{_number(value):>10.4g}" for value in row.values()))
    names = [name for name in rows[0] if name != "step"]
    typer.echo("mean      " + "".join(f"{_number(summary[name]):>10.4g}" for name in names))
    typer.echo(f"protocol {summary['protocol']}, {summary['init']}, {summary['seconds']:.0f} s")
    typer.echo(f"weights in {summary['folder']}/{WEIGHTS}")
