"""Better (pseudo-)labels of images: what smoothed annotations and corrected teachers add.

    python benchmarks/image_instances.py smoothing
    python benchmarks/image_instances.py teaching data.share=0.5

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, on frames
of generated rooms with a long tail of classes, annotated as LVIS is. `smoothing` is Fig. 2: the
supervised network by share of labels. `teaching` is Table 1 and, by its ECE of teacher and student,
Fig. 3: the teacher is that of similarity and frequency smoothing. Rooms that are held out are flat
(`SyntheticRooms`), so that scores of rare classes are not left to chance. Settings come first:
`data.root=FOLDER` takes `train.json`, `val.json` and `images/` in place of the rooms, such as those
of LVIS v1; `preset=paper` has the sizes of the paper, for GPUs. It needs
`pip install pcl-methods[images]`.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from records import Table
from runs import Job, fill_table, parse

from pcl_calibration import expected_calibration_error
from pcl_methods.image_instances.found_instances import detect, measure_errors
from pcl_methods.image_instances.image_set import ImageSet
from pcl_methods.image_instances.learning import PAPER, SMALL, Learning, Preset
from pcl_methods.image_instances.lvis_format import LvisData, read_lvis
from pcl_methods.image_instances.network import InstanceNetwork
from pcl_methods.image_instances.rendered_frames import ANNOTATIONS, Rendering, write_frames
from pcl_methods.image_instances.scoring import score_instances
from pcl_methods.image_instances.smoothed_classes import smoothed_classes
from pcl_methods.self_training.smoothed_classes import Smoothing
from pcl_run.cli import make_fabric
from pcl_run.config import Config, load_config
from pcl_run.loop import LoopOptions
from pcl_run.run import Run
from pcl_synth.rooms.dataset import LABEL_SETS, generate_room, rooms_name

PRESETS = {"small": SMALL, "paper": PAPER}
SHARES = {"1%": 0.01, "10%": 0.1, "100%": 1.0}
SMOOTHINGS = {
    "none": None,
    "uniform": "uniform",
    "similarity": "similarity",
    "similarity + frequency": "frequency",
}
KINDS = {
    "supervised": "supervised",
    "one-hot": "one-hot",
    "soft": "soft",
    "soft corrected": "corrected",
}


class Data(Config):
    """Images: generated, or those of a folder; `share` of the labels, for `teaching`."""

    root: Path | None = None
    n_rooms: int = 20
    n_validation: int = 10
    world_seed: int = 0
    every: int = 3
    share: float = 0.5
    held_out: float = 0.15


class Train(Config):
    """Steps of the stages: without smoothing, for embeddings; then with it; then taught."""

    warm_up: int = 100
    burn_in: int = 300
    teaching: int = 200
    rate: float | None = None
    labeled_images: int | None = None
    unlabeled_images: int | None = None


class Teach(Config):
    """What is taken of the teacher."""

    score: float | None = None
    strength: float | None = None
    momentum: float | None = None


class Settings(Config):
    """Of a run; what is none is that of the preset. The last four are those of row and column."""

    preset: Literal["small", "paper"] = "small"
    image_size: int | None = None
    data: Data = Data()
    train: Train = Train()
    teach: Teach = Teach()
    seed: int = 0
    share: float = 1.0
    smoothing: Literal["uniform", "similarity", "frequency"] | None = None
    kind: Literal["supervised", "one-hot", "soft", "corrected"] | None = None


def preset_of(settings: Settings) -> Preset:
    """The preset with what the settings change."""
    preset, train = PRESETS[settings.preset], settings.train
    batch = _changed(
        preset.training.batch, labeled=train.labeled_images, unlabeled=train.unlabeled_images
    )
    return Preset(
        _changed(preset.network, image_size=settings.image_size),
        _changed(preset.training, rate=train.rate, batch=batch),
        _changed(preset.teaching, **settings.teach.model_dump()),
    )


def _changed(one: Any, **values: Any) -> Any:
    return replace(one, **{name: value for name, value in values.items() if value is not None})


class Trial:
    """A run of a table: its images, its network and its stages."""

    def __init__(self, folder: Path, settings: Settings, images: tuple[ImageSet, ImageSet]) -> None:
        self.settings, self.seed = settings, settings.seed
        training, self.validation = images
        self.run = Run.open(folder, settings, resume=folder.exists())
        self.labeled, self.held_out, self.unlabeled = shared_out(training, settings)
        torch.manual_seed(self.seed)
        self.preset = preset_of(settings)
        self.network = InstanceNetwork(training.n_classes, self.preset.network)
        self.learning = Learning(
            self.run,
            make_fabric(),
            self.network,
            self.labeled,
            self.preset.training,
            self.seed,
            LoopOptions(log_every=10),
        )

    def scores(self) -> dict[str, float]:
        """Of the held-out rooms, with the ECE before the teaching where there is one."""
        with self.run.timed():
            steps, smoothing = self.settings.train, self.settings.smoothing
            self.learning.burn_in(
                smoothed_classes(self.network, self.labeled, None), steps.warm_up, stage="warm-up"
            )
            how = None if smoothing is None else Smoothing(smoothing)
            targets = smoothed_classes(self.network, self.labeled, how)
            self.learning.burn_in(targets, steps.burn_in)
            found = {}
            if self.settings.kind is not None:
                found["ece_teacher"] = self.calibration(self.validation)
                self.teach(targets)
            scored = score_instances(self.validation.data, detect(self.network, self.validation))
            found |= scored._asdict() | {"ece": self.calibration(self.validation)}
        return found

    def teach(self, targets: torch.Tensor) -> None:
        """Go on with the teacher, if there is one, whose errors are those on held-out images."""
        kind, steps = self.settings.kind, self.settings.train
        if kind is None or kind == "supervised":
            return self.learning.burn_in(targets, steps.teaching, stage="teaching")
        errors = measure_errors(self.network, self.held_out).compute()
        how = replace(self.preset.teaching, kind=kind)
        self.learning.teach(self.unlabeled, targets, how, errors, steps.teaching)

    def calibration(self, images: ImageSet) -> float:
        """The ECE of what is found in images."""
        return expected_calibration_error(measure_errors(self.network, images))


def shared_out(training: ImageSet, settings: Settings) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Images that are learned from, those that measure errors, and those without annotations.

    The labeled images of a smaller share are among those of a larger one of the same seed. Some
    are held out where a teacher is, or is compared.
    """
    ids = random.Random(settings.seed).sample(training.ids, len(training.ids))
    n_labeled = max(2, round(settings.share * len(ids)))
    share = 0.0 if settings.kind is None else settings.data.held_out
    n_held_out = max(1, round(share * n_labeled)) if share else 0
    cuts = (ids[n_held_out:n_labeled], ids[:n_held_out], ids[n_labeled:])
    return tuple(training.of_images(cut) for cut in cuts)  # type: ignore[return-value]


def open_images(settings: Settings, work: Path) -> tuple[ImageSet, ImageSet]:
    """Images for training and for validation; generated ones are made once.

    Classes are rare, common or frequent by the images for training.
    """
    data = settings.data
    if data.root is not None:
        return tuple(
            ImageSet(read_lvis(data.root / f"{name}.json"), data.root / "images")
            for name in ("train", "val")
        )  # type: ignore[return-value]
    if data.n_validation < 1 or data.n_rooms < 1:
        raise SystemExit("error: data.n_rooms and data.n_validation must be at least 1")
    numbers = {"val": range(data.n_validation), "train": range(10, 10 + data.n_rooms)}
    sets = {}
    for name, those in numbers.items():
        folder = work / f"{name}_{len(those)}_rooms_{data.world_seed}_every_{data.every}"
        if not folder.exists():
            print(f"renders {len(those)} rooms: {folder}", file=sys.stderr, flush=True)
            rooms = (
                generate_room(
                    data.world_seed, i, frames=True, vocabulary="long-tail", flat=name == "val"
                )
                for i in those
            )
            rendering = Rendering(every=data.every)
            write_frames(rooms, LABEL_SETS["long-tail"], folder, rendering=rendering)
        sets[name] = ImageSet(read_lvis(folder / ANNOTATIONS), folder)
    known = LvisData(
        sets["val"].data.images, sets["train"].data.categories, sets["val"].data.annotations
    )
    return sets["train"], ImageSet(known, sets["val"].folder)


class Runs:
    """The runs of a table."""

    def __init__(self, options: argparse.Namespace, words: list[str]) -> None:
        self.options, self.words = options, words
        self.work = options.work or Path("runs/image_instances")
        self.settings = load_config(Settings, presets={}, overrides=words)
        self._images: tuple[ImageSet, ImageSet] | None = None

    def jobs(self) -> Iterator[Job]:
        """One for each row, column and seed."""
        columns = SHARES if self.options.table == "smoothing" else {None: self.settings.data.share}
        rows = SMOOTHINGS if self.options.table == "smoothing" else KINDS
        for row in self.options.rows or rows:
            for column in self.options.columns or columns:
                for seed in self.options.seeds:
                    extra: dict = {"share": columns[column], "seed": seed}
                    if self.options.table == "smoothing":
                        extra["smoothing"] = SMOOTHINGS[row]
                    else:
                        extra |= {"smoothing": "frequency", "kind": KINDS[row]}
                    settings = self.settings.model_copy(update=extra)
                    make = partial(self.make, row, column, settings)
                    yield Job(row, column, seed, {self.options.table: self.words}, make)

    def make(self, row: str, column: str | None, settings: Settings) -> tuple[Path, dict, dict]:
        """A run: its folder, its summary and its scores."""
        words = [self.options.table, row, *([] if column is None else [column])]
        name = "_".join(word.replace(" ", "").replace("%", "pct") for word in words)
        folder = self.work / f"{name}_seed{settings.seed}"
        if self._images is None:
            self._images = open_images(self.settings, self.work)
        trial = Trial(folder, settings, self._images)
        scores = trial.scores()
        data = settings.data
        name = rooms_name("long-tail") if data.root is None else data.root.name
        summary = {"protocol": f"lvis-{name}", "seconds": trial.run.recall("seconds"), **scores}
        trial.run.write_summary(summary)
        return folder, summary, scores


TABLES = {
    "smoothing": Table(
        title="Smoothed annotations of images",
        rows=list(SMOOTHINGS),
        columns=list(SHARES),
        about=[
            "Paper: Fig. 2 of Porcher et al. on LVIS: uniform smoothing does not help; by "
            "similarity it adds up to 10 AP with 1% of the labels, frequency about 5 AP_r more.",
        ],
        remarks=["The first steps of all rows are the same: they make the embeddings of classes."],
    ),
    "teaching": Table(
        title="A teacher of images and its correction",
        rows=list(KINDS),
        columns=[],
        about=[
            "Paper: Table 1 of Porcher et al. on LVIS: AP 54.0 supervised, 54.8 one-hot, 55.5 "
            "soft, 56.8 soft corrected; AP_r 47.0, 49.7, 53.0, 57.3; ECE 22 of teacher, 7 of "
            "student (Fig. 3).",
        ],
        remarks=["The row supervised goes on with the annotated images alone for as many steps."],
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--rows", nargs="+", choices=[*SMOOTHINGS, *KINDS])
    parser.add_argument("--columns", nargs="+", choices=list(SHARES))
    options, words = parse(parser)
    name = options.name or f"image_{options.table}"
    jobs = Runs(options, words).jobs()
    print(fill_table(name, TABLES[options.table], jobs, options.results))


if __name__ == "__main__":
    main()
