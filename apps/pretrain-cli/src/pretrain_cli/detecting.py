"""`pretrain-cli finetune --task detection`: settings to arguments, and the summary."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import typer
from lightning_fabric import Fabric

from pcl_backbones import save_weights, use_engine
from pcl_data.evaluation import ScoreProtocol
from pcl_data.splits import SceneSplit
from pcl_methods.data import open_split
from pcl_methods.detection.box_finder import (
    BoxFinder,
    DetectorSizes,
    build_detector,
    start_detector,
)
from pcl_methods.detection.learning import box_batches, mean_sizes, train_detector
from pcl_methods.detection.samples import BoxSampling
from pcl_methods.detection.scoring import BOX_SCORES, score_boxes
from pcl_methods.forecast import STEPS, measure_steps
from pcl_methods.kept_split import check_split, keep_split, read_kept
from pcl_methods.segmentation.scoring import shown_number
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from pcl_run.training import make_optimizer
from pretrain_cli.config import FinetuneConfig
from pretrain_cli.finetuning import WEIGHTS, needs_of


def finetune_detector(
    start: Start, config: FinetuneConfig, *, dry_run: bool = False
) -> dict[str, Any]:
    """Train a detector with few boxes and return the summary; of a dry run, what it will take.

    Raises:
        ValueError: if a setting, a scene, the weights or the run folder is not as it must be.
    """
    kept = read_kept(start.out) if start.resume and start.out is not None else None
    split = open_split(config.data, kept=kept)
    assert split.label_set is not None  # open_split has checked
    facts = check_split(split, needs_of(config), kept)
    fabric = start.fabric(config.train.precision)
    use_engine(config.model.engine)
    torch.manual_seed(config.seed)
    sizes, sampling = sizes_of(config, split), sampling_of(config)
    detector, init = build_detector(sizes, split.label_set.things, sampling), None
    if config.init is not None:
        identity = config.model.identity() | {"features": config.data.features}
        init = start_detector(detector, config.init, **identity)
    finder = BoxFinder(detector, split.label_set, sampling)
    if dry_run:
        return _forecast(config, fabric, split, finder)
    run = start.open_run("finetune", config)
    keep_split(run, split, facts)
    if init is not None:
        run.log(str(init))
    with run.timed():
        _learn(run, fabric, config, split, finder)
    summary: dict[str, Any] = {}
    if run.is_writer:
        told = {"trained_on": split.data, "budget": split.budget.name}
        scores = score_detector(finder, split, **told)
        summary = {
            "task": config.task,
            "init": "scratch" if init is None else init.card.get("method", init.card.get("kind")),
            **scores,
            "labeled_scenes": len(split.labeled),
            "seconds": run.recall("seconds"),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        run.metrics("held_out", config.train.steps, **{name: scores[name] for name in BOX_SCORES})
        run.write_summary(summary)
        card = {
            "kind": "detection",
            **finder.card(sizes),
            "data": split.data,
            "budget": split.budget.name,
            "config": config.model_dump(mode="json"),
            **summary,
        }
        save_weights(detector, run.folder / WEIGHTS, jsonable(card))
        write_report(run.folder)
    return jsonable(summary | {"folder": str(run.folder)})


def sampling_of(config: FinetuneConfig) -> BoxSampling:
    """What the detector sees of a scene."""
    return BoxSampling(
        config.model.voxel_size,
        config.detector.n_points if config.model.backbone == "pointnet2" else None,
        config.data.features,
        max_turn=math.radians(config.detector.max_turn),
    )


def sizes_of(config: FinetuneConfig, split: SceneSplit) -> DetectorSizes:
    """Of what the detector is built; VoteNet counts from the mean sizes of the labeled boxes."""
    model, detector = config.model, config.detector
    sizes = DetectorSizes(
        name=detector.name,
        backbone=model.backbone,
        width=model.width,
        bn_momentum=model.bn_momentum,
        strides=list(detector.strides),
        channels=detector.channels,
        n_seeds=detector.n_seeds,
        n_proposals=detector.n_proposals,
    )
    if detector.name == "sparse":
        return sizes
    return sizes.model_copy(update={"mean_sizes": mean_sizes(split).tolist()})


def score_detector(
    finder: BoxFinder, split: SceneSplit, *, trained_on: str, budget: str
) -> dict[str, Any]:
    """AP25 and AP50 of the held-out scenes of a split."""
    protocol = ScoreProtocol(split.data, "held-out", views=1, budget=budget, trained_on=trained_on)
    scenes = map(split.load, split.validation)
    return score_boxes(scenes, finder, finder.label_set, protocol=protocol)


def _learn(
    run: Run, fabric: Fabric, config: FinetuneConfig, split: SceneSplit, finder: BoxFinder
) -> None:
    settings = config.train
    train_detector(
        run,
        fabric,
        finder.detector,
        box_batches(
            split,
            finder.sampling,
            batch_size=settings.batch_size * fabric.world_size,
            seed=config.seed,
            rank=fabric.global_rank,
            n_ranks=fabric.world_size,
        ),
        n_steps=settings.steps,
        freeze_bn_fraction=settings.freeze_bn_fraction,
        make_optimizer=partial(make_optimizer, settings=settings),
        seed=config.seed,
        options=settings.loop_options(),
    )


def _forecast(
    config: FinetuneConfig, fabric: Fabric, split: SceneSplit, finder: BoxFinder
) -> dict[str, Any]:
    """Time, memory and disk that a run is going to take, from a few of its steps."""
    few = {"steps": STEPS, "log_every": 1, "checkpoint_every": STEPS}
    short = config.model_copy(update={"train": config.train.model_copy(update=few)})
    measured = measure_steps(lambda run: _learn(run, fabric, short, split, finder), short)
    n_predicted = len(split.validation) / config.train.batch_size
    return measured.forecast(config.train.steps, split, n_predicted)


def print_boxes(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The scores on stdout."""
    if as_json or "map25" not in summary:
        print_json(summary)
        return
    shown = {"AP25": "map25", "AP50": "map50", "recall25": "recall25", "recall50": "recall50"}
    for title, name in shown.items():
        typer.echo(f"{title:>8} {shown_number(summary[name], '.4f')}")
    typer.echo(f"protocol {summary['protocol']}")
    if "folder" in summary:
        typer.echo(f"{summary['init']}, {summary['seconds']:.0f} s")
        typer.echo(f"weights in {summary['folder']}/{WEIGHTS}")
