"""A data set as a folder of scene folders, which is read many times as fast as official layouts.

The folder describes itself: `dataset.yaml` holds its classes and `manifest.json` the size and
SHA-256 of every file. Several processes may prepare into one folder at once, without a lock: each
writes the manifest from what it knows and hashes scene folders that it does not list, until none is
left; whoever writes last has then listed all.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from pcl_data.atomic_files import leftovers, remove_leftover, whole_file
from pcl_data.dataset import Dataset
from pcl_data.datasets.dataset_yaml import FILE_NAME, write_dataset_yaml
from pcl_data.parallel import run_each
from pcl_data.readers.records import read_json
from pcl_data.readers.scene_reader import is_scene_folder
from pcl_data.scene_store import save_scene

MANIFEST_NAME = "manifest.json"
Digests = dict[str, tuple[int, str]]  # size and SHA-256 of each file of a scene


def prepare(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    source: str = "",
    n_workers: int = 1,
    report: Callable[[str], object] = str,
) -> dict[str, Digests]:
    """Write every scene of a data set to `out/<name>`, with manifest and description.

    A scene that is there already is not read again, so a preparation that was interrupted goes on;
    delete its folder to have it written anew. What a killed one left half written is removed. In
    names, `/` becomes `_`. Several processes may prepare into the same folder.

    Args:
        dataset: any.
        out: a folder that is new, empty or prepared; made if it does not exist.
        split: name under which `dataset.yaml` lists these scenes, beside splits that it has;
            None lists nothing.
        source: what the scenes are made from, and how; kept in the manifest. Scenes of another
            source are not added to those that are there, as names alone do not tell them apart.
        n_workers: processes that read and write.
        report: called with the folder of each scene that is done, those of earlier calls too.

    Returns:
        The manifest of all scenes in `out`: size and SHA-256 of each file by scene.

    Raises:
        ValueError: if n_workers is below 1, two names become the same, `out` holds what is not
            prepared, was prepared from another source or with another label set, holds something
            else called like a scene, or a scene is broken; scenes finished before it stay.
    """
    out = Path(out)
    folders = [name.replace("/", "_") for name in dataset.names]
    if len(set(folders)) < len(folders):
        raise ValueError("dataset must have names that differ after / became _, got one twice")
    _check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    names = {MANIFEST_NAME, FILE_NAME, *folders}
    _remove_leftovers(out, names)
    manifest = _write_manifest(out, source, {})
    _describe(out, dataset, split, folders)
    missing = [
        i
        for i, folder in enumerate(folders)
        if folder not in manifest or not (out / folder).is_dir()
    ]
    work = partial(_write, dataset, out, folders)
    try:
        for folder in manifest.keys() & (set(folders) - {folders[i] for i in missing}):
            report(folder)
        for i, digests in run_each(work, missing, n_workers):
            manifest[folders[i]] = digests
            report(folders[i])
    finally:
        manifest = _write_manifest(out, source, manifest)
    _describe(out, dataset, split, folders)  # another process may have begun at the same moment
    _remove_leftovers(out, names)
    return manifest


def read_manifest(root: Path) -> dict[str, Digests]:
    """Size and SHA-256 of each file of each scene of a prepared folder.

    Raises:
        FileNotFoundError: if there is no manifest.
        ValueError: naming the manifest, if it is broken, or names a file outside of its scene.
    """
    path = root / MANIFEST_NAME
    content = read_json(path)
    try:
        return {
            _inside(name): {_inside(file): _digest_of(*entry) for file, entry in files.items()}
            for name, files in content["scenes"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = "no 'scenes'" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: must list size and hash by scene and file, {reason}") from error


def changed_files(root: Path) -> list[str]:
    """Files of a prepared folder that are missing, or whose content is no longer that of the
    manifest.

    Raises:
        FileNotFoundError: if there is no manifest.
        ValueError: if the manifest is broken.
    """
    return [
        f"{name}/{file}"
        for name, files in read_manifest(root).items()
        for file, digest in files.items()
        if not (root / name / file).is_file() or _digest(root / name / file) != digest
    ]


def _check_out(out: Path) -> None:
    """Whether scenes may be written here: what others put into a folder stays theirs."""
    held = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    held = [name for name in held if not name.startswith(".")]
    if held and not (out / MANIFEST_NAME).is_file():
        raise ValueError(
            f"out must be a new, empty or prepared folder (with {MANIFEST_NAME}), "
            f"got {out}, which holds {held[0]}"
        )


def _remove_leftovers(out: Path, names: set[str]) -> None:
    """Delete what killed processes left of these names, once the whole thing is there.

    A process that still writes such a scene finds it there, as the one that was faster left it.
    """
    for name, path in leftovers(out):
        if name in names and (out / name).exists():
            remove_leftover(path)


def _describe(out: Path, dataset: Dataset, split: str | None, folders: Sequence[str]) -> None:
    if dataset.label_set is not None:
        splits = {split: folders} if split else {}
        _again(lambda: write_dataset_yaml(out / FILE_NAME, dataset.label_set, splits))


def _write(dataset: Dataset, out: Path, folders: list[str], index: int) -> Digests:
    folder = out / folders[index]
    if not folder.exists():
        scene = dataset[index]
        try:
            save_scene(scene, folder)
        except OSError:  # another process may have been faster
            if not folder.exists():
                raise
    if not is_scene_folder(folder):
        raise ValueError(f"out must hold no other things called like a scene, got {folder}")
    return _digests(folder)


def _digests(folder: Path) -> Digests:
    return {
        file.relative_to(folder).as_posix(): _digest(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _digest(file: Path) -> tuple[int, str]:
    with file.open("rb") as stream:
        return file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of(size: object, digest: object) -> tuple[int, str]:
    if type(size) is not int or type(digest) is not str:
        raise ValueError(f"got {size!r:.40} and {digest!r:.80}")
    return size, digest


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not name.isprintable() or not path.parts:
        raise ValueError(f"got the name {name!r:.80}")
    return name


def _write_manifest(out: Path, source: str, manifest: dict[str, Digests]) -> dict[str, Digests]:
    """The manifest with these scenes and all others in the folder, once it is written."""
    path = out / MANIFEST_NAME
    while True:
        if path.is_file():
            known = read_json(path).get("source")
            if known != source:
                raise ValueError(f"{path}: source must be {source!r}, got {known!r}")
            manifest = read_manifest(out) | manifest
        unlisted = [folder for folder in _scene_folders(out) if folder.name not in manifest]
        manifest |= {folder.name: _digests(folder) for folder in unlisted}
        if path.is_file() and read_manifest(out) == manifest:
            return manifest
        listed = {"source": source, "scenes": dict(sorted(manifest.items()))}
        content = json.dumps(listed, indent=1).encode()
        _again(lambda content=content: _replace(path, content))


def _scene_folders(out: Path) -> list[Path]:
    paths = (path for path in out.iterdir() if not path.name.startswith("."))
    return [path for path in paths if is_scene_folder(path)]


def _replace(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def _again(write: Callable[[], None]) -> None:
    """Write a file whose temporary one another process may take for what a killed one left."""
    for _ in range(9):
        with suppress(FileNotFoundError):
            return write()
    return write()
