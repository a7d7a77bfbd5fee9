"""Frames of generated rooms as images with federated annotations in LVIS v1 format.

The casting of rays knows which object each pixel shows (`pcl_synth`): masks are exact, and an
object that is partly hidden has the pixels that are seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from pcl_data import LabelSet, Scene
from pcl_data.atomic_files import flushed_file, whole_folder
from pcl_data.scene import Frame
from pcl_methods.image_instances.federation import Federation, federate
from pcl_methods.image_instances.lvis_format import (
    LvisAnnotation,
    LvisCategory,
    LvisData,
    LvisImage,
    counted_categories,
    write_lvis,
)
from pcl_methods.image_instances.masks import encode_mask, mask_box

ANNOTATIONS = "lvis.json"


@dataclass(frozen=True)
class Rendering:
    """Which frames become images, and how large.

    Args:
        every: every n-th frame of a room.
        shrink: pixels of a frame that become one, along each side: their mean color, and the
            object of the first.
        federation: what is annotated.
    """

    every: int = 3
    shrink: int = 2
    federation: Federation = field(default_factory=Federation)

    def __post_init__(self) -> None:
        for name in ("every", "shrink"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


def write_frames(
    scenes: Iterable[Scene],
    label_set: LabelSet,
    folder: str | PathLike[str],
    *,
    rendering: Rendering = Rendering(),
    seed: int = 0,
) -> LvisData:
    """Write the frames of rooms as a new folder, and return what is annotated.

    The folder has a PNG an image and `lvis.json`, whose categories are the things of the label set
    with counts and frequencies of these very images. What is annotated of image i depends on the
    seed and i alone.

    Args:
        scenes: with frames that have labels and instances, as of `generate_room(frames=True)`;
            one is held at a time.
        label_set: of the labels.
        folder: to be made.
        rendering: how.
        seed: of the federation.

    Raises:
        FileExistsError: if the folder exists.
        ImportError: if faster-coco-eval is missing.
        ValueError: if a frame has no labels or no instances.
    """
    categories = tuple(
        LvisCategory(k + 1, label_set.names[i], "r") for k, i in enumerate(label_set.things)
    )
    images: list[LvisImage] = []
    annotations: list[LvisAnnotation] = []
    with whole_folder(folder) as path:
        for scene in scenes:
            for number in range(0, len(scene.frames), rendering.every):
                seen = seen_objects(scene.frames[number], label_set, rendering.shrink)
                name = f"{scene.name}_{number:02d}.png"
                with flushed_file(path / name) as file:
                    Image.fromarray(seen.image).save(file, "PNG")
                rng = np.random.default_rng([seed, len(images)])
                image, found = _annotated(
                    seen,
                    LvisImage(len(images) + 1, name, *seen.image.shape[:2]),
                    len(annotations),
                    len(categories),
                    rendering.federation,
                    rng,
                )
                images.append(image)
                annotations += found
        counted = counted_categories(categories, annotations)
        data = LvisData(tuple(images), counted, tuple(annotations))
        write_lvis(data, path / ANNOTATIONS)
    return data


class SeenObjects(NamedTuple):
    """A picture and every object that it shows."""

    image: UInt8[np.ndarray, "h w 3"]
    masks: Bool[np.ndarray, "m h w"]
    classes: list[int]  # of each mask, its place among the things of the label set


def seen_objects(frame: Frame, label_set: LabelSet, shrink: int) -> SeenObjects:
    """What a frame shows of the things of a label set, in the order of the instance ids.

    Args:
        frame: with labels and instances.
        label_set: of the labels.
        shrink: pixels along each side that become one; rows and columns that are left over at the
            end are cut off.

    Raises:
        ValueError: if the frame has no labels or no instances.
    """
    if frame.labels is None or frame.instances is None:
        raise ValueError("frame must have labels and instances, got none")
    height, width = (side // shrink for side in frame.labels.shape)
    cells = frame.image[: height * shrink, : width * shrink]
    cells = cells.reshape(height, shrink, width, shrink, 3)
    image = cells.mean(axis=(1, 3)).round().astype(np.uint8)
    firsts = np.s_[: height * shrink : shrink, : width * shrink : shrink]
    labels, instances = frame.labels[firsts], frame.instances[firsts]
    place = np.full(label_set.n_classes + 1, -1)  # the last for the label -1
    place[list(label_set.things)] = range(len(label_set.things))
    instances = np.where(place[labels] >= 0, instances, -1)
    ids, first = np.unique(instances, return_index=True)
    ids, first = ids[ids >= 0], first[ids >= 0]
    masks = instances == ids[:, None, None]
    return SeenObjects(image, masks, place[labels.ravel()[first]].tolist())


def _annotated(
    seen: SeenObjects,
    image: LvisImage,
    n_annotations: int,
    n_classes: int,
    rule: Federation,
    rng: np.random.Generator,
) -> tuple[LvisImage, list[LvisAnnotation]]:
    """The image with what is verified, and its annotations."""
    areas = seen.masks.sum(axis=(1, 2)).tolist()
    verified = federate(seen.classes, areas, n_classes, rule, rng)
    found = [
        LvisAnnotation(
            n_annotations + k + 1,
            image.id,
            seen.classes[place] + 1,
            encode_mask(seen.masks[place]),
            float(areas[place]),
            mask_box(seen.masks[place]),
        )
        for k, place in enumerate(verified.annotated)
    ]
    negative = tuple(one + 1 for one in verified.negative)
    incomplete = tuple(one + 1 for one in verified.not_exhaustive)
    image = replace(image, neg_category_ids=negative, not_exhaustive_category_ids=incomplete)
    return image, found
