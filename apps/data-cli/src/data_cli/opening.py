"""Words of the command line to data sets."""

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pcl_data import label_set as label_sets
from pcl_data.dataset import Dataset
from pcl_data.datasets import (
    S3DIS,
    KittiObject,
    NuScenes,
    ScanNet,
    SceneFolder,
    SemanticKitti,
    SevenScenes,
    SunRgbd,
    Waymo,
)
from pcl_data.shards import ShardFolder

KINDS: dict[str, Callable[..., Dataset]] = {
    "folder": SceneFolder,
    "shards": ShardFolder,
    "scannet": ScanNet,
    "s3dis": S3DIS,
    "sunrgbd": SunRgbd,
    "sevenscenes": SevenScenes,
    "semantickitti": SemanticKitti,
    "nuscenes": NuScenes,
    "waymo": Waymo,
    "kitti": KittiObject,
}
LABEL_SETS = {
    value.name: value
    for value in vars(label_sets).values()
    if isinstance(value, label_sets.LabelSet)
}


def open_dataset(root: Path, kind: str, split: str | None, options: Sequence[str]) -> Dataset:
    """The data set at `root`.

    Args:
        root: its folder.
        kind: one of `KINDS`.
        split: an official split, or names with a comma after each.
        options: `key=value` of the reader's options; a label set by its name.

    Raises:
        ValueError: if a word is not known: the nearest one that is.
        FileNotFoundError: if files are missing.
    """
    reader = KINDS[chosen("kind", kind, KINDS)]
    arguments = read_options(reader, options)
    if split is not None:
        names = [name for name in split.split(",") if name]
        arguments["split"] = names if "," in split else split
        check_keys(reader, arguments)
    return reader(root, **arguments)


def read_options(reader: Callable[..., Any], options: Sequence[str]) -> dict[str, Any]:
    """Values of `key=value` words, as YAML reads them; what is no YAML (`*.ply`) is text.

    Raises:
        ValueError: if a word has no `=`, or the reader has no such option.
    """
    arguments: dict[str, Any] = {}
    for word in options:
        key, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"options must be key=value, got {word!r}")
        try:
            arguments[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            arguments[key] = text
    check_keys(reader, arguments)
    if "label_set" in arguments:
        name = str(arguments["label_set"])
        arguments["label_set"] = LABEL_SETS[chosen("label_set", name, LABEL_SETS)]
    return arguments


def check_keys(reader: Callable[..., Any], arguments: Sequence[str] | dict[str, Any]) -> None:
    """Return quietly if the reader takes these options.

    Raises:
        ValueError: naming the nearest option.
    """
    known = [name for name in inspect.signature(reader).parameters if name != "root"]
    for key in arguments:
        chosen("option", key, known)


def chosen(what: str, word: str, known: Sequence[str] | dict[str, Any]) -> str:
    """The word, if it is known.

    Raises:
        ValueError: naming the known words and the nearest one.
    """
    if word in known:
        return word
    nearest = get_close_matches(word, known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{what} must be one of {', '.join(known) or 'none'}, got {word!r}{hint}")
