"""`labelfree-cli run`: settings, image labels, training, scores, report."""

import math
from collections.abc import Mapping
from typing import Any

import typer
from lightning_fabric import Fabric

from labelfree_cli.building import batches_of, classes_of, objective_of, store_of, training_of
from labelfree_cli.config import RunConfig
from labelfree_cli.encoders import Encoders
from labelfree_cli.labeling import label_scenes, open_encoders
from labelfree_cli.scenes import needs_of, open_scenes
from pcl_backbones import save_weights
from pcl_data import LabelSet
from pcl_data.splits import SceneSplit
from pcl_methods.forecast import STEPS, measure_steps
from pcl_methods.kept_split import check_split, keep_split, read_kept
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.labelfree.learning import Objective, learn_from_images
from pcl_methods.labelfree.scoring import SCORES, score_parts
from pcl_methods.labelfree.text_network import OpenVocabulary, classifier, save_text_head
from pcl_methods.segmentation.scoring import shown_number
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_run.cli import print_json
from pcl_run.files import jsonable
from pcl_run.memory import peak_memory_bytes
from pcl_run.report import write_report
from pcl_run.run import Run
from pcl_run.start import Start

WEIGHTS, LABELS = "model.safetensors", "labels"


def start_run(start: Start, config: RunConfig, *, dry_run: bool) -> dict[str, Any]:
    """Train without labels and return the summary; of a dry run, what it is going to take.

    Raises:
        ValueError: if a setting, a scene, the image labels or the run folder is not as it must be.
    """
    kept = read_kept(start.out) if start.resume and start.out is not None else None
    split = open_scenes(config.data, kept)
    label_set = classes_of(config, split)
    facts = check_split(split, needs_of(config.data, config.model.voxel_size), kept)
    fabric = start.fabric(config.train.precision)
    encoders = open_encoders(config, label_set, fabric.device)
    objective = objective_of(config, encoders.text_features.cpu())
    if dry_run:
        return _forecast(config, fabric, split, encoders, objective, label_set)
    run = start.open_run("labelfree", config)
    keep_split(run, split, facts)
    run.log(f"images: {config.images.clip}, license of the weights: {encoders.license}")
    for line in unreached_phases(config, len(split.training)):
        run.log(line)
    store = store_of(config, config.images.labels or run.folder / LABELS, encoders.clip, label_set)
    with run.timed():
        if run.is_writer:
            names = (*split.training, *split.validation)
            for row in label_scenes(config, split, names, store, encoders):
                run.log(f"labeled {row['scene']}: {row['frames']} frames, {row['seconds']:.1f} s")
        fabric.barrier()
        batches = batches_of(config, split, store, label_set.n_classes, fabric)
        learn_from_images(run, fabric, objective, batches, training_of(config))
    vocabulary = vocabulary_of(config, objective, encoders, label_set)
    segmenter = vocabulary.segmenter
    summary: dict[str, Any] = {}
    if run.is_writer:
        summary = _summarize(run, config, split, store, vocabulary)
        card = {
            "kind": "labelfree",
            **segmenter.card(config.model.backbone, config.model.width),
            "data": split.data,
            "budget": "none",
            "config": config.model_dump(mode="json"),
            "license_of_encoder": encoders.license,
            **summary,
        }
        save_weights(segmenter.network, run.folder / WEIGHTS, card=jsonable(card))
        save_text_head(run.folder, vocabulary)
        write_report(run.folder)
    return jsonable(summary | {"folder": str(run.folder)})


def unreached_phases(config: RunConfig, n_scenes: int) -> list[str]:
    """Says which parts of the method a run is too short for.

    Args:
        config: the settings.
        n_scenes: to learn from.

    Example:
        >>> config = RunConfig(
        ...     method={"intra_scene": False, "inter_scene": False, "feedback": False}
        ... )
        >>> unreached_phases(config, 10_000)
        []
    """
    method, train = config.method, config.train
    n_epochs = math.ceil(train.steps / math.ceil(n_scenes / train.batch_size))
    hicl = method.name == "hicl"
    phases = [
        ("correlation_epoch", hicl and (method.intra_scene or method.inter_scene)),
        ("feedback_epoch", hicl and method.feedback),
        ("self_training_epoch", method.name == "clip2scene"),
    ]
    first = {name: getattr(method, name) for name, is_used in phases if is_used}
    return [
        f"method.{name}={epoch} never comes: {train.steps} steps are {n_epochs} epochs of "
        f"{n_scenes} scenes"
        for name, epoch in first.items()
        if epoch is not None and epoch > n_epochs
    ]


def vocabulary_of(
    config: RunConfig, objective: Objective, encoders: Encoders, label_set: LabelSet
) -> OpenVocabulary:
    """The trained network, and the classifier that it becomes with the text in its head."""
    text = objective.text_features
    network = classifier(objective.network, text).eval()
    size, features = config.model.voxel_size, config.data.features
    views = config.model.views
    segmenter = Segmenter(network, label_set, voxel_size=size, features=features, views=views)
    images = config.images.model_dump(mode="json")
    return OpenVocabulary(
        segmenter, objective.network.eval(), text, encoders.clip.text_space, images
    )


def _forecast(
    config: RunConfig,
    fabric: Fabric,
    split: SceneSplit,
    encoders: Encoders,
    objective: Objective,
    label_set: LabelSet,
) -> dict[str, Any]:
    """Time, memory and disk that a run is going to take: one scene labeled, a few steps."""
    few = {"steps": STEPS, "log_every": 1, "checkpoint_every": STEPS}
    short = config.model_copy(update={"train": config.train.model_copy(update=few)})
    first = split.training[:1]
    rows: list[dict[str, Any]] = []

    def train(run: Run) -> None:
        store = store_of(config, run.folder / LABELS, encoders.clip, label_set)
        rows.extend(label_scenes(config, split, first, store, encoders))
        one = SceneSplit(split.data, split.label_set, first, (), split.budget, split.load)
        batches = batches_of(short, one, store, label_set.n_classes, fabric)
        learn_from_images(run, fabric, objective, batches, training_of(short))

    measured = measure_steps(train, short)
    found = measured.forecast(config.train.steps, split, float(len(split.validation)))
    return found | {
        "labeling_minutes": rows[0]["seconds"] * len(split.training) / 60,
        "disk_bytes": found["disk_bytes"] + rows[0]["bytes"] * len(split.training),
        "license": encoders.license,
    }


def _summarize(
    run: Run,
    config: RunConfig,
    split: SceneSplit,
    store: LabelStore,
    vocabulary: OpenVocabulary,
) -> dict[str, Any]:
    """Scores of every step on the held-out scenes, those of the network first."""
    summary: dict[str, Any] = {
        "method": config.method.name,
        "scenes": {role: list(getattr(split, role)) for role in ("training", "validation")},
    }
    if split.validation:
        rows = score_parts(split, store.load, vocabulary, trained_on=split.data)
        network = next(row for row in rows if row["step"] == "network")
        summary |= {key: value for key, value in network.items() if key != "step"}
        summary["steps"] = [{key: row[key] for key in ("step", *SCORES)} for row in rows]
        run.metrics("held_out", config.train.steps, **{name: network[name] for name in SCORES})
    summary |= {"seconds": run.recall("seconds"), "peak_memory_bytes": peak_memory_bytes()}
    run.write_summary(summary)
    return summary


def print_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """The scores on stdout, or JSON."""
    if as_json or "method" not in summary:
        return print_json(summary)
    if "steps" in summary:
        titles = ("mIoU", "f-mIoU", "mAcc")
        typer.echo(" " * 18 + "".join(f"{title:>8}" for title in titles))
        for row in summary["steps"]:
            cells = (shown_number(row[name], ".3f") for name in SCORES)
            typer.echo(f"{row['step']:<18}" + "".join(f"{cell:>8}" for cell in cells))
        typer.echo(f"protocol {summary['protocol']}; f-mIoU {summary['f_protocol']}")
    memory = summary["peak_memory_bytes"] / 2**30
    typer.echo(f"{summary['seconds']:.0f} s, {memory:.1f} GiB at the most, in {summary['folder']}")
    return None
