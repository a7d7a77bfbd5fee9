"""Options that the commands of several apps have, as annotations of their parameters."""

from pathlib import Path
from typing import Annotated

import typer

# Of commands that train.
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of settings")]
Resume = Annotated[bool, typer.Option(help="continue the run in --out exactly; needs nothing else")]
Overwrite = Annotated[bool, typer.Option(help="replace the run in --out")]
Seed = Annotated[int | None, typer.Option(min=0, help="of the training, not the data")]
Devices = Annotated[int, typer.Option(min=1, help="devices of a node")]
Nodes = Annotated[int, typer.Option(min=1)]
Precision = Annotated[str | None, typer.Option(help="32-true or bf16-mixed")]
DryRun = Annotated[bool, typer.Option(help="check all scenes, time a few steps, write nothing")]

# Of commands that use what was trained.
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Scans = Annotated[list[Path], typer.Argument(help="scans: ply, pcd, npz, npy, txt, las, folder")]
PredictedFolder = Annotated[Path, typer.Option(help="folder of the coloured PLY files")]
ReaderOptions = Annotated[
    list[str] | None, typer.Option("--option", help="of the reader: max_extent=500")
]
Replace = Annotated[bool, typer.Option("--overwrite", help="replace files that are there")]

Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
