"""The command line: `twist-cli run | predict | evaluate | report | pseudo | doctor`."""

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
    name="twist-cli",
    help="Self-training for 3D instance segmentation from a few labeled scans (TWIST).",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="dotted settings such as twist.rounds=2 data.budget=4scenes"),
]
Data = Annotated[Path | None, typer.Option(help="folder of the data; without it: generated rooms")]
Preset = Annotated[
    str | None, typer.Option(help="quick (minutes on two cores; the default) or paper")
]
Model = Annotated[Path, typer.Option(help="a finished run of any app, or its weights")]


@app.command()
def run(
    overrides: Overrides = None,
    config: ConfigFile = None,
    preset: Preset = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder; default: the next free runs/twist_001")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    init: Annotated[
        Path | None,
        typer.Option(help="what round 0 starts from: a run of any app, or a file of weights"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="a folder of `labelfree-cli labels`, or a run, in place of annotators"),
    ] = None,
    seed: Seed = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    precision: Precision = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Self-train a network and score it on held-out scenes.

    Example: twist-cli run --data scans data.labeled=room1* data.validation=room9*
    """
    with boundary():
        from pcl_run.start import Start, with_options
        from twist_cli.config import PRESETS, RunConfig

        options = {"data.root": data, "init": init, "labels": labels, "seed": seed}
        options |= {"train.precision": precision}
        given = with_options(overrides, options)
        start = Start(preset, config, given, out, resume, overwrite, devices, nodes)
        settings = start.settings(RunConfig, PRESETS)  # before torch is loaded

        from pcl_run.run import is_main_process
        from twist_cli.running import print_summary, start_run

        summary = start_run(start, settings, dry_run=dry_run)
        if is_main_process():
            print_summary(summary, as_json=as_json)


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
    """Label every point of each scan: a PLY with label, instance and confidence.

    Example: twist-cli predict scan.ply --model runs/twist_001
    """
    with boundary():
        from pcl_methods.segmentation.predicting import predict_scans, show_prediction
        from twist_cli.predicting import open_model

        opened = open_model(model, device)
        found = predict_scans(
            scans,
            opened.find,
            opened.label_set,
            out,
            options=options or [],
            check=opened.check,
            overwrite=overwrite,
        )
        for done in found:
            typer.echo(show_prediction(done, as_json=as_json))


@app.command()
def evaluate(
    model: Annotated[Path, typer.Option(help="a finished run of twist-cli, or its weights")],
    data: Data = None,
    diagram: Annotated[
        Path | None, typer.Option(help="write a reliability diagram of each class here, PNG")
    ] = None,
    overrides: Overrides = None,
    overwrite: Replace = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model on the held-out scenes of its run, or on the labeled scans of --data.

    Example: twist-cli evaluate --model runs/twist_001 --diagram calibration.png
    """
    with boundary():
        from pcl_run.files import must_be_new
        from twist_cli.predicting import evaluate_model, print_scores

        if diagram is not None:
            must_be_new(diagram, overwrite)
        scores = evaluate_model(model, data, overrides or [], device, diagram)
        print_scores(scores, as_json=as_json)


@app.command()
def report(
    run_folder: Annotated[Path, typer.Argument(help="a run folder")], overwrite: Replace = False
) -> None:
    """Write the HTML report of a run, of an unfinished one too.

    Example: twist-cli report runs/twist_001 --overwrite
    """
    with boundary():
        from pcl_run.files import must_be_new
        from pcl_run.report import write_report

        must_be_new(run_folder / "report" / "index.html", overwrite)
        typer.echo(write_report(run_folder))


@app.command()
def pseudo(
    run_folder: Annotated[Path, typer.Argument(help="a run folder")],
    round_: Annotated[int, typer.Option("--round", min=1, help="self-training round")] = 1,
    ply: Annotated[Path | None, typer.Option(help="write each scene's labels as PLY here")] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: label this share of the scenes for the next round")
    ] = None,
    overwrite: Replace = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Inspect the pseudo-labels of a round, or make a share of them on another machine.

    Example: twist-cli pseudo runs/twist_001 --round 1 --ply pseudo_labels
    """
    with boundary():
        from twist_cli.inspecting import inspect_round, label_shard, print_round

        if shard is not None:
            label_shard(run_folder, round_, shard, device)
        rows = inspect_round(run_folder, round_, ply, overwrite=overwrite)
        print_round(rows, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what is installed, which engine and device would run, and what would be slow.

    Example: twist-cli doctor
    """
    with boundary():
        from twist_cli.doctor import examine, print_findings

        print_findings(examine(), as_json=as_json)


if __name__ == "__main__":
    app()
