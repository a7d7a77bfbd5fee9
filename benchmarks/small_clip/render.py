"""Views of generated rooms and streets, as shards on disk.

    python benchmarks/small_clip/render.py --out SHARDS --workers 2

A shard is one room or street: `KIND-SEED-NUMBER.npy`, uint8 (views, height, width, 6), the colours
of each pixel, and the maps of `mentions.mentions`. Shards that are there are not made again. Worlds
of experiments have small seeds; those to train on have seed 1000, those to choose by 2000.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8
from mentions import CLASSES, NOTHING, PATTERNS

from pcl_data.label_set import SCANNET20, SEMANTICKITTI19
from pcl_data.parallel import run_each
from pcl_data.scene import Frame
from pcl_synth.ray_casting import cast, tracer
from pcl_synth.rooms import dataset as rooms
from pcl_synth.rooms import scanner
from pcl_synth.rooms.layout import furnished_room
from pcl_synth.streets import dataset as streets
from pcl_synth.streets.street import LABELS

ROOM_VIEWS = 12
STREET_TIMES = 4  # six views at each

Shard = UInt8[np.ndarray, "k h w 6"]


def render_room(seed: int, index: int, n_views: int) -> Shard:
    """Views from the path of the scanner through a room of the data set."""
    rng = np.random.default_rng([rooms.VERSION, seed, index])
    room = furnished_room(rooms._kind(seed, index), rng)
    soup = rooms._soup(room, rng)
    lights = np.column_stack(
        [rng.uniform(0.2, 0.8, (2, 2)) * (room.width, room.depth), [room.height - 0.1] * 2]
    )
    stage = scanner._Stage(soup, tracer(soup.triangles), lights, np.zeros((0, 4)))
    rays = scanner._pixel_rays(_intrinsics())
    patterns = np.array([PATTERNS.index(m.pattern) for m in soup.materials])
    views = []
    for pose in scanner._path(room, rng)[:: scanner.N_FRAMES // n_views][:n_views]:
        world = pose.astype(np.float32)
        origins = np.tile(world[:3, 3], (len(rays), 1))
        hits = cast(stage.tracer, origins, rays @ world[:3, :3].T)
        label = np.where(hits.face >= 0, soup.label[hits.face], -1)
        maps = _maps(label, soup.instance[hits.face], patterns[soup.material[hits.face]])
        views.append(np.concatenate([scanner._shade(stage, hits, rng), maps], axis=1))
    width, height = scanner.IMAGE_SIZE
    return np.stack(views).reshape(-1, height, width, 6)


def render_street(seed: int, index: int, n_times: int) -> Shard:
    """The images of six cameras at times that lie apart; their patterns are not known."""
    views = []
    for tick in np.linspace(0, streets.N_TICKS - 1, n_times).astype(int):
        street, still = streets._street(seed, index)
        seconds = tick * streets.PERIOD
        stage = streets.Stage(street, still, seconds)
        rng = np.random.default_rng([streets.VERSION, seed, index, tick, streets._CAMERAS])
        views += [_view(frame) for frame in streets.photograph(street, stage, seconds, rng)]
    return np.stack(views)


def _view(frame: Frame) -> UInt8[np.ndarray, "h w 6"]:
    assert frame.labels is not None
    assert frame.instances is not None
    label = SEMANTICKITTI19.to_train(LABELS.to_raw(frame.labels)).ravel()
    label = np.where(label >= 0, label + SCANNET20.n_classes, -1)
    maps = _maps(label, frame.instances.ravel(), np.full_like(label, PATTERNS.index("plain")))
    return np.concatenate([frame.image, maps.reshape(*frame.image.shape)], axis=2)


def _maps(
    label: Int64[np.ndarray, " p"],
    instance: Int64[np.ndarray, " p"],
    pattern: Int64[np.ndarray, " p"],
) -> UInt8[np.ndarray, "p 3"]:
    """Label, number of the object in the view, and pattern; a surface counts as one object."""
    known = label >= 0
    keys = np.where(known, (instance + 1) * len(CLASSES) + label, -1)
    values, thing = np.unique(keys, return_inverse=True)
    thing = np.where(known, thing - (values[0] < 0), NOTHING)
    assert len(values) < NOTHING  # no view shows so many
    maps = np.stack([np.where(known, label, NOTHING), thing, np.where(known, pattern, NOTHING)], 1)
    return maps.astype(np.uint8)


def _intrinsics() -> Float[np.ndarray, "3 3"]:
    size = np.array(scanner.IMAGE_SIZE)
    focal = size[0] / 2 / np.tan(scanner.FIELD_OF_VIEW / 2)
    (x, y) = (size - 1) / 2
    return np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]])


def _write(folder: Path, world: str, seed: int, n_views: int, index: int) -> None:
    kind = rooms._kind(seed, index) if world == "rooms" else "street"
    path = folder / f"{kind}-{seed}-{index:04d}.npy"
    if path.exists():
        return
    render = render_room if world == "rooms" else render_street
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, render(seed, index, n_views))
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rooms", type=int, default=600)
    parser.add_argument("--streets", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    worlds = (("rooms", given.rooms, ROOM_VIEWS), ("streets", given.streets, STREET_TIMES))
    for world, count, n_views in worlds:
        write = partial(_write, given.out, world, given.seed, n_views)
        for index, _ in run_each(write, range(count), given.workers):
            print(f"{world} {index + 1}/{count}", flush=True)


if __name__ == "__main__":
    main()
