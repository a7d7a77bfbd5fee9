"""Scenes in tar shards: few large files instead of many small ones, in the form of WebDataset.

A member is called `<scene>.<stem>.npy`, with the stems of a scene folder (`coord`, `segment`, ...;
frames are `frames.0000.depth`), and `<scene>.json` ends a scene. Members of a scene follow each
other, so the shards stream through WebDataset; as they are not compressed, they are also read here
in any order, memory-mapped.
"""

import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from pcl_data.atomic_files import whole_file
from pcl_data.dataset import Dataset
from pcl_data.file_errors import errors_in, library_errors
from pcl_data.label_set import LabelSet
from pcl_data.readers.npy import view_array
from pcl_data.scene import Scene
from pcl_data.scene_store import parse_meta, scene_arrays, scene_meta, scene_of_arrays

# Folders of letters, digits, `_` and `-`: nothing that leaves a folder, no dot, which ends the key.
_NAME = re.compile(r"[\w-]+(/[\w-]+)*")
_MEMBER = re.compile(rf"(?P<name>{_NAME.pattern})\.(?P<stem>[\w.]+\.npy|json)")


def write_shards(
    scenes: Iterable[Scene], folder: str | os.PathLike[str], *, max_bytes: int = 2**29
) -> list[Path]:
    """Write scenes, in their order, to `shard-000000.tar`, `shard-000001.tar`, ...

    After an error no shard is left. The same scenes give the same bytes.

    Args:
        scenes: with distinct names of letters, digits, `_`, `-` and `/`.
        folder: made if it does not exist; must not hold shards yet.
        max_bytes: size at which a shard is full, at least 1; a scene is never divided.

    Returns:
        The shards.

    Raises:
        FileExistsError: if the folder holds a shard.
        ValueError: if a name comes twice or holds another character, or `max_bytes` is below 1.
    """
    if max_bytes < 1:
        raise ValueError(f"max_bytes must be at least 1, got {max_bytes}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("shard-*.tar")):
        raise FileExistsError(f"folder must not hold shards yet, got {folder}")
    shards: list[Path] = []
    waiting = _with_keys(scenes)
    try:
        scene = next(waiting, None)
        while scene is not None:
            shards.append(folder / f"shard-{len(shards):06d}.tar")
            with whole_file(shards[-1]) as file, tarfile.open(fileobj=file, mode="w") as tar:
                while scene is not None and file.tell() < max_bytes:
                    _add_scene(tar, scene)
                    scene = next(waiting, None)
    except BaseException:
        for shard in shards:
            shard.unlink(missing_ok=True)
        raise
    return shards


class ShardFolder(Dataset):
    """The scenes of `write_shards`, in their order; each is memory-mapped when it is asked for.

    Args:
        root: folder of `shard-*.tar` files, or one such file.
        label_set: meaning of the labels.

    Raises:
        FileNotFoundError: if there is no shard.
        ValueError: naming the shard that is no complete plain tar file, or holds a member that is
            compressed, sparse, a link, or not called like one of `write_shards`; if two scenes
            have the same name; or, on reading, if an array is broken or the scene was saved with
            another label set.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = tempfile.mkdtemp()
        >>> shards = write_shards([Scene("room", np.ones((2, 3), np.float32))], folder)
        >>> ShardFolder(folder)[0].points.tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self, root: str | os.PathLike[str], *, label_set: LabelSet | None = None) -> None:
        root = Path(root)
        shards = sorted(root.glob("shard-*.tar")) if root.is_dir() else [root]
        if not shards or not shards[0].is_file():
            raise FileNotFoundError(f"root must hold shard-000000.tar, got {root}")
        self.label_set = label_set
        self._members: dict[str, tuple[Path, dict[str, tuple[int, int]]]] = {}
        for shard in shards:
            with errors_in(shard):
                for name, members in _scan(shard).items():
                    if name in self._members:
                        raise ValueError(f"scenes must have distinct names, got {name!r} twice")
                    self._members[name] = shard, members
        self.names = tuple(self._members)

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        name = self.names[index]
        shard, members = self._members[name]
        content = np.memmap(shard, mode="r")
        parts = {stem: content[start : start + size] for stem, (start, size) in members.items()}
        content = parts.pop("json").tobytes()
        meta = parse_meta(f"{shard}: {name}.json", content, self.label_set)
        arrays = {}
        for stem, part in parts.items():
            with errors_in(f"{shard}: {name}.{stem}"), library_errors("NPY"):
                arrays[stem.removesuffix(".npy").replace(".", "/")] = view_array(part)
        return scene_of_arrays(
            f"{shard}: {name}", meta._replace(name=name), arrays, self.label_set
        )


def _with_keys(scenes: Iterable[Scene]) -> Iterator[Scene]:
    """The scenes, once their names are known to be distinct keys."""
    names: set[str] = set()
    for scene in scenes:
        if scene.name in names or not _NAME.fullmatch(scene.name):
            raise ValueError(
                "scenes must have distinct names of letters, digits, _, - and /, "
                f"got {scene.name!r}"
            )
        names.add(scene.name)
        yield scene


def _add_scene(tar: tarfile.TarFile, scene: Scene) -> None:
    for stem, array in scene_arrays(scene):
        content = BytesIO()
        np.save(content, array, allow_pickle=False)
        _add(tar, f"{scene.name}.{stem.replace('/', '.')}.npy", content.getbuffer())
    _add(tar, f"{scene.name}.json", memoryview(scene_meta(scene)))


def _add(tar: tarfile.TarFile, name: str, content: memoryview) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, BytesIO(content))


def _scan(shard: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Offset and size of each member of each scene, from the headers alone."""
    scenes: dict[str, dict[str, tuple[int, int]]] = {}
    with library_errors("tar"), tarfile.open(shard, "r:") as tar:
        for info in tar:
            found = _MEMBER.fullmatch(info.name)
            if not (found and info.isreg() and not info.sparse):
                raise ValueError(f"member {info.name!r} is no file <scene>.<array>.npy or .json")
            members = scenes.setdefault(found["name"], {})
            if found["stem"] in members:
                raise ValueError(f"member {info.name!r} comes twice")
            members[found["stem"]] = info.offset_data, info.size
        end = max(
            (offset + size for m in scenes.values() for offset, size in m.values()), default=0
        )
        if not scenes or end > shard.stat().st_size:
            raise ValueError(f"{len(scenes)} scenes in {shard.stat().st_size} bytes")
    for name, members in scenes.items():
        if not {"json", "coord.npy"} <= members.keys():
            raise ValueError(f"scene {name!r} must have coord.npy and json, got {sorted(members)}")
    return scenes
