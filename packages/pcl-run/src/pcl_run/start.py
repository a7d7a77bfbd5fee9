"""What every command that trains is started with: settings, run folder, devices."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pcl_run.cli import make_fabric
from pcl_run.config import Config, load_config
from pcl_run.run import Run, free_folder, is_main_process
from pcl_run.run_folder import check_same, read_environment, stored_settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

DEFAULT_PRESET = "quick"

T = TypeVar("T", bound=Config)


@dataclass(frozen=True)
class Start:
    """The options that such commands share, as they were given.

    A run is resumed by its folder alone: what else is given must be what it was started with.

    Args:
        preset: name of the first layer of settings; none: `DEFAULT_PRESET`.
        file: YAML file of the second.
        overrides: `group.key=value`, the last.
        out: run folder; none: the next free one in `runs/`.
        resume: continue the run in `out`.
        overwrite: replace it.
        devices: of a node.
        nodes: machines.

    Raises:
        ValueError: if a run is to be resumed and none is named, or if another number of processes
            was started together than `devices` and `nodes` say.
    """

    preset: str | None = None
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
        count, where = started_together()
        if count not in (1, self.devices * self.nodes):
            raise ValueError(
                f"--devices times --nodes must be {count}, the processes that were started "
                f"together ({where}), got {self.devices} times {self.nodes}"
            )

    def settings(self, schema: type[T], presets: Mapping[str, Mapping[str, Any]]) -> T:
        """The validated configuration: that of the run to resume, or as `load_config` makes it.

        Raises:
            ValueError: also if `out` is no run to resume, or something that is given differs from
                what the run was started with: which.
        """
        stored = self._stored(schema) if self.resume else None
        layers, preset = presets, self.preset or DEFAULT_PRESET
        if stored is not None:
            layers, preset = {"stored": stored.model_dump()}, "stored"
        given = {"file": self.file, "overrides": self.overrides}
        config = load_config(schema, presets=layers, preset=preset, **given)
        if stored is not None and self.out is not None:
            check_same(self.out, config)
        return config

    def _stored(self, schema: type[T]) -> T | None:
        """The settings of the run to resume, if the preset that is given is its own."""
        assert self.out is not None  # checked when made
        env = read_environment(self.out)
        if env is None:
            raise ValueError(f"resume must name a run folder, got {self.out}")
        was = env.get("preset")
        if self.preset not in (None, was):
            raise ValueError(
                f"--preset must stay {was} to resume, got {self.preset}; leave it out, or start "
                "another run to change it"
            )
        return stored_settings(self.out, schema)

    def fabric(self, precision: str = "32-true") -> "Fabric":
        """The devices, launched (`make_fabric`)."""
        return make_fabric(devices=self.devices, nodes=self.nodes, precision=precision)

    def open_run(self, name: str, config: Config) -> Run:
        """The run folder (`Run.open`), called `name` and a number where none was given."""
        is_first = is_main_process()  # the others take its folder
        folder = self.out or (free_folder(name) if is_first else Path("runs"))
        options = {"overwrite": self.overwrite, "resume": self.resume}
        return Run.open(folder, config, preset=self.preset or DEFAULT_PRESET, **options)


def started_together() -> tuple[int, str]:
    """How many processes torchrun, SLURM or Lightning started as one, and what says so.

    Example:
        >>> started_together()[0] >= 1
        True
    """
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        text = os.environ.get(name, "")
        if text.isdecimal() and int(text) > 1:
            return int(text), f"{name}={text}"
    return 1, ""


def with_options(overrides: Sequence[str] | None, options: Mapping[str, Any]) -> list[str]:
    """Overrides, and after them the options that were given, as overrides.

    Example:
        >>> with_options(["train.steps=3"], {"seed": 1, "data.root": None})
        ['train.steps=3', 'seed=1']
    """
    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    return [*(overrides or []), *given]
