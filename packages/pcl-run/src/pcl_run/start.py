"""What every command that trains is started with: settings, run folder, devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pcl_run.cli import make_fabric
from pcl_run.config import Config, load_config
from pcl_run.run import Run, free_folder

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T", bound=Config)


@dataclass(frozen=True)
class Start:
    """The options that such commands share, as they were given.

    Args:
        preset: name of the first layer of settings.
        file: YAML file of the second.
        overrides: `group.key=value`, the last.
        out: run folder; none: the next free one in `runs/`.
        resume: continue the run in `out`.
        overwrite: replace it.
        devices: of a node.
        nodes: machines.

    Raises:
        ValueError: if a run is to be resumed and none is named.
    """

    preset: str
    file: Path | None = None
    overrides: Sequence[str] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.resume and self.out is None:
            raise ValueError("--out must name the run to resume, got none")

    def settings(self, schema: type[T], presets: Mapping[str, Mapping[str, Any]]) -> T:
        """The validated configuration, as `load_config` makes it."""
        return load_config(
            schema, presets=presets, preset=self.preset, file=self.file, overrides=self.overrides
        )

    def fabric(self, precision: str = "32-true") -> "Fabric":
        """The devices, launched (`make_fabric`)."""
        return make_fabric(devices=self.devices, nodes=self.nodes, precision=precision)

    def open_run(self, name: str, config: Config) -> Run:
        """The run folder (`Run.open`), called `name` and a number where none was given."""
        folder = self.out or free_folder(name)
        return Run.open(folder, config, overwrite=self.overwrite, resume=self.resume)


def with_options(overrides: Sequence[str] | None, options: Mapping[str, Any]) -> list[str]:
    """Overrides, and after them the options that were given, as overrides.

    Example:
        >>> with_options(["train.steps=3"], {"seed": 1, "data.root": None})
        ['train.steps=3', 'seed=1']
    """
    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    return [*(overrides or []), *given]
