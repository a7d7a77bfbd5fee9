"""The rounds of self-training: label, train, evaluate (Fig. 2 of TWIST).

Chu et al., "TWIST", CVPR 2022, section 4.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from pcl_calibration import ClassCalibrationError
from pcl_data.splits import SceneSplit
from pcl_methods.segmentation.calibration import save_table
from pcl_methods.segmentation.network import freeze_batch_norms
from pcl_methods.self_training.batches import BatchContents, twist_batches
from pcl_methods.self_training.labeling import (
    Labeling,
    ProposalCorrection,
    label_scenes,
    no_labels,
    open_store,
)
from pcl_methods.self_training.measured_errors import class_frequencies, measure_errors
from pcl_methods.self_training.networks import TwistModel
from pcl_methods.self_training.objective import RecorrectorTraining, twist_losses
from pcl_methods.self_training.quality import (
    QUALITY,
    SCORES,
    Scoring,
    evaluate_scenes,
    pseudo_scores,
)
from pcl_methods.self_training.smoothed_classes import Smoothing, smoothed_classes
from pcl_methods.self_training.soft_targets import ClassFacts
from pcl_methods.self_training.teacher import Teacher, Teaching
from pcl_pseudolabel import PseudoLabelStore
from pcl_run.loop import LoopOptions, fit, poly
from pcl_run.run import Run

MakeOptimizer = Callable[[nn.Module], Optimizer]


def table_file(run_folder: Path, round_: int) -> Path:
    """Where a run keeps the confidences on its held-out scenes (`load_table`)."""
    return run_folder / "calibration" / f"round_{round_}.safetensors"


@dataclass(frozen=True)
class RoundTraining:
    """How Φ and Ψ train in a round; the learning rates fall to zero in each (power 0.9).

    Args:
        optimizer: makes the optimizer of Φ, a fresh one in each round.
        recorrector_optimizer: makes that of Ψ.
        steps: of a round.
        initial_steps: of round 0; none: as many.
        freeze_bn_fraction: part of a round's steps, its last, in which batch norms use the
            statistics of all batches, as at test; for batches of one or two scenes.
        batch: the scenes of a batch.
    """

    optimizer: MakeOptimizer
    recorrector_optimizer: MakeOptimizer
    steps: int = 10_000
    initial_steps: int | None = None
    freeze_bn_fraction: float = 0.0
    batch: BatchContents = field(default_factory=BatchContents)

    def steps_of(self, round_: int) -> int:
        """Steps of a round."""
        return self.initial_steps or self.steps if round_ == 0 else self.steps


@dataclass(frozen=True)
class Twist:
    """The method; the defaults are those of the paper.

    Args:
        training: of a round.
        n_rounds: self-training rounds after round 0.
        labeling: which pseudo-labels there are; none: the labeled scenes alone (Table 4, row I).
        teaching: how Φ learns from its own moving average besides; none: it does not.
        correction: what of proposals is corrected by calibration errors; it takes `measured`
            scenes.
        recorrection: how Ψ learns; none: it does not.
        smoothing: how annotated classes are smoothed, by the network as a round begins; none: they
            are not.
        scoring: how the held-out scenes are scored after each round.

    Raises:
        ValueError: if Ψ is to choose pseudo-labels and never learns.
    """

    training: RoundTraining
    n_rounds: int = 3
    labeling: Labeling | None = field(default_factory=Labeling)
    teaching: Teaching | None = None
    correction: ProposalCorrection = field(default_factory=ProposalCorrection)
    recorrection: RecorrectorTraining | None = field(default_factory=RecorrectorTraining)
    smoothing: Smoothing | None = None
    scoring: Scoring = field(default_factory=Scoring)

    def __post_init__(self) -> None:
        needs_it = self.labeling is not None and self.labeling.kind == "recorrected"
        if needs_it and self.recorrection is None:
            raise ValueError("recorrection must be set for pseudo-labels of kind recorrected")


@dataclass(frozen=True)
class SelfTraining:
    """One run of the method.

    Args:
        run: the folder that takes metrics, checkpoints and pseudo-labels; a run that is opened
            again continues where it stopped.
        fabric: a launched Fabric (`pcl_run.cli.make_fabric`).
        split: labeled, unlabeled and held-out scenes.
        model: Φ and Ψ, with the weights that round 0 starts from.
        twist: the method.
        measured: labeled scenes that nothing is learned from (`hold_out`): before each round they
            measure the calibration error of each class.
        seed: of batches and of every random choice in training.
        options: workers, and how often to log and to write checkpoints.

    Raises:
        ValueError: if Ψ is to learn from scenes with labels at some points only, if there are to be
            pseudo-labels and every scene has labels, or if something is to be corrected by a
            calibration error and no scene measures it.
    """

    run: Run
    fabric: Fabric
    split: SceneSplit
    model: TwistModel
    twist: Twist
    measured: tuple[str, ...] = ()
    seed: int = 0
    options: LoopOptions = LoopOptions()

    def __post_init__(self) -> None:
        if self.twist.recorrection is not None and self.split.budget.annotations is not None:
            raise ValueError(
                "recorrection must be none where points are labeled and not scenes: Ψ learns from "
                f"whole instances, got the labels {self.split.budget.name}"
            )
        teaching = self.twist.teaching
        corrects = teaching is not None and teaching.targets.kind == "corrected"
        if (corrects or self.twist.correction) and not self.measured:
            raise ValueError(
                "measured must hold labeled scenes for what is corrected by a calibration error, "
                "got none"
            )
        learns = self.twist.labeling is not None or teaching is not None
        if learns and self.twist.n_rounds and not self.split.unlabeled:
            raise ValueError(
                "split must leave scenes without labels, which pseudo-labels are for, got the "
                f"labels {self.split.budget.name}"
            )

    def all_rounds(self) -> list[dict[str, Any]]:
        """Every round in order; what a resumed run finds done is not done again.

        Returns:
            a row a round: its number, the held-out scores, and the quality of its pseudo-labels.
        """
        self.model.to(self.fabric.device)
        rows = []
        with self.run.timed():
            for round_ in range(self.twist.n_rounds + 1):
                # Step (ii): the networks of the round before label the unlabeled scenes.
                if round_ > 0 and self.measured:
                    self.measure(round_)
                store = self.label(round_) if round_ > 0 else None
                # Step (i) in round 0, on labeled scenes (Eq. 1), then step (iii), on both (Eq. 3).
                self.train(round_, store)
                # AP and mIoU on held-out scenes.
                rows.append(self.evaluate(round_))
        return rows

    def measure(self, round_: int) -> None:
        """The calibration errors of the networks of the round before, remembered in the run."""
        if self.run.recall(f"errors_{round_}") is None:
            judged = self.twist.recorrection is not None
            found = measure_errors(self.model, self.split, self.measured, proposals=judged)
            errors = {name: table.compute().tolist() for name, table in found._asdict().items()}
            self.run.remember(f"errors_{round_}", errors)

    def make_teacher(self, round_: int) -> Teacher | None:
        """The teacher of a round; there is none in round 0, which learns from labels alone."""
        if self.twist.teaching is None or round_ == 0:
            return None
        n_classes = self.model.label_set.n_classes
        errors = self.run.recall(f"errors_{round_}", {"points": [0.0] * n_classes})["points"]
        facts = ClassFacts(class_frequencies(self.split, n_classes), torch.tensor(errors))
        return Teacher(self.model.network, self.twist.teaching, facts).to(self.fabric.device)

    def class_targets(self) -> Tensor | None:
        """What is learned of each annotated class; none: the class alone."""
        if self.twist.smoothing is None:
            return None
        return smoothed_classes(self.model, self.split, self.twist.smoothing).to(self.fabric.device)

    def label(self, round_: int) -> PseudoLabelStore | None:
        """Step (ii): pseudo-labels of every unlabeled scene, unless the method has none."""
        labeling = self.twist.labeling
        if labeling is None:
            return None
        if self.twist.correction:
            errors = self.run.recall(f"errors_{round_}")
            labeling = labeling.corrected(errors, self.twist.correction)
        store = open_store(self.run.folder, self.model, labeling, round_)
        label_scenes(
            store,
            self.model,
            self.split,
            labeling,
            index=self.fabric.global_rank,
            count=self.fabric.world_size,
        )
        self.fabric.barrier()
        if self.run.recall(f"pseudo_{round_}") is None:
            self.run.remember(f"pseudo_{round_}", pseudo_scores(store, self.split))
        return store

    def train(self, round_: int, store: PseudoLabelStore | None) -> None:
        """Steps (i) and (iii): from the weights that are there, with fresh optimizers."""
        training, recorrection = self.twist.training, self.twist.recorrection
        labeling = self.twist.labeling
        n_steps = training.steps_of(round_)
        frozen_from = n_steps * (1 - training.freeze_bn_fraction)
        teacher, targets = self.make_teacher(round_), self.class_targets()
        pseudo = None if store is None else store.load
        if teacher is not None and pseudo is None:
            pseudo = no_labels(self.split)

        def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
            freeze_batch_norms(self.model, step >= frozen_from)
            if teacher is not None:
                teacher.follow(self.model.network)
            waits = recorrection is None or (round_ == 0 and step < recorrection.first_step)
            learned = None if waits else recorrection
            return twist_losses(self.model, batch, learned, teacher, targets)

        fit(
            self.run,
            self.fabric,
            stage=f"round_{round_}",
            modules=nn.ModuleDict(
                {"twist": self.model} | ({} if teacher is None else {"teacher": teacher})
            ),
            optimizers={
                "network": training.optimizer(self.model.network),
                "recorrector": training.recorrector_optimizer(self.model.recorrector),
            },
            batches=twist_batches(
                self.model,
                self.split,
                training.batch,
                pseudo,
                (self.seed, round_),
                weak_view=teacher is not None,
                soft=labeling is not None and labeling.soft,
                rank=self.fabric.global_rank,
                n_ranks=self.fabric.world_size,
            ),
            training_step=training_step,
            n_steps=n_steps,
            schedule=poly(0.9),
            seed=self.seed,
            options=self.options,
        )

    def evaluate(self, round_: int) -> dict[str, Any]:
        """The row of a round, made once and remembered in the run."""
        if self.run.recall(f"round_{round_}") is None:
            table = ClassCalibrationError(self.model.label_set.n_classes)
            scores = evaluate_scenes(self.model, self.split, self.twist.scoring, table)
            if self.run.is_writer:
                save_table(table, table_file(self.run.folder, round_))
            quality = self.run.recall(f"pseudo_{round_}") or dict.fromkeys(QUALITY)
            self.run.remember(f"round_{round_}", {"round": round_, **scores, **quality})
            shown = "  ".join(f"{name} {scores[name]:.3f}" for name in SCORES)
            self.run.log(f"round {round_}: {shown}")
        return self.run.recall(f"round_{round_}")
