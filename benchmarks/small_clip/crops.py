"""Batches of crops, boxes in them and captions of the boxes, each a pure function of its step."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from captions import NAMED, Caption, captions, named, truths
from jaxtyping import Float32, Int, Int8, UInt8
from mentions import NOTHING, Mention, mentions
from network import PATCH
from PIL import Image
from torch import Tensor

from pcl_data.label_set import SCANNET20

FEWEST_PIXELS = 100  # of an object that a crop is made for
SIDES = (80, 200)  # pixels along the side of a crop, before it is resized
STREET_SHARE = 0.2  # of the crops

Tokenizer = Callable[[Sequence[str]], Int[Tensor, "t l"]]


class Box(NamedTuple):
    """Patches of a crop and what is seen there."""

    rows: slice
    columns: slice
    seen: list[Mention]


class Crop(NamedTuple):
    image: UInt8[np.ndarray, "s s 3"]
    boxes: list[Box]
    place: str
    subject: int  # class of the object that the crop and its first box were made for


class Shards:
    """The views of a folder that `render.py` wrote, and the objects in them.

    Raises:
        ValueError: if the folder holds no shard.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npy"))
        if not self.paths:
            raise ValueError(f"the folder of shards must hold some, got {folder}")
        objects = [
            [shard, view, thing, *found]
            for shard in range(len(self.paths))
            for view, frame in enumerate(self.views(shard))
            for thing, found in enumerate(_objects(frame))
        ]
        table = np.array(objects)
        self.table = table[table[:, 4] >= FEWEST_PIXELS]
        self.labels = np.unique(self.table[:, 3]).tolist()
        self.rows = {label: np.flatnonzero(self.table[:, 3] == label) for label in self.labels}

    def views(self, shard: int) -> UInt8[np.ndarray, "k h w 6"]:
        """The views of a shard; only what is looked at is read."""
        return _mapped(self.paths[shard])

    def place(self, shard: int) -> str:
        """One of `captions.PLACES`."""
        return self.paths[shard].name.split("-")[0]

    def crop(self, size: int, n_boxes: int, rng: np.random.Generator) -> Crop:
        """A square crop, resized, and boxes in it: about its object, all of it, and others.

        Every class is as likely as any other of its world. Boxes in which nothing can be spoken of
        are left out.
        """
        while True:
            label = self._label(rng)
            shard, view, thing, _, _ = self.table[rng.choice(self.rows[label])]
            frame = self.views(shard)[view]
            side = int(np.exp(rng.uniform(*np.log(np.minimum(SIDES, frame.shape[0])))))
            focus = rng.choice(4 * np.argwhere(frame[::4, ::4, 4] == thing))
            corner = focus - (rng.uniform(0.1, 0.9, 2) * side).astype(int)
            top, left = np.clip(corner, 0, np.array(frame.shape[:2]) - side)
            crop = _resized(frame[top : top + side, left : left + side], size)
            place = (focus - (top, left)) * (size // PATCH) // side  # of the focus, patches
            if rng.random() < 0.5:
                crop, place = crop[:, ::-1], (place[0], size // PATCH - 1 - place[1])
            boxes = [box for box in _boxes(crop, place, n_boxes, rng) if _speaks(box)]
            if boxes:
                return Crop(crop[..., :3], boxes, self.place(shard), label)

    def _label(self, rng: np.random.Generator) -> int:
        outdoors = [label for label in self.labels if label >= SCANNET20.n_classes]
        indoors = self.labels[: len(self.labels) - len(outdoors)]
        if not indoors or (outdoors and rng.random() < STREET_SHARE):
            return int(rng.choice(outdoors))
        return int(rng.choice(indoors))


class CaptionedCrops(torch.utils.data.Dataset):
    """Batch `step`: images, boxes in them, tokens of captions, and which fit which box.

    `image` is the image of each box and `weights`, (box, patches), the share of each patch in it.
    There is a caption of each box, and one of each class that any box shows. `fit`, (box, caption),
    is 1 for the caption made for the box and for the classes of its things, 0 for one that is wrong
    of it, and -1 for one that is true of it for another reason.
    """

    def __init__(
        self, shards: Shards, tokenizer: Tokenizer, *, batch: int, boxes: int, size: int, seed: int
    ) -> None:
        self.shards, self.tokenizer = shards, tokenizer
        self.batch, self.boxes, self.size, self.seed = batch, boxes, size, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        crops = [self.shards.crop(self.size, self.boxes, rng) for _ in range(self.batch)]
        boxes = [(box.seen, crop.place) for crop in crops for box in crop.boxes]
        texts = [
            captions(box.seen, crop.place, crop.subject, rng)[int(rng.integers(2))]
            for crop in crops
            for box in crop.boxes
        ]
        classes = sorted({one.label for seen, _ in boxes for one in seen if one.share >= NAMED})
        texts += [named(label, rng) for label in classes]
        images = np.stack([crop.image for crop in crops]).transpose(0, 3, 1, 2)
        weights = [_weights(box, self.size // PATCH) for crop in crops for box in crop.boxes]
        owner = np.repeat(np.arange(len(crops)), [len(crop.boxes) for crop in crops])
        return {
            "images": torch.from_numpy(np.ascontiguousarray(images)),
            "image": torch.from_numpy(owner),
            "weights": torch.from_numpy(np.stack(weights)),
            "tokens": self.tokenizer([one.text for one in texts]),
            "fit": torch.from_numpy(caption_fit(boxes, texts, classes)),
        }


def caption_fit(
    boxes: Sequence[tuple[Sequence[Mention], str]], texts: Sequence[Caption], classes: Sequence[int]
) -> Int8[np.ndarray, "b t"]:
    """1 where a caption is meant for a box, -1 where it is true all the same, 0 elsewhere.

    Args:
        boxes: what is seen in each, and its place.
        texts: the caption of each, and then one of each class.
        classes: these, which are meant for the boxes that have a thing of the class.
    """
    number = {atom: k for k, atom in enumerate({atom for one in texts for atom in one.atoms})}
    said = np.zeros((len(texts), len(number)), np.float32)
    true = np.zeros((len(boxes), len(number)), np.float32)
    for row, one in zip(said, texts, strict=True):
        row[[number[atom] for atom in one.atoms]] = 1
    for row, (seen, place) in zip(true, boxes, strict=True):
        row[[number[a] for a in truths(seen, place) if a in number]] = 1
    fit = np.where((1 - true) @ said.T == 0, -1, 0).astype(np.int8)
    np.fill_diagonal(fit[:, : len(boxes)], 1)
    for row, (seen, _) in zip(fit[:, len(boxes) :], boxes, strict=True):
        row[[classes.index(one.label) for one in seen if one.share >= NAMED]] = 1
    return fit


def _boxes(
    crop: UInt8[np.ndarray, "s s 6"],
    focus: tuple[int, int],
    count: int,
    rng: np.random.Generator,
) -> list[Box]:
    """Boxes of whole patches: one that holds the focus, the whole crop, and others.

    Those hold a pixel of a class of the crop, each class as likely as any other.
    """
    n_patches, boxes = len(crop) // PATCH, []
    for k in range(count):
        size = np.exp(rng.uniform(0, np.log(n_patches + 1), 2)).astype(int)
        if k == 1:
            size[:] = n_patches
        if k > 1:
            focus = _spot(crop[..., 3], rng)
        least = np.maximum(0, np.array(focus) - size + 1)
        top, left = rng.integers(least, np.minimum(focus, n_patches - size) + 1)
        rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
        part = crop[PATCH * top : PATCH * rows.stop, PATCH * left : PATCH * columns.stop]
        boxes.append(Box(rows, columns, mentions(part[..., :3], part[..., 3:])))
    return boxes


def _spot(labels: UInt8[np.ndarray, "s s"], rng: np.random.Generator) -> tuple[int, int]:
    """The patch of a random pixel of a random class of a crop."""
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=NOTHING + 1)[:NOTHING])
    spots = np.flatnonzero(labels == present[rng.integers(len(present))])
    row, column = divmod(int(spots[rng.integers(len(spots))]), len(labels))
    return row // PATCH, column // PATCH


def _speaks(box: Box) -> bool:
    return bool(box.seen) and box.seen[0].share >= NAMED


def _weights(box: Box, n_patches: int) -> Float32[np.ndarray, " p"]:
    weights = np.zeros((n_patches, n_patches), np.float32)
    weights[box.rows, box.columns] = 1
    return weights.ravel() / weights.sum()


@cache
def _mapped(path: Path) -> UInt8[np.ndarray, "k h w 6"]:
    return np.load(path, mmap_mode="r")


def _objects(frame: UInt8[np.ndarray, "h w 6"]) -> list[tuple[int, int]]:
    """Label and number of pixels of each object of a view, from every fourth row and column."""
    thing = np.asarray(frame[::4, ::4, 4]).ravel()
    area = 16 * np.bincount(thing, minlength=256)[:NOTHING]
    label = np.full(256, NOTHING)
    label[thing] = np.asarray(frame[::4, ::4, 3]).ravel()
    return [
        (int(label[k]), int(area[k])) for k in range(1 + int(area.nonzero()[0].max(initial=-1)))
    ]


def _resized(crop: UInt8[np.ndarray, "a a 6"], size: int) -> UInt8[np.ndarray, "s s 6"]:
    """Colours by area, maps by the nearest pixel."""
    image = Image.fromarray(np.ascontiguousarray(crop[..., :3]))
    image = image.resize((size, size), Image.Resampling.BICUBIC)
    nearest = ((np.arange(size) + 0.5) * len(crop) / size).astype(int)
    return np.concatenate([np.asarray(image), crop[np.ix_(nearest, nearest)][..., 3:]], axis=2)
