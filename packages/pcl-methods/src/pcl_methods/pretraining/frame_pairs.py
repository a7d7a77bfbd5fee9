"""Overlapping camera frames as files: what `pretrain-cli pairs` writes and `run` reads.

Hou et al., "Exploring Data-Efficient 3D Scene Understanding with Contrastive Scene Contexts", CVPR
2021, appendix A: every frame becomes a cloud in world coordinates, and frames that overlap by 30 %
are paired.

    FOLDER/source.json            what the frames were made from
    FOLDER/<scene>/<frame>/       coord.npy, color.npy: the thinned cloud of a frame
    FOLDER/<scene>/overlap.txt    names of two frames and their overlap, a pair a line
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pcl_data import Frame, LazyFrames, Scene, load_scene, save_scene, voxelize
from pcl_data.atomic_files import whole_folder
from pcl_data.file_errors import errors_in
from pcl_data.pairs import load_pairs, mine_pairs, save_pairs, unproject
from pcl_data.parallel import run_each
from pcl_run.files import write_json

LIST, SOURCE = "overlap.txt", "source.json"
Pair = tuple[str, str, str]  # a scene and two of its frames


@dataclass(frozen=True)
class FramePairs:
    """The pairs in a folder, scene by scene; `load` reads the two clouds of one."""

    folder: Path
    pairs: tuple[Pair, ...]

    @property
    def clouds(self) -> tuple[str, ...]:
        """Names of all clouds that are in a pair: `<scene>/<frame>`."""
        frames = [(scene, frame) for scene, *both in self.pairs for frame in both]
        return tuple(dict.fromkeys(f"{_plain(scene)}/{frame}" for scene, frame in frames))

    def load_cloud(self, name: str) -> Scene:
        """One of `clouds`."""
        return replace(load_scene(self.folder / name), name=name)

    def load(self, pair: Pair) -> tuple[Scene, Scene]:
        """The clouds of two frames, in the coordinates of their scene."""
        scene, first, second = pair
        folder = self.folder / _plain(scene)
        return load_scene(folder / first), load_scene(folder / second)


def open_frame_pairs(
    folder: Path, scenes: Sequence[str], source: Mapping[str, Any] | None = None
) -> FramePairs:
    """The pairs of those of the scenes that the folder holds, none of the others.

    Args:
        folder: that `write_frame_pairs` wrote.
        scenes: names.
        source: what must be said in its `source.json`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if its pairs are of another source.
    """
    if not (folder / SOURCE).exists():
        raise FileNotFoundError(f"{folder}: must be a folder that `pretrain-cli pairs` wrote")
    _check_source(folder, source or {})
    found: list[Pair] = []
    for scene in scenes:
        path = folder / _plain(scene)
        if (path / LIST).exists():
            names = sorted(frame.name for frame in path.iterdir() if frame.is_dir())
            mined = load_pairs(path / LIST, names).pairs.tolist()
            found += [(scene, names[a], names[b]) for a, b in mined]
    return FramePairs(folder, tuple(found))


def write_frame_pairs(
    names: Sequence[str],
    load: Callable[[str], Scene],
    out: Path,
    *,
    source: Mapping[str, Any],
    voxel_size: float = 0.0125,
    min_overlap: float = 0.3,
    n_workers: int = 1,
    report: Callable[[str], object] = str,
) -> dict[str, int]:
    """Write the frames of every scene and the pairs that overlap.

    A scene is written whole or not at all, and one that is there is kept: what was interrupted goes
    on, and nothing is written over.

    Args:
        names: of the scenes.
        load: reads the scene of a name, with its frames; several processes must be able to get it.
        out: the folder.
        source: where the scenes come from, JSON values; kept in `source.json`, to tell pairs of
            other data.
        voxel_size: frames are thinned to one point a voxel, metres.
        min_overlap: least overlap of a pair, in (0, 1].
        n_workers: processes.
        report: called with the name of each scene that is done.

    Returns:
        how many pairs each scene has.

    Raises:
        ValueError: if a scene has no frames, or `out` holds pairs of another source.
    """
    told = {**source, "voxel_size": voxel_size, "min_overlap": min_overlap}
    check_place(out, told)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / SOURCE).exists():
        write_json(out / SOURCE, told)
    job = partial(_write_scene, names, load, out, voxel_size, min_overlap)
    counts = {}
    for index, count in run_each(job, range(len(names)), n_workers):
        counts[names[index]] = count
        report(names[index])
    return counts


def check_place(out: Path, source: Mapping[str, Any]) -> None:
    """Return quietly if pairs of the source may be written into a folder.

    Raises:
        ValueError: if it holds pairs of another source, or other files.
    """
    if (out / SOURCE).exists():
        _check_source(out, source)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} must be empty or hold pairs, got other files")


def _check_source(folder: Path, source: Mapping[str, Any]) -> None:
    path = folder / SOURCE
    with errors_in(path):
        held = json.loads(path.read_bytes())
        if not isinstance(held, dict):
            raise ValueError("must be what `pretrain-cli pairs` wrote")
    for key, wanted in source.items():
        if held.get(key) != wanted:
            raise ValueError(f"{folder} holds pairs with {key} {held.get(key)}, not {wanted}")


def _write_scene(
    names: Sequence[str],
    load: Callable[[str], Scene],
    out: Path,
    voxel_size: float,
    min_overlap: float,
    index: int,
) -> int:
    """Write one scene, its list last; the number of its pairs."""
    folder = out / _plain(names[index])
    if (folder / LIST).exists():
        return len((folder / LIST).read_text(encoding="utf-8").splitlines())
    scene = load(names[index])
    if not len(scene.frames):
        raise ValueError(f"scene {scene.name} must have frames with depth, got none")
    frames = [f"{number:06d}" for number in range(len(scene.frames))]
    mined = mine_pairs(scene.frames, min_overlap=min_overlap)
    with whole_folder(folder) as temporary:
        for frame, cloud in zip(frames, _clouds(scene.frames, voxel_size), strict=True):
            if cloud is not None:
                save_scene(cloud, temporary / frame)
        save_pairs(temporary / LIST, frames, mined)
    return len(mined.pairs)


def _clouds(frames: Sequence[Frame] | LazyFrames, voxel_size: float) -> Iterator[Scene | None]:
    """The thinned cloud of each frame; None where it measured nothing."""
    for frame in frames:
        points, colors, _ = unproject(frame)
        if len(points) == 0:
            yield None
            continue
        keep = voxelize(points, voxel_size).index
        yield Scene("frame", points[keep], colors=colors[keep])


def _plain(scene: str) -> str:
    return scene.replace("/", "_")
