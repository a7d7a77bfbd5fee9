"""Batches of crops and their captions, each a pure function of its step."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from captions import NAMED, NOTHING, Caption, Mention, captions, mentions, truths
from jaxtyping import Int, Int8, UInt8
from PIL import Image
from torch import Tensor

from pcl_data.label_set import SCANNET20

FEWEST_PIXELS = 100  # of an object that a crop is made for
SMALLEST = 48  # pixels along the side of a crop
STREET_SHARE = 0.2  # of the crops

Tokenizer = Callable[[Sequence[str]], Int[Tensor, "t l"]]


class Crop(NamedTuple):
    image: UInt8[np.ndarray, "s s 3"]
    seen: list[Mention]
    place: str
    subject: int  # class of the object that it was made for


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

    def crop(self, size: int, rng: np.random.Generator) -> Crop:
        """A square crop, resized; every class is as likely as any other of its world."""
        while True:
            label = self._label(rng)
            shard, view, thing, _, area = self.table[rng.choice(self.rows[label])]
            frame = self.views(shard)[view]
            side = np.sqrt(area) * np.exp(rng.uniform(*np.log([0.7, 2.5])))
            side = int(np.clip(side, SMALLEST, min(frame.shape[:2])))
            center = rng.choice(4 * np.argwhere(frame[::4, ::4, 4] == thing))
            top, left = np.clip(center - side // 2, 0, np.array(frame.shape[:2]) - side)
            crop = _resized(frame[top : top + side, left : left + side], size)
            if rng.random() < 0.5:
                crop = crop[:, ::-1]
            seen = mentions(crop[..., :3], crop[..., 3:])
            if seen and seen[0].share >= NAMED:
                return Crop(crop[..., :3], seen, self.place(shard), label)

    def _label(self, rng: np.random.Generator) -> int:
        outdoors = [label for label in self.labels if label >= SCANNET20.n_classes]
        indoors = self.labels[: len(self.labels) - len(outdoors)]
        if not indoors or (outdoors and rng.random() < STREET_SHARE):
            return int(rng.choice(outdoors))
        return int(rng.choice(indoors))


class CaptionedCrops(torch.utils.data.Dataset):
    """Batch `step`: images, the tokens of two captions each, and which captions fit which image.

    The last, (image, caption), is 1 for a caption made for the image, 0 for one that is wrong of
    it, and -1 for one made for another image that is true of it too.
    """

    def __init__(
        self, shards: Shards, tokenizer: Tokenizer, *, batch: int, size: int, seed: int
    ) -> None:
        self.shards, self.tokenizer = shards, tokenizer
        self.batch, self.size, self.seed = batch, size, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        crops = [self.shards.crop(self.size, rng) for _ in range(self.batch)]
        pairs = [captions(crop.seen, crop.place, crop.subject, rng) for crop in crops]
        images = np.stack([crop.image for crop in crops]).transpose(0, 3, 1, 2)
        return {
            "images": torch.from_numpy(np.ascontiguousarray(images)),
            "tokens": self.tokenizer([one.text for pair in pairs for one in pair]),
            "fit": torch.from_numpy(caption_fit(crops, pairs)),
        }


def caption_fit(
    crops: Sequence[Crop], pairs: Sequence[Sequence[Caption]]
) -> Int8[np.ndarray, "b t"]:
    """1 where a caption was made for a crop, -1 where it is true all the same, 0 elsewhere."""
    every = [one for pair in pairs for one in pair]
    number = {atom: k for k, atom in enumerate({atom for one in every for atom in one.atoms})}
    said = np.zeros((len(every), len(number)), np.float32)
    true = np.zeros((len(crops), len(number)), np.float32)
    for row, one in zip(said, every, strict=True):
        row[[number[atom] for atom in one.atoms]] = 1
    for row, crop in zip(true, crops, strict=True):
        row[[number[a] for a in truths(crop.seen, crop.place) if a in number]] = 1
    fit = np.where((1 - true) @ said.T == 0, -1, 0).astype(np.int8)
    owner = np.repeat(np.arange(len(crops)), [len(pair) for pair in pairs])
    fit[owner, np.arange(len(every))] = 1
    return fit


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
