"""The command line: `labelfree-cli labels | run | evaluate | predict | query`."""

from pathlib import Path
from typing import Annotated

import typer

from pcl_run.cli import boundary
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

app = typer.Typer(
    name="labelfree-cli",
    help="3D semantic segmentation from images and class names, without any annotation.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="dotted settings such as train.steps=2000 images.sets=mesh"),
]
Data = Annotated[
    Path | None,
    typer.Option(help="folder of scans with posed images; without it: generated rooms"),
]
Preset = Annotated[
    str | None, typer.Option(help="quick (minutes on two cores; the default) or paper")
]
Clip = Annotated[
    str | None,
    typer.Option(help="small (comes with the app), ViT-B-16/openai, ViT-B-16/FILE, or a folder"),
]
Classes = Annotated[
    str | None, typer.Option(help="names with commas, in place of the classes of the data")
]
Model = Annotated[Path, typer.Option(help="a finished run of labelfree-cli")]


@app.command()
def labels(
    out: Annotated[Path, typer.Option(help="folder of the labels, a file a scene")],
    overrides: Overrides = None,
    config: ConfigFile = None,
    preset: Preset = None,
    data: Data = None,
    clip: Clip = None,
    classes: Classes = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: this share of the scenes, on one of n machines")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Label the points of scans by their images; scenes that are there are kept.

    Example: labelfree-cli labels --data recordings --classes wall,floor,chair --out labels
    """
    with boundary():
        from labelfree_cli.config import PRESETS, RunConfig
        from pcl_run.start import Start, with_options

        options = {"data.root": data, "images.clip": clip, "classes.names": _names(classes)}
        start = Start(preset, config, with_options(overrides, options))
        settings = start.settings(RunConfig, PRESETS)

        from labelfree_cli.labeling import print_labels, write_labels

        print_labels(write_labels(settings, out, shard, device), as_json=as_json)


@app.command()
def run(
    overrides: Overrides = None,
    config: ConfigFile = None,
    preset: Preset = None,
    data: Data = None,
    clip: Clip = None,
    classes: Classes = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="folder that `labels` wrote; without it the run makes its own"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder; default: the next free runs/labelfree_001")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    precision: Precision = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a 3D network from images and class names alone, and score it on held-out scenes.

    Example: labelfree-cli run --data recordings --classes wall,floor,chair --out runs/mine
    """
    with boundary():
        from labelfree_cli.config import PRESETS, RunConfig
        from pcl_run.start import Start, with_options

        options = {"data.root": data, "images.clip": clip, "classes.names": _names(classes)}
        options |= {"images.labels": labels, "seed": seed, "train.precision": precision}
        given = with_options(overrides, options)
        start = Start(preset, config, given, out, resume, overwrite, devices, nodes)
        settings = start.settings(RunConfig, PRESETS)  # before torch is loaded

        from labelfree_cli.running import print_summary, start_run
        from pcl_run.run import is_main_process

        summary = start_run(start, settings, dry_run=dry_run)
        if is_main_process():
            print_summary(summary, as_json=as_json)


@app.command()
def evaluate(
    model: Model,
    data: Data = None,
    overrides: Overrides = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model on the held-out scenes of its run, or on the labeled scans of --data.

    Example: labelfree-cli evaluate --model runs/labelfree_001
    """
    with boundary():
        from labelfree_cli.predicting import evaluate_model, print_scores

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
    """Label every point of each scan, which needs no images: a PLY with label and confidence.

    Example: labelfree-cli predict scan.ply --model runs/labelfree_001
    """
    with boundary():
        from pcl_methods.segmentation.predicting import predict_scans, show_prediction
        from pcl_methods.segmentation.segmenter import load_segmenter
        from pcl_run.cli import choose_device

        segmenter = load_segmenter(model, choose_device(device))
        found = predict_scans(
            scans,
            segmenter,
            segmenter.label_set,
            out,
            options=options or [],
            check=segmenter.check,
            overwrite=overwrite,
        )
        for done in found:
            typer.echo(show_prediction(done, as_json=as_json))


@app.command()
def query(
    phrase: Annotated[str, typer.Argument(help='what is looked for, such as "a red chair"')],
    scans: Annotated[
        list[Path], typer.Argument(help="scans, or folders of scans with posed images")
    ],
    model: Model,
    others: Annotated[
        list[str] | None,
        typer.Option("--not", help="what it is not; default: the other classes of the model"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the files")] = Path("queried"),
    options: ReaderOptions = None,
    overwrite: Replace = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show how well each point of a scan fits a phrase: a PLY, a picture and a page to turn.

    Example: labelfree-cli query "a red chair" scan.ply --not "a table" --model runs/labelfree_001
    """
    with boundary():
        from labelfree_cli.predicting import print_query, query_scenes

        rows = query_scenes(
            phrase,
            others or [],
            scans,
            model,
            out,
            options=options or [],
            overwrite=overwrite,
            device=device,
        )
        print_query(rows, as_json=as_json)


def _names(classes: str | None) -> str | None:
    """Names with commas as a list of settings."""
    return None if classes is None else f"[{classes}]"


if __name__ == "__main__":
    app()
