"""A data set as a folder of scene folders, which is read many times as fast as official layouts.

The folder describes itself: `dataset.yaml` holds its classes and `manifest.json` the size and
SHA-256 of every file.
"""

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pcl_data.atomic_files import whole_file
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
    delete its folder to have it written anew. In names, `/` becomes `_`. Several processes may
    prepare into the same folder.

    Args:
        dataset: any.
        out: the folder; made if it does not exist.
        split: name under which `dataset.yaml` lists these scenes, beside splits that it has;
            None lists nothing.
        source: what the scenes are made from, and how; kept in the manifest. Scenes of another
            source are not added to those that are there, as names alone do not tell them apart.
        n_workers: processes that read and write.
        report: called with the folder of each scene that is done, those of earlier calls too.

    Returns:
        The manifest of all scenes in `out`: size and SHA-256 of each file by scene.

    Raises:
        ValueError: if n_workers is below 1, two names become the same, `out` was prepared from
            another source or with another label set, holds something else called like a scene, or
            a scene is broken; scenes finished before it stay.
    """
    out = Path(out)
    folders = [name.replace("/", "_") for name in dataset.names]
    if len(set(folders)) < len(folders):
        raise ValueError("dataset must have names that differ after / became _, got one twice")
    out.mkdir(parents=True, exist_ok=True)
    manifest = _write_manifest(out, source, {})
    if dataset.label_set is not None:
        write_dataset_yaml(out / FILE_NAME, dataset.label_set, {split: folders} if split else {})
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
    return manifest


def read_manifest(root: Path) -> dict[str, Digests]:
    """Size and SHA-256 of each file of each scene of a prepared folder.

    Raises:
        FileNotFoundError: if there is no manifest.
        ValueError: naming the manifest, if it is broken.
    """
    path = root / MANIFEST_NAME
    content = read_json(path)
    try:
        return {
            name: {file: (int(size), str(digest)) for file, (size, digest) in files.items()}
            for name, files in content["scenes"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: must list files by scene, got {error!r}") from error


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
    return {
        file.relative_to(folder).as_posix(): _digest(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _digest(file: Path) -> tuple[int, str]:
    with file.open("rb") as stream:
        return file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _write_manifest(out: Path, source: str, manifest: dict[str, Digests]) -> dict[str, Digests]:
    """Add scenes to the manifest, which another process may have written meanwhile."""
    path = out / MANIFEST_NAME
    if path.is_file():
        known = read_json(path).get("source")
        if known != source:
            raise ValueError(f"{path}: source must be {source!r}, got {known!r}")
        manifest = read_manifest(out) | manifest
    content = {"source": source, "scenes": dict(sorted(manifest.items()))}
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())
    return manifest
