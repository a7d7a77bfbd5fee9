"""The data set of synthetic rooms: generated on demand, kept on disk."""

from functools import partial
from os import PathLike
from typing import Literal, get_args

import numpy as np

from pcl_data.dataset import Dataset
from pcl_data.label_set import SCANNET20, LabelSet
from pcl_data.parallel import run_each
from pcl_data.scene import Scene
from pcl_data.scene_store import load_scene, save_scene
from pcl_synth.cache import cache_folder
from pcl_synth.ray_casting import Soup
from pcl_synth.rooms.layout import ROOM_KINDS, Room, furnished_room
from pcl_synth.rooms.long_tail import LONG_TAIL, long_tail_room
from pcl_synth.rooms.object_plan import BLOCK, planned_objects
from pcl_synth.rooms.object_shapes import ObjectRow
from pcl_synth.rooms.scanner import scan

VERSION = 5  # raise it whenever the bits of a room change
LONG_TAIL_VERSION = 1  # of the rooms with the vocabulary long-tail
N_FLAT = 10  # rooms of the long tail that are held out where nothing else is said
Vocabulary = Literal["scannet20", "long-tail"]
LABEL_SETS: dict[str, LabelSet] = {"scannet20": SCANNET20, "long-tail": LONG_TAIL}


class SyntheticRooms(Dataset):
    """Furnished rooms, scanned by a simulated RGB-D camera.

    Room `i` depends on the seed, `i`, the vocabulary and its version only, and of the long tail on
    whether it is flat. It is made when first asked for (a few seconds) and then read from the
    cache.

    The vocabulary `scannet20` has all 20 classes of ScanNet. `long-tail` has 132 of the 200 of
    ScanNet200, whose instances in fifty rooms fall from over a hundred to two.
    `label_set.frequency` says whether a class is head, common or tail: of a tail class, any fifty
    rooms in a row that begin at a multiple of ten have at most ten instances. So few held-out ones
    would leave the scores of rare classes to chance. Hence the first `n_flat_rooms`, which are
    there to be held out, are flat: ten of them have four of each class of objects, rare or not
    (two where one kind of room has it), or as many as find a place.

    Args:
        n_rooms: number of rooms.
        seed: another seed gives other rooms.
        cache: folder to keep rooms in; by default that of the user, `pcl-data/synthetic-rooms-v5`
            or `pcl-data/synthetic-rooms-longtail-v1`.
        frames: also keep the colour and depth images of the scan (about 60 MB a room).
        vocabulary: the classes.
        n_flat_rooms: of the long tail: how many rooms, the first, have objects of all classes
            equally often; their names begin with `flat` in place of `room`.

    Raises:
        ValueError: if `n_rooms`, `seed` or `n_flat_rooms` is out of range, or there is no such
            vocabulary.

    Example:
        >>> rooms = SyntheticRooms(5)
        >>> len(rooms), sorted(name.split("_")[2] for name in rooms.names)
        (5, ['bathroom', 'bedroom', 'kitchen', 'living', 'office'])
        >>> rare = SyntheticRooms(12, vocabulary="long-tail")
        >>> rare.names[9:], rare.label_set.n_classes
        (['flat_0009_office', 'room_0010_bathroom', 'room_0011_living'], 132)
    """

    def __init__(
        self,
        n_rooms: int,
        *,
        seed: int = 0,
        cache: str | PathLike[str] | None = None,
        frames: bool = False,
        vocabulary: Vocabulary = "scannet20",
        n_flat_rooms: int = N_FLAT,
    ) -> None:
        if n_rooms < 1:
            raise ValueError(f"n_rooms must be at least 1, got {n_rooms}")
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        if n_flat_rooms < 0:
            raise ValueError(f"n_flat_rooms must be at least 0, got {n_flat_rooms}")
        _check_vocabulary(vocabulary)
        root = cache_folder(cache)
        folder = f"seed-{seed}-frames" if frames else f"seed-{seed}"
        self.cache = root / f"synthetic-{rooms_name(vocabulary)}" / folder
        self.seed, self.frames, self.vocabulary = seed, frames, vocabulary
        n_flat = n_flat_rooms if vocabulary == "long-tail" else 0
        self.names = [_name(seed, i, flat=i < n_flat) for i in range(n_rooms)]
        self.label_set = LABEL_SETS[vocabulary]

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        """Room of an index, made now if the cache does not hold it."""
        index = range(len(self))[index]
        path = self.cache / self.names[index]
        if not path.exists():
            _make(self, index)
        return load_scene(path, self.label_set)

    def prepare(self, n_workers: int = 1) -> None:
        """Make the missing rooms in parallel processes.

        Raises:
            ValueError: if `n_workers` is below 1.
        """
        missing = [i for i, name in enumerate(self.names) if not (self.cache / name).exists()]
        list(run_each(partial(_make, self), missing, n_workers))


def rooms_name(vocabulary: str = "scannet20", n_flat_rooms: int = N_FLAT) -> str:
    """The name of rooms in a score: their version, and how many are flat if not as usual.

    Raises:
        ValueError: if there is no such vocabulary.

    Example:
        >>> rooms_name(), rooms_name("long-tail"), rooms_name("long-tail", 20)
        ('rooms-v5', 'rooms-longtail-v1', 'rooms-longtail-v1-flat20')
    """
    _check_vocabulary(vocabulary)
    if vocabulary == "scannet20":
        return f"rooms-v{VERSION}"
    flat = "" if n_flat_rooms == N_FLAT else f"-flat{n_flat_rooms}"
    return f"rooms-longtail-v{LONG_TAIL_VERSION}{flat}"


def generate_room(
    seed: int,
    index: int,
    *,
    frames: bool = False,
    vocabulary: Vocabulary = "scannet20",
    flat: bool = False,
) -> Scene:
    """Room `index` of a seed, with its frames if asked for; the points do not depend on that.

    Args:
        seed: of the world.
        index: number of the room.
        frames: whether the scene gets its frames.
        vocabulary: the classes.
        flat: of the long tail: whether the objects of all classes are equally frequent.

    Raises:
        ValueError: if there is no such vocabulary.
    """
    _check_vocabulary(vocabulary)
    label_set = LABEL_SETS[vocabulary]
    if vocabulary == "long-tail":
        rng = np.random.default_rng([LONG_TAIL_VERSION, 200, seed, index, int(flat)])
        room = long_tail_room(_kind(seed, index), _objects(seed, index, flat=flat), rng)
    else:
        rng = np.random.default_rng([VERSION, seed, index])
        room = furnished_room(_kind(seed, index), rng)
    cloud, images = scan(room, _soup(room, label_set, rng), rng)
    return Scene(
        name=_name(seed, index, flat=flat),
        points=cloud.points,
        colors=cloud.colors,
        normals=cloud.normals,
        labels=cloud.labels,
        instances=cloud.instances,
        frames=tuple(images) if frames else (),
        label_set=label_set,
    )


def _check_vocabulary(vocabulary: str) -> None:
    if vocabulary not in LABEL_SETS:
        known = " or ".join(get_args(Vocabulary))
        raise ValueError(f"vocabulary must be {known}, got {vocabulary!r}")


def _objects(seed: int, index: int, *, flat: bool) -> list[ObjectRow]:
    """What the plan of ten rooms gives to one of them."""
    block = index // BLOCK
    kinds = [_kind(seed, BLOCK * block + k) for k in range(BLOCK)]
    return planned_objects(kinds, block, (LONG_TAIL_VERSION, seed), flat=flat)[index % BLOCK]


def _soup(room: Room, label_set: LabelSet, rng: np.random.Generator) -> Soup:
    """Triangles of all items; a few objects lose their label, as annotators miss some."""
    materials: dict = {}
    triangles, material, label, instance = [], [], [], []
    for number, item in enumerate(room.items):
        name = item.label
        train_id = -1 if name is None else label_set.names.index(name)
        if train_id in label_set.things and rng.random() < 0.03:
            train_id = -1
        for part in item.shape:
            triangles.append(part.triangles)
            n = len(part.triangles)
            material.append(np.full(n, materials.setdefault(part.material, len(materials))))
            label.append(np.full(n, train_id))
            instance.append(np.full(n, number if train_id in label_set.things else -1))
    return Soup(
        np.concatenate(triangles).astype(np.float32),
        list(materials),
        *(np.concatenate(column).astype(np.int64) for column in (material, label, instance)),
    )


def _kind(seed: int, index: int) -> str:
    """Every five rooms in a row hold each kind once."""
    block = np.random.default_rng([VERSION, seed, index // len(ROOM_KINDS)])
    return ROOM_KINDS[block.permutation(len(ROOM_KINDS))[index % len(ROOM_KINDS)]]


def _name(seed: int, index: int, *, flat: bool) -> str:
    return f"{'flat' if flat else 'room'}_{index:04d}_{_kind(seed, index)}"


def _make(rooms: SyntheticRooms, index: int) -> None:
    """Write a room; if another process was faster, its copy is the same."""
    name = rooms.names[index]
    scene = generate_room(
        rooms.seed,
        index,
        frames=rooms.frames,
        vocabulary=rooms.vocabulary,
        flat=name.startswith("flat"),
    )
    try:
        save_scene(scene, rooms.cache / name)
    except OSError:
        if not (rooms.cache / name).exists():
            raise
