"""The data set of synthetic streets: generated on demand, kept on disk."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from pcl_data.dataset import Dataset
from pcl_data.label_set import SEMANTICKITTI19, LabelSet
from pcl_data.parallel import run_each
from pcl_data.scene import Frame, LazyFrames, Scene
from pcl_data.scene_store import load_scene, save_scene
from pcl_synth.cache import cache_folder
from pcl_synth.ray_casting import tracer
from pcl_synth.streets.cameras import photograph
from pcl_synth.streets.layout import KINDS, random_street
from pcl_synth.streets.lidar import AZIMUTHS, PERIOD, Stage, scan, sensor_poses
from pcl_synth.streets.road import DURATION, Drive, random_drive
from pcl_synth.streets.street import LABELS, Street, Thing
from pcl_synth.streets.style import StreetStyle

VERSION = 1  # raise it whenever the bits of a sweep change
N_TICKS = round(DURATION / PERIOD)  # sweeps of a whole sequence
_CAMERAS, _KIND = 1, 2  # number streams of random numbers; those of sweeps are beam counts


class SyntheticStreets(Dataset):
    """Drives of 20 seconds through streets with the 19 classes of SemanticKITTI.

    A scene is one sweep of a spinning LiDAR, ten a second, in the frame of the scanner (x ahead, y
    left, z up), with `intensity`, `times`, `sensor_to_world`, and `boxes` of the things that at
    least one pulse hit, in the order of `np.unique(instances[instances >= 0])`. A box is the
    smallest upright one, headed as its thing, about the whole thing. Instances are the same in all
    sweeps of a sequence. The scenes of a sequence follow each other in time.

    A sweep depends on the seed, the number of its sequence, its time, the number of beams and the
    version of the generator only. It is made when first asked for (under a second, and a few
    seconds for the street) and then read from the cache.

    Args:
        n_sequences: number of streets; every four in a row hold each kind of street once.
        seed: another seed gives other streets.
        n_sweeps: number of sweeps of each sequence.
        stride: take every `stride`-th of the ten sweeps a second.
        beams: 64, 2000 pulses each (as SemanticKITTI), or 32, 1090 pulses each (as nuScenes).
        cameras: also take the images of six cameras (about 12 MB a sweep).
        label_set: `SEMANTICKITTI19`, or `SEMANTICKITTI25`, which tells what moves from what stands.
        cache: folder to keep sweeps in; by default that of the user.

    Raises:
        ValueError: if a number or the label set is not as above, or a sequence would last longer
            than 20 seconds.

    Example:
        >>> streets = SyntheticStreets(2, n_sweeps=3, stride=5)
        >>> len(streets), streets.names[3:5]
        (6, ['street_0001/000000', 'street_0001/000005'])
    """

    def __init__(
        self,
        n_sequences: int,
        *,
        seed: int = 0,
        n_sweeps: int = 10,
        stride: int = 1,
        beams: int = 64,
        cameras: bool = False,
        label_set: LabelSet = SEMANTICKITTI19,
        cache: str | PathLike[str] | None = None,
    ) -> None:
        _check(beams, 1, n_sequences=n_sequences, n_sweeps=n_sweeps, stride=stride)
        _check(beams, 0, seed=seed)
        if (n_sweeps - 1) * stride >= N_TICKS:
            raise ValueError(
                f"n_sweeps and stride must keep within the {N_TICKS} sweeps of a sequence, "
                f"got {n_sweeps} and {stride}"
            )
        if label_set not in (SEMANTICKITTI19, LABELS):
            raise ValueError(
                f"label_set must be semantickitti19 or semantickitti25, got {label_set.name}"
            )
        root = cache_folder(cache)
        folder = f"seed-{seed}-{beams}-beams" + ("-cameras" if cameras else "")
        self.cache = root / f"synthetic-streets-v{VERSION}" / folder
        self.seed, self.beams, self.cameras = seed, beams, cameras
        self.label_set = label_set
        self.ticks = range(0, n_sweeps * stride, stride)
        self.names = [_name(i, tick) for i in range(n_sequences) for tick in self.ticks]

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        """Sweep of an index, made now if the cache does not hold it."""
        index = range(len(self))[index]
        path = self.cache / self.names[index]
        if not path.exists():
            sequence, sweep = divmod(index, len(self.ticks))
            _make(self.seed, self.beams, self.cameras, self.cache, sequence, self.ticks[sweep])
        assert self.label_set is not None  # given where it was made
        return _relabeled(load_scene(path, LABELS), self.label_set)

    def prepare(self, n_workers: int = 1) -> None:
        """Make the missing sweeps, the sequences in parallel processes.

        Raises:
            ValueError: if `n_workers` is below 1.
        """
        missing = [i for i, name in enumerate(self.names) if not (self.cache / name).exists()]
        sequences = sorted({i // len(self.ticks) for i in missing})
        make = partial(_make_all, self.seed, self.beams, self.cameras, self.cache, self.ticks)
        list(run_each(make, sequences, n_workers))

    def with_labels(self, label_set: LabelSet) -> "SyntheticStreets":
        """The same sweeps with the other label set."""
        return SyntheticStreets(
            len(self) // len(self.ticks),
            seed=self.seed,
            n_sweeps=len(self.ticks),
            stride=self.ticks.step,
            beams=self.beams,
            cameras=self.cameras,
            label_set=label_set,
            cache=self.cache.parent.parent,
        )


def generate_sweep(
    seed: int, sequence: int, tick: int, *, beams: int = 64, cameras: bool = False
) -> Scene:
    """Sweep of a sequence a tenth of a second times `tick` after its start.

    Labels are those of `SEMANTICKITTI25`; the points do not depend on `cameras`. The street is kept
    until another one is asked for.

    Raises:
        ValueError: if a number is out of range.
        ImportError: if embreex is missing.
    """
    _check(beams, 0, seed=seed, sequence=sequence, tick=tick)
    if tick >= N_TICKS:
        raise ValueError(f"tick must be below {N_TICKS}, got {tick}")
    street, still = _street(seed, sequence)
    seconds = tick * PERIOD
    stage = Stage(street, still, seconds)
    rng = np.random.default_rng([VERSION, seed, sequence, tick, beams])
    sweep = scan(street, stage, seconds, beams, rng)
    (sensor_to_world,) = sensor_poses(street.drive, np.array([seconds]))
    rng = np.random.default_rng([VERSION, seed, sequence, tick, _CAMERAS])
    return Scene(
        name=_name(sequence, tick),
        points=sweep.points,
        labels=sweep.labels,
        instances=sweep.instances,
        boxes=_boxes(street.things_at(seconds), sweep.instances, sensor_to_world),
        frames=photograph(street, stage, seconds, rng) if cameras else (),
        label_set=LABELS,
        intensity=sweep.intensity,
        times=sweep.times,
        sensor_to_world=sensor_to_world,
    )


def drive_of(seed: int, sequence: int) -> Drive:
    """How the car with the sensors drives through a street; poses at any time."""
    return random_drive(StreetStyle(_numbers(seed, sequence)))


def _check(beams: int, least: int, **numbers: int) -> None:
    for name, value in numbers.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if beams not in AZIMUTHS:
        raise ValueError(f"beams must be 32 or 64, got {beams}")


@lru_cache(maxsize=1)
def _street(seed: int, sequence: int) -> tuple[Street, Any]:
    """A street and the tracer of what stands still on it."""
    block = np.random.default_rng([VERSION, seed, sequence // len(KINDS), 0, _KIND])
    kind = KINDS[block.permutation(len(KINDS))[sequence % len(KINDS)]]
    street = random_street(kind, _numbers(seed, sequence))
    return street, tracer(street.soup.triangles)


def _numbers(seed: int, sequence: int) -> np.random.Generator:
    return np.random.default_rng([VERSION, seed, sequence])


def _boxes(
    things: list[Thing],
    instances: Int64[np.ndarray, " n"],
    sensor_to_world: Float[np.ndarray, "4 4"],
) -> Float32[np.ndarray, "k 8"]:
    """Boxes of the things that have points, in the frame of the sensor."""
    world_to_sensor = np.linalg.inv(sensor_to_world)
    seen = set(np.unique(instances).tolist())
    rows = [
        [*_upright_box(thing.extent, world_to_sensor @ thing.pose), thing.label]
        for thing in things
        if thing.instance in seen
    ]
    return np.array(rows, np.float32).reshape(-1, 8)


def _upright_box(
    extent: Float[np.ndarray, "2 3"], pose: Float[np.ndarray, "4 4"]
) -> tuple[float, ...]:
    """Centre, sizes and heading of the smallest box about a posed one that is headed as it is."""
    pick = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners = np.where(pick, extent[1], extent[0]) @ pose[:3, :3].T + pose[:3, 3]
    heading = np.arctan2(pose[1, 0], pose[0, 0])
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    local = corners @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    return (*(turn @ ((low + high) / 2)), *(high - low), float(heading))


def _relabeled(scene: Scene, label_set: LabelSet) -> Scene:
    """A stored scene with the train ids of another label set."""
    if label_set is LABELS:
        return scene
    assert scene.labels is not None  # the store gives what it was given
    assert scene.boxes is not None
    boxes = np.array(scene.boxes)
    boxes[:, 7] = _train_ids(boxes[:, 7].astype(np.int64), label_set)
    names = [str(i) for i in range(len(scene.frames))]
    return replace(
        scene,
        labels=_train_ids(scene.labels, label_set),
        boxes=boxes,
        frames=LazyFrames(names, partial(_relabeled_frame, scene.frames, label_set)),
        label_set=label_set,
    )


def _relabeled_frame(frames: Sequence[Frame], label_set: LabelSet, number: str) -> Frame:
    frame = frames[int(number)]
    assert frame.labels is not None
    return replace(frame, labels=_train_ids(frame.labels, label_set))


def _train_ids(
    stored: Int64[np.ndarray, "*shape"], label_set: LabelSet
) -> Int64[np.ndarray, "*shape"]:
    return label_set.to_train(LABELS.to_raw(stored))


def _name(sequence: int, tick: int) -> str:
    return f"street_{sequence:04d}/{tick:06d}"


def _make_all(
    seed: int, beams: int, cameras: bool, cache: Path, ticks: range, sequence: int
) -> None:
    for tick in ticks:
        if not (cache / _name(sequence, tick)).exists():
            _make(seed, beams, cameras, cache, sequence, tick)


def _make(seed: int, beams: int, cameras: bool, cache: Path, sequence: int, tick: int) -> None:
    """Write a sweep; if another process was faster, its copy is the same."""
    path = cache / _name(sequence, tick)
    try:
        save_scene(generate_sweep(seed, sequence, tick, beams=beams, cameras=cameras), path)
    except OSError:
        if not path.exists():
            raise
