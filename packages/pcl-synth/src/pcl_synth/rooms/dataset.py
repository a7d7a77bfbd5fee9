"""The data set of synthetic rooms: generated on demand, kept on disk."""

from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from pcl_data.dataset import Dataset
from pcl_data.label_set import SCANNET20
from pcl_data.parallel import run_each
from pcl_data.scene import Scene
from pcl_data.scene_store import load_scene, save_scene
from pcl_synth.cache import cache_folder
from pcl_synth.ray_casting import Soup
from pcl_synth.rooms.layout import ROOM_KINDS, Room, furnished_room
from pcl_synth.rooms.scanner import scan

VERSION = 5  # raise it whenever the bits of a room change


class SyntheticRooms(Dataset):
    """Furnished rooms with all 20 classes of ScanNet, scanned by a simulated RGB-D camera.

    Room `i` depends on the seed, `i` and the version of the generator only. It is made when first
    asked for (a few seconds) and then read from the cache.

    Args:
        n_rooms: number of rooms.
        seed: another seed gives other rooms.
        cache: folder to keep rooms in; by default that of the user, `pcl-data/synthetic-rooms-v5`.
        frames: also keep the colour and depth images of the scan (about 60 MB a room).

    Raises:
        ValueError: if `n_rooms` or `seed` is out of range.

    Example:
        >>> rooms = SyntheticRooms(5)
        >>> len(rooms), sorted(name.split("_")[2] for name in rooms.names)
        (5, ['bathroom', 'bedroom', 'kitchen', 'living', 'office'])
    """

    def __init__(
        self,
        n_rooms: int,
        *,
        seed: int = 0,
        cache: str | PathLike[str] | None = None,
        frames: bool = False,
    ) -> None:
        if n_rooms < 1:
            raise ValueError(f"n_rooms must be at least 1, got {n_rooms}")
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        root = cache_folder(cache)
        folder = f"seed-{seed}-frames" if frames else f"seed-{seed}"
        self.cache = root / f"synthetic-rooms-v{VERSION}" / folder
        self.seed, self.frames = seed, frames
        self.names = [_name(seed, i) for i in range(n_rooms)]
        self.label_set = SCANNET20

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        """Room of an index, made now if the cache does not hold it."""
        index = range(len(self))[index]
        path = self.cache / self.names[index]
        if not path.exists():
            _make(self.seed, self.frames, self.cache, index)
        return load_scene(path, SCANNET20)

    def prepare(self, n_workers: int = 1) -> None:
        """Make the missing rooms in parallel processes.

        Raises:
            ValueError: if `n_workers` is below 1.
        """
        missing = [i for i, name in enumerate(self.names) if not (self.cache / name).exists()]
        list(run_each(partial(_make, self.seed, self.frames, self.cache), missing, n_workers))


def generate_room(seed: int, index: int, *, frames: bool = False) -> Scene:
    """Room `index` of a seed, with its frames if asked for; the points do not depend on that."""
    kind = _kind(seed, index)
    rng = np.random.default_rng([VERSION, seed, index])
    room = furnished_room(kind, rng)
    cloud, images = scan(room, _soup(room, rng), rng)
    return Scene(
        name=_name(seed, index),
        points=cloud.points,
        colors=cloud.colors,
        normals=cloud.normals,
        labels=cloud.labels,
        instances=cloud.instances,
        frames=tuple(images) if frames else (),
        label_set=SCANNET20,
    )


def _soup(room: Room, rng: np.random.Generator) -> Soup:
    """Triangles of all items; a few objects lose their label, as annotators miss some."""
    materials: dict = {}
    triangles, material, label, instance = [], [], [], []
    for number, item in enumerate(room.items):
        name = item.label
        train_id = -1 if name is None else SCANNET20.names.index(name)
        if train_id in SCANNET20.things and rng.random() < 0.03:
            train_id = -1
        for part in item.shape:
            triangles.append(part.triangles)
            n = len(part.triangles)
            material.append(np.full(n, materials.setdefault(part.material, len(materials))))
            label.append(np.full(n, train_id))
            instance.append(np.full(n, number if train_id in SCANNET20.things else -1))
    return Soup(
        np.concatenate(triangles).astype(np.float32),
        list(materials),
        *(np.concatenate(column).astype(np.int64) for column in (material, label, instance)),
    )


def _kind(seed: int, index: int) -> str:
    """Every five rooms in a row hold each kind once."""
    block = np.random.default_rng([VERSION, seed, index // len(ROOM_KINDS)])
    return ROOM_KINDS[block.permutation(len(ROOM_KINDS))[index % len(ROOM_KINDS)]]


def _name(seed: int, index: int) -> str:
    return f"room_{index:04d}_{_kind(seed, index)}"


def _make(seed: int, frames: bool, cache: Path, index: int) -> None:
    """Write a room; if another process was faster, its copy is the same."""
    try:
        save_scene(generate_room(seed, index, frames=frames), cache / _name(seed, index))
    except OSError:
        if not (cache / _name(seed, index)).exists():
            raise
