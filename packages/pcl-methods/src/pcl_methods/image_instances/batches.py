"""Batches of labeled and unlabeled images that depend on (seed, step) alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pcl_methods.image_instances.image_set import Example, ImageSet, scaled
from pcl_methods.image_instances.views import flipped, jittered
from pcl_methods.segmentation.batches import Kept

N_CACHED = 512  # images of either kind that stay in memory


@dataclass(frozen=True)
class BatchSizes:
    """How many images a batch holds.

    Args:
        labeled: with annotations.
        unlabeled: without.
    """

    labeled: int = 4
    unlabeled: int = 4


class ImageBatches(Dataset):
    """`batches[step]`: so many images of each kind, each kind gone through in epochs.

    A batch has `labeled`: strong views as a dict of `images` (b, 3, s, s) and, a list entry an
    image, `masks`, `labels`, `verified` and `exhaustive`; and, where there are unlabeled images,
    `unlabeled`: `weak` and `strong` (u, 3, s, s) with `turned` (u,), whether strong is weak from
    right to left.

    Args:
        labeled: with annotations.
        unlabeled: whose annotations are not read; none: there are no unlabeled images.
        sizes: of a batch.
        image_size: s, pixels.
        seed: numbers, such as that of a run and that of a stage.

    Raises:
        ValueError: if a set holds no image.
    """

    def __init__(
        self,
        labeled: ImageSet,
        unlabeled: ImageSet | None,
        sizes: BatchSizes,
        image_size: int,
        seed: Sequence[int],
    ) -> None:
        for name, images in (("labeled", labeled), ("unlabeled", unlabeled)):
            if images is not None and not images.ids:
                raise ValueError(f"{name} must hold at least one image, got none")
        self.labeled, self.unlabeled, self.sizes, self.seed = labeled, unlabeled, sizes, list(seed)
        self._example = Kept(partial(labeled.example, size=image_size), N_CACHED)
        if unlabeled is not None:
            self._image = Kept(partial(_image, unlabeled, image_size), N_CACHED)

    def __getitem__(self, index: int) -> dict[str, Any]:
        step = index
        rng = np.random.default_rng([*self.seed, step])
        ids = self._ids(self.labeled, self.sizes.labeled, step)
        batch = {"labeled": _labeled([self._example(one) for one in ids], rng)}
        if self.unlabeled is not None:
            ids = self._ids(self.unlabeled, self.sizes.unlabeled, step)
            batch["unlabeled"] = _unlabeled([self._image(one) for one in ids], rng)
        return batch

    def _ids(self, images: ImageSet, count: int, step: int) -> list[int]:
        """The images of a step: epochs are permutations, one after the other."""
        ids = []
        for position in range(step * count, (step + 1) * count):
            epoch, place = divmod(position, len(images.ids))
            order = np.random.default_rng([*self.seed, epoch, len(images.ids)])
            ids.append(images.ids[order.permutation(len(images.ids))[place]])
        return ids


def _labeled(examples: list[Example], rng: np.random.Generator) -> dict[str, Any]:
    turned = rng.random(len(examples)) < 0.5
    pairs = list(zip(examples, turned, strict=True))
    return {
        "images": torch.stack([flipped(jittered(one.image, rng), turn) for one, turn in pairs]),
        "masks": [flipped(one.masks, turn) for one, turn in pairs],
        "labels": [one.labels for one in examples],
        "verified": [one.verified for one in examples],
        "exhaustive": [one.exhaustive for one in examples],
    }


def _unlabeled(images: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    weak = [flipped(one, rng.random() < 0.5) for one in images]
    turned = rng.random(len(images)) < 0.5
    strong = [flipped(jittered(one, rng), turn) for one, turn in zip(weak, turned, strict=True)]
    return {
        "weak": torch.stack(weak),
        "strong": torch.stack(strong),
        "turned": torch.from_numpy(turned),
    }


def _image(images: ImageSet, size: int, image_id: int) -> Tensor:
    return scaled(torch.from_numpy(images.pixels(image_id)).permute(2, 0, 1), size)
