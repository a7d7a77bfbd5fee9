"""The folder of a run: made, locked, continued, or made anew."""

import shutil
import warnings
from pathlib import Path
from typing import Any, TypeVar

from pcl_run.config import Config, flatten, load_config, to_yaml
from pcl_run.environment import FORMAT, changes, environment
from pcl_run.files import atomic_write, is_leftover, read_json, remove_leftovers, write_json
from pcl_run.lock import FILE as LOCK
from pcl_run.lock import FolderLock, lock_folder
from pcl_run.yaml_text import read_yaml

CONFIG, ENVIRONMENT = "config.yaml", "env.json"

T = TypeVar("T", bound=Config)


def prepare_folder(
    folder: Path, config: Config, *, preset: str | None, overwrite: bool, resume: bool
) -> FolderLock:
    """Check a folder against what is asked, lock it, and write `env.json` and `config.yaml`.

    `env.json` makes a run of a folder. To overwrite a run is to replace that file by one that says
    `clear`: from then on the folder is the new run, whose old files whoever opens it deletes. So a
    process that is killed at any moment leaves the whole old run, or the new one.

    Returns:
        the lock, which holds for as long as it is kept.

    Raises:
        ValueError: as `Run.open`.
    """
    _check(folder, overwrite=overwrite, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    _check(folder, overwrite=overwrite, resume=resume)  # after what another did in between
    found = read_environment(folder) if resume else None
    if found is None:
        env = environment() | {"preset": preset, "config": to_yaml(config)}
        write_json(folder / ENVIRONMENT, env | {"clear": True})
    else:
        check_same(folder, config)
        env = _continued(found)
    if found is None or found.get("clear"):
        _clear(folder)
    remove_leftovers(folder)
    if not (folder / CONFIG).exists():
        with atomic_write(folder / CONFIG) as handle:
            handle.write(to_yaml(config))
    write_json(folder / ENVIRONMENT, env)
    return lock


def is_run(folder: Path) -> bool:
    """Whether `Run.open` made this folder.

    Raises:
        ValueError: if its `env.json` is damaged.
    """
    return read_environment(folder) is not None


def read_environment(folder: Path) -> dict[str, Any] | None:
    """The `env.json` of a run; None where there is no run.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        env = read_json(folder / ENVIRONMENT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return env if env.get("format") == FORMAT else None


def stored_settings(folder: Path, schema: type[T]) -> T | None:
    """The settings of the run in a folder; None where it holds none.

    Raises:
        ValueError: naming the file, if they are damaged or no settings of `schema`.
    """
    env = read_environment(folder) or {}
    file, text = folder / CONFIG, env.get("config")
    if file.exists() and not env.get("clear"):
        return load_config(schema, presets={}, file=file)
    if not isinstance(text, str):
        return None
    try:
        tree = read_yaml(text) or {}
        return load_config(schema, presets={"stored": tree}, preset="stored")
    except ValueError as error:
        raise ValueError(f"{folder / ENVIRONMENT}: config {error}") from None


def check_same(folder: Path, config: Config) -> None:
    """Return quietly if the run in a folder has these settings.

    Raises:
        ValueError: naming the first that differs.
    """
    stored = stored_settings(folder, type(config))
    if stored is None:
        return
    old, new = flatten(stored), flatten(config)
    for key in [*new, *old]:
        was, now = old.get(key, "not set"), new.get(key, "not set")
        if was != now:
            moved = f", or write it into {folder / CONFIG} if the same files lie there now"
            raise ValueError(
                f"{key} must stay {was!r} to resume, got {now!r}; leave it out, or start another "
                f"run to change it{moved if _is_path(stored, key) else ''}"
            )


def _is_path(config: Any, key: str) -> bool:
    for name in key.split("."):
        config = getattr(config, name, None)
    return isinstance(config, Path)


def _continued(found: dict[str, Any]) -> dict[str, Any]:
    """The environment of this process, after those of the run before it."""
    env = environment()
    different = changes(found, env)
    if different:
        warnings.warn(
            f"resumed with {', '.join(different)}: the result will not have the bits of a run that "
            "goes on as it was",
            stacklevel=2,
        )
    earlier = found.get("earlier")
    before = {key: found[key] for key in found if key not in ("earlier", "config", "clear")}
    kept = {key: found[key] for key in ("preset", "config") if key in found}
    return env | kept | {"earlier": [*(earlier if isinstance(earlier, list) else []), before]}


def _check(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Whether the folder may be written as is asked."""
    is_there = is_run(folder)
    if resume and not is_there:
        raise ValueError(f"resume must name a run folder, got {folder}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"run folder must be a folder, got the file {folder}")
    if resume or not folder.exists():
        return
    if all(path.name == LOCK or is_leftover(path) for path in folder.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"{folder} is not empty: give --resume, --overwrite or another folder")
    if not is_there:
        raise ValueError(f"overwrite must name a run folder, got {folder}")


def _clear(folder: Path) -> None:
    """Delete what a run has in its folder, but for what says that it is to be deleted."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (ENVIRONMENT, LOCK):
            path.unlink()
