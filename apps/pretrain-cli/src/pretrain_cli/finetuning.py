"""`pretrain-cli finetune`: settings to arguments, and the summary."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import typer
from lightning_fabric import Fabric

from pcl_backbones import add_lora, merge_lora, save_weights
from pcl_data.splits import SceneSplit
from pcl_methods.checking import SceneNeeds
from pcl_methods.data import open_split
from pcl_methods.forecast import STEPS, measure_steps
from pcl_methods.kept_split import check_split, keep_split, read_kept
from pcl_methods.segmentation.batches import SceneBatches, SceneSource
from pcl_methods.segmentation.encoding import untouched
from pcl_methods.segmentation.fine_tuning import (
    class_weights,
    fine_tune,
    mean_scores,
    steps_to_score,
)
from pcl_methods.segmentation.network import SegmentationNetwork
from pcl_methods.segmentation.samples import labeled_sample
from pcl_methods.segmentation.scoring import score_split, shown_number
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.weights import InitialWeights, load_initial_weights
from pcl_methods.settings import build_backbone
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start
from pcl_run.training import make_optimizer
from pretrain_cli.config import FinetuneConfig

SCORES = ("miou", "macc", "ap", "ap50", "ap25")
WEIGHTS = "model.safetensors"


def finetune(start: Start, config: FinetuneConfig, *, dry_run: bool = False) -> dict[str, Any]:
    """Fine-tune and return the summary; of a dry run, what it is going to take.

    Raises:
        ValueError: if a setting, a scene, the weights or the run folder is not as it must be.
    """
    kept = read_kept(start.out) if start.resume and start.out is not None else None
    split = open_split(config.data, kept=kept)
    facts = check_split(split, needs_of(config), kept)
    fabric = start.fabric(config.train.precision)
    torch.manual_seed(config.seed)
    segmenter, init = initial_segmenter(config, split)
    if dry_run:
        return _forecast(config, fabric, split, segmenter)
    run = start.open_run("finetune", config)
    keep_split(run, split, facts)
    if init is not None:
        run.log(str(init))
    with run.timed():
        score = partial(_score, run, config, split, segmenter)
        _learn(run, fabric, config, split, segmenter, score)
    summary: dict[str, Any] = {}
    if run.is_writer:  # the one process that has scored
        summary = _summarize(run, config, split, init)
        if config.train.lora_rank is not None:
            merge_lora(segmenter.network)
        save_weights(
            segmenter.network,
            run.folder / WEIGHTS,
            jsonable(_card(config, split, segmenter, summary)),
        )
        write_report(run.folder)
    return jsonable(summary | {"folder": str(run.folder)})


def needs_of(config: FinetuneConfig) -> SceneNeeds:
    """What scenes must have for the task to be learned and scored."""
    fields = ("labels",) if config.task == "semantic" else ("labels", "instances")
    size, features = config.model.voxel_size, config.data.features
    return SceneNeeds(size, features, learned=fields, scored=fields)


def _forecast(
    config: FinetuneConfig, fabric: Fabric, split: SceneSplit, segmenter: Segmenter
) -> dict[str, Any]:
    """Time, memory and disk that a run is going to take, from a few of its steps."""
    few = {"steps": STEPS, "log_every": 1, "checkpoint_every": STEPS}
    short = config.model_copy(update={"train": config.train.model_copy(update=few)})
    measured = measure_steps(
        lambda run: _learn(run, fabric, short, split, segmenter, lambda step: None), short
    )
    n_predicted = config.train.n_scored_checkpoints * len(split.validation)
    return measured.forecast(config.train.steps, split, n_predicted / config.train.batch_size)


def initial_segmenter(
    config: FinetuneConfig, split: SceneSplit
) -> tuple[Segmenter, InitialWeights | None]:
    """The network at step 0, and what it starts from."""
    assert split.label_set is not None  # open_split has checked
    backbone, init = build_backbone(config.model, config.data.features), None
    expected = config.model.identity() | {"features": config.data.features}
    if config.train.lora_rank is not None:  # the terms are drawn before the heads
        if config.init is not None:
            init = load_initial_weights(backbone, config.init, expected=expected)
        add_lora(backbone, rank=config.train.lora_rank)
    network = SegmentationNetwork(
        backbone,
        split.label_set.n_classes,
        offsets=config.task == "instance",
        head_layers=config.head_layers,
    )
    if config.init is not None and init is None:
        init = load_initial_weights(
            network, config.init, expected=expected, label_set=split.label_set
        )
    segmenter = Segmenter(
        network,
        split.label_set,
        voxel_size=config.model.voxel_size,
        features=config.data.features,
        cluster_radius=config.cluster_radius,
        min_points=config.min_points,
        views=config.model.views,
    )
    return segmenter, init


def _learn(
    run: Run,
    fabric: Fabric,
    config: FinetuneConfig,
    split: SceneSplit,
    segmenter: Segmenter,
    score: Callable[[int], None],
) -> None:
    """The steps of the run; the last checkpoints are scored on the held-out scenes."""
    settings = config.train
    sample = partial(
        labeled_sample,
        split,
        instances=config.task == "instance",
        voxel_size=config.model.voxel_size,
        elastic=settings.elastic,
        features=config.data.features,
    )
    batches = SceneBatches(
        [SceneSource(split.labeled, settings.batch_size, sample)],
        [config.seed],
        rank=fabric.global_rank,
        n_ranks=fabric.world_size,
    )
    fine_tune(
        run,
        fabric,
        segmenter.network,
        batches,
        n_steps=settings.steps,
        make_optimizer=partial(make_optimizer, settings=settings),
        freeze_bn_fraction=settings.freeze_bn_fraction,
        class_weights=class_weights(split, settings.class_weight_exponent),
        score=score,
        scored_steps=steps_to_score(settings.steps, settings.n_scored_checkpoints),
        seed=config.seed,
        options=settings.loop_options(),
    )


def _score(
    run: Run, config: FinetuneConfig, split: SceneSplit, segmenter: Segmenter, step: int
) -> None:
    """Score the network after `step` steps and remember it, on the first process."""
    if not run.is_writer or run.recall(f"step_{step}") is not None:
        return
    with untouched(segmenter.network):
        scores = score_split(
            segmenter,
            split,
            segmenter.label_set,
            trained_on=split.data,
            budget=split.budget.name,
            views=config.model.views,
            min_region=config.min_region,
        )
    run.remember(f"step_{step}", scores)
    numbers = {name: scores[name] for name in SCORES if name in scores}
    run.metrics("held_out", step, **numbers)
    shown = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
    run.log(f"step {step}: {shown}")


def _summarize(
    run: Run, config: FinetuneConfig, split: SceneSplit, init: InitialWeights | None
) -> dict[str, Any]:
    """Scores, averaged over the scored checkpoints, written to `summary.json`."""
    steps = sorted(steps_to_score(config.train.steps, config.train.n_scored_checkpoints))
    rows = [run.recall(f"step_{step}") for step in steps]
    names = [name for name in SCORES if name in rows[-1]]
    summary = {
        "task": config.task,
        "init": "scratch" if init is None else init.card.get("method", init.card.get("kind")),
        **mean_scores(rows, names),
        "protocol": rows[-1]["protocol"],
        "checkpoints": [
            {"step": step, **{name: row[name] for name in names}}
            for step, row in zip(steps, rows, strict=True)
        ],
        "per_class": rows[-1]["per_class"],
        "labeled_scenes": len(split.labeled),
        "seconds": run.recall("seconds"),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    run.write_summary(summary)
    return summary


def _card(
    config: FinetuneConfig, split: SceneSplit, segmenter: Segmenter, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What the weights say of themselves."""
    model = config.model
    return {
        "kind": "segmentation",
        **segmenter.card(model.backbone, model.width, head_layers=config.head_layers),
        "data": split.data,
        "budget": split.budget.name,
        "config": config.model_dump(mode="json"),
        **summary,
    }


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The scores on stdout."""
    if as_json or "checkpoints" not in summary:
        print_json(summary)
        return
    rows = summary["checkpoints"]
    typer.echo("".join(f"{name:>10}" for name in rows[0]))
    for row in rows:
        typer.echo("".join(f"{shown_number(value, '.4g'):>10}" for value in row.values()))
    names = [name for name in rows[0] if name != "step"]
    typer.echo(
        "mean      " + "".join(f"{shown_number(summary[name], '.4g'):>10}" for name in names)
    )
    typer.echo(f"protocol {summary['protocol']}, {summary['init']}, {summary['seconds']:.0f} s")
    typer.echo(f"weights in {summary['folder']}/{WEIGHTS}")
