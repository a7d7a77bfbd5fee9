"""The command line: `data-cli prepare | validate | stats | synth | show`."""

from pathlib import Path
from typing import Annotated

import typer

from pcl_run.cli import boundary

app = typer.Typer(
    name="data-cli",
    help="Prepare, check, count, make and look at point-cloud data sets.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Root = Annotated[Path, typer.Argument(help="folder of the data set, or a single scan")]
Kind = Annotated[
    str,
    typer.Option(
        help="layout: folder, shards, frames, scannet, s3dis, sunrgbd, sevenscenes, "
        "semantickitti, nuscenes, waymo, kitti"
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="an official split, a group of scenes (a sequence, an area), a name or a pattern; "
        "or several with commas: scan_1,scan_2 or '08,09/0000*'"
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Argument(help="options of the reader: label_set=scannet200 missing=skip cameras=true"),
]
Workers = Annotated[int, typer.Option(min=1, help="processes")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


@app.command()
def prepare(
    root: Root,
    out: Annotated[Path, typer.Argument(help="folder to write; what it has is kept")],
    options: Options = None,
    kind: Kind = "folder",
    split: Split = None,
    workers: Workers = 1,
    shards: Annotated[bool, typer.Option("--shards", help="write tar shards instead")] = False,
    as_json: Json = False,
) -> None:
    """Read every scene once and write it in the layout that is fast to read.

    An interrupted preparation goes on where it was. The folder describes itself: dataset.yaml holds
    the classes and splits, manifest.json the size and SHA-256 of every file.

    Example: data-cli prepare ScanNet prepared --kind scannet --split train --workers 2
    """
    with boundary():
        from data_cli.preparing import prepare_dataset

        prepare_dataset(
            root, out, kind, split, options or [], n_workers=workers, shards=shards, as_json=as_json
        )


@app.command()
def validate(
    root: Root,
    options: Options = None,
    kind: Kind = "folder",
    split: Split = None,
    as_json: Json = False,
) -> None:
    """Look for what would spoil a training run: NaN, units, orientation, labels, colours, hashes.

    Exit code 2 if there is an error; warnings leave it 0.

    Example: data-cli validate scans label_set=scannet20 label_ids=raw
    """
    with boundary():
        from data_cli.checking import validate_dataset

        validate_dataset(root, kind, split, options or [], as_json=as_json)


@app.command()
def stats(
    root: Root,
    options: Options = None,
    kind: Kind = "folder",
    split: Split = None,
    as_json: Json = False,
) -> None:
    """Count scenes, points, classes and instances.

    Example: data-cli stats prepared --split val
    """
    with boundary():
        from data_cli.checking import print_statistics

        print_statistics(root, kind, split, options or [], as_json=as_json)


@app.command()
def synth(
    world: Annotated[str, typer.Argument(help="rooms or streets")],
    out: Annotated[Path, typer.Argument(help="folder to write; what it has is kept")],
    options: Annotated[
        list[str] | None,
        typer.Argument(help="options of the world: frames=true, n_sweeps=5 beams=32 cameras=true"),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="rooms, or sequences of streets")] = 5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    layout: Annotated[
        str, typer.Option(help="scenes; of streets also semantickitti or nuscenes")
    ] = "scenes",
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Make rooms scanned by a simulated RGB-D camera, or streets by a simulated LiDAR.

    Example: data-cli synth streets streets --count 2 n_sweeps=5
    """
    with boundary():
        from data_cli.synthesising import synthesise

        synthesise(
            world,
            out,
            options or [],
            count=count,
            seed=seed,
            layout=layout,
            n_workers=workers,
            as_json=as_json,
        )


@app.command()
def show(
    root: Root,
    options: Options = None,
    kind: Kind = "folder",
    split: Split = None,
    scene: Annotated[str | None, typer.Option(help="name of the scene; default: the first")] = None,
    out: Annotated[
        Path | None, typer.Option(help="a new .png or .html file; default: <scene>.html")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="colour, labels, instances, intensity, height")
    ] = None,
    cut_above: Annotated[
        float | None, typer.Option(help="of a PNG: leave out points above this height, metres")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there")
    ] = False,
) -> None:
    """Write a picture of a scene, or a page to turn and zoom it in any browser.

    Example: data-cli show scans/room.ply --out room.png --layer height
    """
    with boundary():
        from data_cli.showing import show_scene

        path = show_scene(
            root,
            kind,
            split,
            options or [],
            scene,
            out,
            layer,
            cut_above=cut_above,
            overwrite=overwrite,
        )
        typer.echo(path)


if __name__ == "__main__":
    app()
