"""Tests of pcl_methods.self_training.rounds."""

import dataclasses
import json
import signal
from functools import partial

import pytest
import torch

from pcl_data.splits import LabelBudget, annotation_budget
from pcl_methods.self_training import rounds
from pcl_methods.self_training.batches import BatchContents
from pcl_methods.self_training.labeling import Labeling, ProposalCorrection
from pcl_methods.self_training.measured_errors import hold_out
from pcl_methods.self_training.objective import RecorrectorTraining
from pcl_methods.self_training.quality import QUALITY, SCORES
from pcl_methods.self_training.rounds import RoundTraining, SelfTraining, Twist
from pcl_methods.self_training.soft_targets import TargetOptions
from pcl_methods.self_training.teacher import Teaching
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import Interrupted, LoopOptions
from pcl_run.run import Run


def adam(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=0.003)


TRAINING = RoundTraining(
    adam, adam, steps=3, initial_steps=4, batch=BatchContents(1, 1, elastic=False)
)
TWIST = Twist(
    TRAINING,
    n_rounds=1,
    labeling=Labeling(score_threshold=0.0),
    recorrection=RecorrectorTraining(first_step=2),
)


@pytest.fixture
def training(model, split, tmp_path) -> SelfTraining:
    run = Run.open(tmp_path / "run", Config())
    options = LoopOptions(log_every=1, checkpoint_every=2)
    return SelfTraining(run, make_fabric(), split, model, TWIST, options=options)


def metrics(training: SelfTraining) -> list[dict]:
    return [json.loads(line) for line in (training.run.folder / "metrics.jsonl").open()]


def test_rounds_follow_each_other(training):
    rows = training.all_rounds()
    assert [row["round"] for row in rows] == [0, 1]
    assert all(0 <= row["ap50"] <= 1 for row in rows)
    assert [rows[0][key] for key in QUALITY] == [None] * 3
    assert 0 < rows[1]["pseudo_coverage"] <= 1
    first, second = (
        [row for row in metrics(training) if row["stage"] == f"round_{round_}"] for round_ in (0, 1)
    )
    assert (len(first), len(second)) == (4, 3)
    # Ψ waits in round 0 only; pseudo-labeled scenes come with round 1.
    assert ["recorrector_score" in row for row in first] == [False, False, True, True]
    assert all("recorrector_score" in row for row in second)
    assert ["unlabeled_offset" in row for row in first + second] == [False] * 4 + [True] * 3
    # Each round starts fresh optimizers, with the full learning rate.
    assert first[0]["lr"] == second[0]["lr"] == 0.003


def test_a_finished_run_is_read_and_not_repeated(training, make_model):
    rows = training.all_rounds()
    n_metrics = len(metrics(training))
    run = Run.open(training.run.folder, Config(), resume=True)
    again = dataclasses.replace(training, run=run, model=make_model())
    for row, first in zip(again.all_rounds(), rows, strict=True):
        assert [row[key] for key in (*SCORES, *QUALITY)] == [
            first[key] for key in (*SCORES, *QUALITY)
        ]
    assert len(metrics(training)) == n_metrics
    for mine, other in zip(training.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_without_pseudo_labels_only_labeled_scenes_train(training):
    """Table 4, row I."""
    supervised = dataclasses.replace(TWIST, labeling=None, recorrection=None)
    rows = dataclasses.replace(training, twist=supervised).all_rounds()
    assert [row[key] for row in rows for key in QUALITY] == [None] * 6
    assert not (training.run.folder / "pseudo").exists()
    assert not any("unlabeled" in key or "rec" in key for row in metrics(training) for key in row)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_the_last_steps_of_a_round_train_with_frozen_norms(training, fraction):
    training_ = dataclasses.replace(TRAINING, freeze_bn_fraction=fraction)
    twist = Twist(training_, n_rounds=0, labeling=None, recorrection=None)
    dataclasses.replace(training, twist=twist).train(0, None)
    weights = training.model.state_dict()
    counts = {int(weights[key]) for key in weights if key.endswith("bn0.bn.num_batches_tracked")}
    assert counts == {4 * (1 - fraction)}


def test_what_the_recorrector_chooses_needs_it_to_learn():
    with pytest.raises(ValueError, match="recorrection must be set for pseudo-labels of kind"):
        Twist(TRAINING, recorrection=None)
    Twist(TRAINING, labeling=Labeling("proposals"), recorrection=None)


def test_the_recorrector_learns_from_whole_scenes(training):
    split = dataclasses.replace(
        training.split, budget=annotation_budget(training.split.training, 20)
    )
    again = partial(dataclasses.replace, training, split=split)
    with pytest.raises(ValueError, match=r"recorrection must be none .* got the labels la-20pts"):
        again()
    again(twist=dataclasses.replace(TWIST, labeling=None, recorrection=None))


def test_pseudo_labels_need_scenes_without_labels(training):
    labeled = LabelBudget("lr-100%", training.split.training)
    split = dataclasses.replace(training.split, budget=labeled)
    again = partial(dataclasses.replace, training, split=split)
    with pytest.raises(ValueError, match=r"split must leave scenes without labels, .* got .*100%"):
        again()
    again(twist=dataclasses.replace(TWIST, labeling=None, recorrection=None))
    again(twist=dataclasses.replace(TWIST, n_rounds=0))


CALIBRATED = dataclasses.replace(
    TWIST,
    teaching=Teaching(TargetOptions("corrected")),
    labeling=dataclasses.replace(TWIST.labeling, soft=True),
    correction=ProposalCorrection(confidence=1.0, targets=2.0),
)


def held_out(training, **changes) -> SelfTraining:
    split, measured = hold_out(training.split, 1)
    return dataclasses.replace(training, split=split, measured=measured, **changes)


def test_a_teacher_joins_after_round_0_and_is_measured_on_scenes_that_nobody_learns(training):
    calibrated = held_out(training, twist=CALIBRATED)
    rows = calibrated.all_rounds()
    assert [row["round"] for row in rows] == [0, 1]
    taught = {row["stage"]: "taught" in row for row in metrics(training)}
    assert taught == {"round_0": False, "round_1": True}
    errors = calibrated.run.recall("errors_1")
    assert errors.keys() == {"points", "proposals", "proposal_classes"}
    assert len(errors["points"]) == 20
    assert any(errors["points"])
    teacher = calibrated.make_teacher(1)
    assert teacher.targets.errors.tolist() == pytest.approx(errors["points"])


def test_a_teacher_alone_needs_no_pseudo_labels(training):
    soft = Teaching(TargetOptions("freematch"))
    twist = dataclasses.replace(TWIST, labeling=None, recorrection=None, teaching=soft)
    dataclasses.replace(training, twist=twist).all_rounds()
    second = [row for row in metrics(training) if row["stage"] == "round_1"]
    assert all("taught" in row for row in second)
    assert all(row["unlabeled_semantic"] == 0 for row in second)


def test_a_run_with_a_teacher_goes_on_with_the_same_bits(
    training, make_model, tmp_path, monkeypatch
):
    aligned = dataclasses.replace(CALIBRATED, teaching=Teaching(TargetOptions("aligned")))
    whole = held_out(training, twist=aligned)
    whole.all_rounds()
    losses, seen = rounds.twist_losses, []

    def pressing(model, batch, recorrection, teacher, targets):
        if teacher is not None:
            seen.append(1)
            if len(seen) == 2:
                signal.raise_signal(signal.SIGTERM)
        return losses(model, batch, recorrection, teacher, targets)

    monkeypatch.setattr(rounds, "twist_losses", pressing)
    run = Run.open(tmp_path / "other", Config())
    first = held_out(training, run=run, model=make_model(), twist=aligned)
    with pytest.raises(Interrupted):
        first.all_rounds()
    assert len(seen) == 2
    resumed = Run.open(run.folder, Config(), resume=True)
    again = dataclasses.replace(first, run=resumed, model=make_model())
    again.all_rounds()
    for mine, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("change", ["teaching", "correction"])
def test_what_is_corrected_needs_scenes_that_measure(training, change):
    twist = dataclasses.replace(TWIST, **{change: getattr(CALIBRATED, change)})
    with pytest.raises(ValueError, match=r"measured must hold labeled scenes .*, got none"):
        dataclasses.replace(training, twist=twist)
