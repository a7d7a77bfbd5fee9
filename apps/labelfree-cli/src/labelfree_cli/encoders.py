"""The image encoder that a word names, and the texts of the classes in its space."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labelfree_cli.config import ClassesConfig, ImagesConfig
from pcl_clip3d import PROMPT_TEMPLATES, DenseClip, encode_class_names
from pcl_data import LabelSet
from pcl_methods.labelfree.classes import class_texts

SMALL = "small"
SMALL_VIEW = {"short_side": 120, "window": 64, "stride": 32}  # pixels, unless settings say others
ATTENTION, SMALL_ATTENTION = "identity", "own"  # unless settings say others
LICENSES = {SMALL: "Apache-2.0, trained by this project on generated rooms and streets"}


class Encoders(NamedTuple):
    """An image encoder and its classes."""

    clip: DenseClip
    text_features: Tensor  # (c, d)
    license: str


def open_clip_model(images: ImagesConfig, device: torch.device) -> DenseClip:
    """The encoder that settings name.

    Raises:
        ValueError: if there is no such model, or a file is of another.
        ImportError: if open_clip is missing.
    """
    view = {name: getattr(images, name) for name in SMALL_VIEW}
    if images.clip == SMALL and not any(view.values()):
        view = SMALL_VIEW
    attention = SMALL_ATTENTION if images.clip == SMALL else ATTENTION
    options: dict[str, Any] = {"attention": images.attention or attention, **view}
    if images.clip == SMALL:
        with as_file(files("labelfree_cli") / "small_clip") as folder:
            clip = DenseClip.load(str(folder), **options)
    elif Path(images.clip).is_dir():
        clip = DenseClip.load(images.clip, **options)
    else:
        name, _, weights = images.clip.partition("/")
        if not weights:
            raise ValueError(
                "images.clip must be small, MODEL/WEIGHTS such as ViT-B-16/openai, or a folder, "
                f"got {images.clip!r}"
            )
        clip = DenseClip.load(name, weights, **options)
    return clip.to(device).eval()


def license_of(images: ImagesConfig) -> str:
    """What is known of the licence of the weights."""
    return LICENSES.get(images.clip, "that of its publisher: see the model card of the weights")


def encode_classes(clip: DenseClip, classes: ClassesConfig, label_set: LabelSet) -> Tensor:
    """The embedding of each class, (c, d) unit rows.

    Raises:
        ValueError: if synonyms are of no class, or the encoder does not know a word.
    """
    unknown = sorted(set(classes.synonyms) - set(label_set.names))
    if unknown:
        raise ValueError(
            f"classes.synonyms must be of classes of {label_set.name}, got {unknown[0]!r}"
        )
    texts = class_texts(label_set)
    named = zip(label_set.names, texts, strict=True)
    synonyms = {t: classes.synonyms[name] for name, t in named if name in classes.synonyms}
    templates = classes.templates or PROMPT_TEMPLATES
    return encode_class_names(texts, clip.encode_text, templates=templates, synonyms=synonyms)
