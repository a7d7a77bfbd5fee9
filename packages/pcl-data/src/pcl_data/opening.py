"""Data sets by a word: what a command line and a configuration open."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pcl_data import label_set as label_sets
from pcl_data.dataset import Dataset
from pcl_data.datasets import (
    S3DIS,
    FrameFolder,
    KittiObject,
    NuScenes,
    ScanNet,
    SceneFolder,
    SemanticKitti,
    SevenScenes,
    SunRgbd,
    Waymo,
)
from pcl_data.plain_yaml import load_yaml
from pcl_data.shards import ShardFolder

KINDS: dict[str, Callable[..., Dataset]] = {
    "folder": SceneFolder,
    "shards": ShardFolder,
    "frames": FrameFolder,
    "scannet": ScanNet,
    "s3dis": S3DIS,
    "sunrgbd": SunRgbd,
    "sevenscenes": SevenScenes,
    "semantickitti": SemanticKitti,
    "nuscenes": NuScenes,
    "waymo": Waymo,
    "kitti": KittiObject,
}
# The official split that is scored where a network learns from the others.
HELD_OUT = {
    "scannet": "val",
    "s3dis": "val",
    "sunrgbd": "val",
    "sevenscenes": "test",
    "semantickitti": "val",
    "nuscenes": "val",
    "waymo": "validation",
    "kitti": "val",
}
# Parameters of data sets that are arguments of their own where one is opened.
_ELSEWHERE = ("root", "n_rooms", "n_sequences", "seed")
LABEL_SETS = {
    value.name: value
    for value in vars(label_sets).values()
    if isinstance(value, label_sets.LabelSet)
}


def open_dataset(
    root: Path, kind: str, split: str | None = None, options: Mapping[str, Any] | None = None
) -> Dataset:
    """The data set at `root`.

    Args:
        root: its folder.
        kind: one of `KINDS`.
        split: an official split, a group of scenes (a sequence, an area), a name, a pattern, or
            several of these with commas between them; None takes the usual split.
        options: of the reader, as `read_options` takes them.

    Raises:
        ValueError: if a word is not known: the nearest one that is.
        FileNotFoundError: if files are missing.
    """
    reader = KINDS[chosen("kind", kind, KINDS)]
    arguments = read_options(reader, options or {})
    if split is not None:
        words = [word for word in split.split(",") if word]
        arguments["split"] = words if "," in split else split
        check_keys(reader, arguments)
    return reader(root, **arguments)


def read_words(words: Sequence[str]) -> dict[str, str]:
    """Options of a command line by key.

    Raises:
        ValueError: if a word is not `key=value`.

    Example:
        >>> read_words(["label_set=scannet20", "max_extent=50"])
        {'label_set': 'scannet20', 'max_extent': '50'}
    """
    options = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"options must be key=value, got {word!r}")
        options[key] = text
    return options


def read_options(reader: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the reader takes them.

    Text is read as YAML where the reader takes something else than text; what is no YAML (`*.ply`)
    is text. A label set is named by its word.

    Raises:
        ValueError: if the reader has no such option, or it takes no such value.
    """
    check_keys(reader, options)
    parameters = _parameters(reader)
    arguments = {key: _fitted(key, value, parameters[key]) for key, value in options.items()}
    if "label_set" in arguments:
        name = str(options["label_set"])
        arguments["label_set"] = LABEL_SETS[chosen("label_set", name, LABEL_SETS)]
    return arguments


def check_keys(reader: Callable[..., Any], arguments: Sequence[str] | Mapping[str, Any]) -> None:
    """Return quietly if the reader takes these options.

    Raises:
        ValueError: naming the nearest option.
    """
    known = [name for name in _parameters(reader) if name not in _ELSEWHERE]
    for key in arguments:
        chosen("option", key, known)


def _parameters(reader: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters of a reader, and of the classes that it hands its `**options` on to."""
    makers = inspect.getmro(reader) if inspect.isclass(reader) else (reader,)
    found: dict[str, inspect.Parameter] = {}
    for maker in makers:
        parameters = inspect.signature(maker).parameters
        found = dict(parameters) | found
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return {key: value for key, value in found.items() if value.kind is not value.VAR_KEYWORD}


def _fitted(key: str, given: Any, parameter: inspect.Parameter) -> Any:
    """The value if the parameter takes its type; text where it takes text (`split=08`)."""
    if key == "label_set":
        return given
    value = _parsed(given) if isinstance(given, str) else given
    kind = parameter.annotation
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if any(get_origin(kind) is Literal for kind in kinds):
        return value  # the reader names its words
    types = tuple(get_origin(kind) or kind for kind in kinds)
    if isinstance(value, types) and (bool in types or not isinstance(value, bool)):
        return value
    if float in types and type(value) is int:
        return float(value)
    if str in types and not isinstance(value, list | dict):
        return str(given)
    names = " or ".join(kind.__name__ for kind in types if kind is not NoneType)
    raise ValueError(f"{key} must be of type {names}, got {given!r}")


def _parsed(text: str) -> Any:
    try:
        return load_yaml(text)
    except ValueError:
        return text


def chosen(what: str, word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The word, if it is known.

    Raises:
        ValueError: naming the known words and the nearest one.
    """
    if word in known:
        return word
    nearest = get_close_matches(word, known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{what} must be one of {', '.join(known) or 'none'}, got {word!r}{hint}")
