"""The command line: `pretrain-cli pairs | run | finetune | probe | label | evaluate | predict`."""

from pathlib import Path
from typing import Annotated

import typer

from pcl_run.cli import boundary, print_json
from pcl_run.options import (
    ConfigFile,
    Device,
    Devices,
    DryRun,
    Json,
    Nodes,
    Overwrite,
    Precision,
    PredictedFolder,
    ReaderOptions,
    Replace,
    Resume,
    Scans,
    Seed,
)
from pcl_run.start import Start, with_options

app = typer.Typer(
    name="pretrain-cli",
    help="Pre-train point-cloud networks without labels, and measure what it is worth with few.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Overrides = Annotated[
    list[str] | None, typer.Argument(help="dotted settings such as train.steps=500")
]
Out = Annotated[Path | None, typer.Option(help="run folder; default: the next free one in runs/")]
Preset = Annotated[
    str | None,
    typer.Option(help="quick, quick-lidar, paper or paper-lidar; default: quick, or of the run"),
]
OtherPreset = Annotated[str, typer.Option(help="quick, quick-lidar, paper or paper-lidar")]
Data = Annotated[Path | None, typer.Option(help="folder of the data set")]
Init = Annotated[
    Path | None, typer.Option(help="what to start from: a run of any app, or a file of weights")
]
Budget = Annotated[
    str | None,
    typer.Option(help="labels: 5%, 10scenes, 20pts, or a list (.txt scenes, .npz points)"),
]
Model = Annotated[Path, typer.Option(help="a finished run of any app, or its weights")]


@app.command()
def pairs(
    out: Annotated[Path, typer.Option(help="folder of the pairs")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="settings of data, such as n_scenes=20")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="scannet, sevenscenes ...; default: rooms, or scans in --data"),
    ] = None,
    data: Data = None,
    voxel_size: Annotated[float, typer.Option(help="thinning of a frame, metres")] = 0.0125,
    min_overlap: Annotated[float, typer.Option(min=0, max=1)] = 0.3,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: Json = False,
) -> None:
    """Write the camera frames of scenes as clouds, and the pairs that overlap.

    Example: pretrain-cli pairs --out pairs n_scenes=20
    """
    with boundary():
        from pretrain_cli.pairing import write_pairs

        found = write_pairs(
            with_options(overrides, {"kind": kind, "root": data}),
            out,
            voxel_size=voxel_size,
            min_overlap=min_overlap,
            n_workers=workers,
        )
        if as_json:
            print_json(found)
        else:
            typer.echo("{scenes} scenes, {pairs} pairs in {out}".format(**found))


@app.command()
def run(
    overrides: Overrides = None,
    method: Annotated[
        str | None, typer.Option(help="pointcontrast, csc, sspl, depthcontrast or byol")
    ] = None,
    config: ConfigFile = None,
    preset: Preset = None,
    data: Data = None,
    pairs: Annotated[
        Path | None, typer.Option(help="folder of frame pairs; without: views cut from scenes")
    ] = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    init: Init = None,
    seed: Seed = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    precision: Precision = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Pre-train a backbone without labels.

    Example: pretrain-cli run --method csc --pairs pairs
    """
    with boundary():
        from pretrain_cli.config import PRETRAIN_PRESETS, PretrainConfig

        options = {"method": method, "data.root": data, "contrast.pairs": pairs, "init": init}
        options |= {"seed": seed, "train.precision": precision}
        given = with_options(overrides, options)
        start = Start(preset, config, given, out, resume, overwrite, devices, nodes)
        settings = start.settings(PretrainConfig, PRETRAIN_PRESETS)  # before torch is loaded

        from pcl_run.run import is_main_process
        from pretrain_cli.pretraining import pretrain, print_summary

        summary = pretrain(start, settings, dry_run=dry_run)
        if is_main_process():
            print_summary(summary, as_json=as_json)


@app.command()
def finetune(
    overrides: Overrides = None,
    task: Annotated[str | None, typer.Option(help="semantic, instance or detection")] = None,
    init: Init = None,
    budget: Budget = None,
    config: ConfigFile = None,
    preset: Preset = None,
    data: Data = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    precision: Precision = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a network with few labels, from scratch or from pre-trained weights, and score it.

    Example: pretrain-cli finetune --init runs/pretrain_001 --budget 5% --task instance
    """
    with boundary():
        from pretrain_cli.config import FINETUNE_PRESETS, FinetuneConfig

        options = {"task": task, "init": init, "data.budget": budget, "data.root": data}
        options |= {"seed": seed, "train.precision": precision}
        given = with_options(overrides, options)
        start = Start(preset, config, given, out, resume, overwrite, devices, nodes)
        settings = start.settings(FinetuneConfig, FINETUNE_PRESETS)  # before torch is loaded

        from pcl_run.run import is_main_process

        if settings.task == "detection":
            from pretrain_cli.detecting import finetune_detector as train
            from pretrain_cli.detecting import print_boxes as show
        else:
            from pretrain_cli.finetuning import finetune as train
            from pretrain_cli.finetuning import print_summary as show

        summary = train(start, settings, dry_run=dry_run)
        if is_main_process():
            show(summary, as_json=as_json)


@app.command()
def probe(
    overrides: Overrides = None,
    kinds: Annotated[str, typer.Option(help="knn, linear, or both with a comma")] = "knn,linear",
    init: Init = None,
    budget: Budget = None,
    config: ConfigFile = None,
    preset: OtherPreset = "quick",
    data: Data = None,
    seed: Seed = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score the features of a backbone as they stand; without --init, of random weights.

    The strong probe, LoRA, trains: pretrain-cli finetune --init WEIGHTS train.lora_rank=8

    Example: pretrain-cli probe --init runs/pretrain_001 --budget 5%
    """
    with boundary():
        from pretrain_cli.probing import print_rows
        from pretrain_cli.probing import probe as measure

        options = {"init": init, "data.budget": budget, "data.root": data, "seed": seed}
        rows = measure(
            kinds.split(","),
            preset=preset,
            file=config,
            overrides=with_options(overrides, options),
            device=device,
        )
        print_rows(rows, as_json=as_json)


@app.command()
def label(
    out: Annotated[Path, typer.Option(help="folder of the index file and the PLY files")],
    overrides: Overrides = None,
    points: Annotated[int, typer.Option(min=1, help="to annotate in each scene")] = 20,
    strategy: Annotated[
        str, typer.Option(help="active, csc_reference, kmeans or random")
    ] = "active",
    init: Init = None,
    config: ConfigFile = None,
    preset: OtherPreset = "quick",
    data: Data = None,
    seed: Seed = None,
    ply: Annotated[bool, typer.Option(help="also write each scene with its points marked")] = True,
    overwrite: Replace = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Choose the points of each scene that are worth annotating.

    Example: pretrain-cli label --init runs/pretrain_001 --points 20 --out to_annotate
    """
    with boundary():
        from pretrain_cli.choosing import choose_points, print_choice

        options = {"init": init, "data.root": data, "seed": seed}
        found = choose_points(
            strategy,
            points,
            out,
            preset=preset,
            file=config,
            overrides=with_options(overrides, options),
            device=device,
            ply=ply,
            overwrite=overwrite,
        )
        print_choice(found, as_json=as_json)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Option(help="a finished run of finetune, or its weights")],
    overrides: Overrides = None,
    data: Data = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a fine-tuned model on the held-out scenes of its run, or on all of --data.

    Example: pretrain-cli evaluate --model runs/finetune_001
    """
    with boundary():
        from pretrain_cli.evaluating import evaluate_model, print_scores

        print_scores(evaluate_model(model, data, overrides or [], device), as_json=as_json)


@app.command()
def predict(
    scans: Scans,
    model: Model,
    out: PredictedFolder = Path("predicted"),
    options: ReaderOptions = None,
    overwrite: Replace = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Label every point of each scan, or find its boxes.

    A PLY with label, confidence and, if learned, instance of every point; of a detector the boxes
    as JSON, and a PLY and a page with their edges.

    Example: pretrain-cli predict scan.ply --model runs/finetune_001
    """
    with boundary():
        from pretrain_cli.predicting import predict_scans_of

        given = {"options": options or [], "overwrite": overwrite}
        for line in predict_scans_of(model, scans, out, device, as_json=as_json, **given):
            typer.echo(line)


if __name__ == "__main__":
    app()
