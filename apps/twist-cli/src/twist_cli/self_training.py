"""The rounds of self-training: label, train, evaluate (Fig. 2 of TWIST)."""

from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from pcl_backbones import save_weights
from pcl_methods.segmentation.network import freeze_norms
from pcl_methods.segmentation.weights import load_backbone
from pcl_pseudolabel import PseudoLabelStore
from pcl_run.loop import fit, poly
from pcl_run.memory import peak_memory_bytes
from pcl_run.run import Run
from pcl_run.training import make_optimizer
from twist_cli.config import RunConfig
from twist_cli.evaluation import evaluate_scenes, pseudo_scores
from twist_cli.labelling import label_scenes, open_store
from twist_cli.network import build_networks
from twist_cli.objective import TwistObjective
from twist_cli.samples import step_batches
from twist_cli.scenes import Split

SCORES = ("ap", "ap50", "ap25", "miou")
QUALITY = ("pseudo_semantic_accuracy", "pseudo_offset_error", "pseudo_coverage")
WEIGHTS = "model.safetensors"


def build_objective(config: RunConfig, split: Split) -> TwistObjective:
    """Φ and Ψ with weights drawn from the seed, Φ's backbone from `config.init` where given."""
    torch.manual_seed(config.seed)
    objective = TwistObjective(
        config, split.label_set, *build_networks(config, split.label_set.n_classes)
    )
    if config.init is not None:
        expected = config.model.model_dump(include={"backbone", "width"})
        load_backbone(objective.network.backbone, config.init, expected | {"features": "colors"})
    return objective


@dataclass(frozen=True)
class SelfTraining:
    """One run: its folder, its devices, its settings and its scenes."""

    run: Run
    fabric: Fabric
    config: RunConfig
    split: Split
    objective: TwistObjective

    def all_rounds(self) -> dict[str, Any]:
        """Every round in order; what a resumed run finds done is not done again.

        Returns:
            the summary: one row a round, the protocol, seconds, peak memory.
        """
        self.objective.to(self.fabric.device)
        with self.run.timed():
            for round_ in range(self.config.twist.rounds + 1):
                store = self.label(round_) if self._has_pseudo_labels(round_) else None
                self.train(round_, store)
                self.evaluate(round_)
        return self._summarize()

    def _has_pseudo_labels(self, round_: int) -> bool:
        return round_ > 0 and self.config.twist.pseudo_labels != "none"

    def label(self, round_: int) -> PseudoLabelStore:
        """Step (ii): pseudo-labels of every unlabelled scene; those that are there are kept."""
        store = open_store(self.run.folder, self.config, self.objective, round_)
        rank, n_ranks = self.fabric.global_rank, self.fabric.world_size
        label_scenes(store, self.objective, self.split, rank, n_ranks, self.fabric.device)
        self.fabric.barrier()
        if self.run.recall(f"pseudo_{round_}") is None:
            self.run.remember(f"pseudo_{round_}", pseudo_scores(store, self.split))
        return store

    def train(self, round_: int, store: PseudoLabelStore | None) -> None:
        """Step (iii), or step (i) in round 0: warm start, fresh optimisers and schedule (TW-20)."""
        settings = self.config.train
        batches = step_batches(
            self.config,
            self.split,
            round_,
            store.load if store else None,
            rank=self.fabric.global_rank,
            n_ranks=self.fabric.world_size,
        )
        recorrects = self.config.twist.pseudo_labels == "recorrected"
        first = self.config.twist.recorrector_start if round_ == 0 else 0
        n_steps = settings.steps_of(round_)
        frozen_from = n_steps * (1 - settings.frozen_norm)

        def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
            freeze_norms(self.objective, step >= frozen_from)
            return self.objective(batch, recorrects and step >= first)

        fit(
            self.run,
            self.fabric,
            stage=f"round_{round_}",
            modules=nn.ModuleDict({"twist": self.objective}),
            optimizers={
                "network": make_optimizer(self.objective.network, settings),
                "recorrector": make_optimizer(
                    self.objective.recorrector, settings, settings.recorrector_learning_rate
                ),
            },
            batches=batches,
            training_step=training_step,
            n_steps=n_steps,
            schedule=poly(0.9),
            seed=self.config.seed,
            options=settings.loop_options(),
        )

    def evaluate(self, round_: int) -> None:
        """Scores of a round on the held-out scenes, remembered in the run."""
        key = f"round_{round_}"
        if self.run.recall(key) is None:
            device = self.fabric.device
            scores = evaluate_scenes(self.objective, self.split, self.split.validation, device)
            quality = self.run.recall(f"pseudo_{round_}") or dict.fromkeys(QUALITY)
            self.run.remember(key, {"round": round_, **scores, **quality})
            shown = "  ".join(f"{name} {scores[name]:.3f}" for name in SCORES)
            self.run.log(f"round {round_}: {shown}")

    def _summarize(self) -> dict[str, Any]:
        rows = [
            self.run.recall(f"round_{round_}") for round_ in range(self.config.twist.rounds + 1)
        ]
        summary = {
            "rounds": [{key: row[key] for key in ("round", *SCORES, *QUALITY)} for row in rows],
            "protocol": rows[-1]["protocol"],
            "per_class": rows[-1]["per_class"],
            "scenes": {
                role: list(getattr(self.split, role))
                for role in ("labeled", "unlabeled", "validation")
            },
            "seconds": self.run.recall("seconds"),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.run.write_summary(summary)
        save_weights(self.objective, self.run.folder / WEIGHTS, card=model_card(self.config, rows))
        return summary


def model_card(config: RunConfig, rows: list[dict]) -> dict[str, Any]:
    """What a weights file must say to be used and trusted elsewhere."""
    return {
        "kind": "twist",
        "config": config.model_dump(mode="json"),
        "label_set": config.data.label_set,
        "voxel_size": config.model.voxel_size,
        "colors": "uint8 / 255 - 0.5",
        "scores": {name: rows[-1][name] for name in SCORES},
        "protocol": rows[-1]["protocol"],
    }
