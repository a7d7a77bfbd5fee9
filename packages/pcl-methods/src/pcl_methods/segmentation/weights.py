"""Weights that a network starts from: of a run of any app, of a file, or published by others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch import Tensor, nn

from pcl_backbones import load_published_checkpoint, read_card
from pcl_data import LabelSet
from pcl_methods.cards import reading_card

FILES = ("model.safetensors", "backbone.safetensors")  # of a run folder, in this order
_HEAD = "semantic_head.final."  # whose last axis are classes
_RECORRECTOR_HEAD = "recorrector.class_head."
_PLACES = ("backbone.", "network.backbone.")  # of a backbone among the names of a network


@dataclass(frozen=True)
class InitialWeights:
    """What a network starts from.

    Args:
        path: the file.
        card: what the file says of itself; {} of a published one.
        loaded: names of the network that were filled.
        fresh: names of the network that stay as they were drawn.
        unused: names of the file that the network has no place for.
        classes: names of the classes whose rows of the head were taken; None where all were.
    """

    path: Path
    card: Mapping[str, Any]
    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    classes: tuple[str, ...] | None = None

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.fresh)
        told = [f"{key} {self.card[key]}" for key in ("method", "voxel_size") if key in self.card]
        what = f" ({', '.join(told)})" if told else ""
        parts = [f"starts from {self.path}{what}: {len(self.loaded)} of {total} tensors"]
        if self.classes is not None:
            parts.append(f"the head for {len(self.classes)} classes that both have")
        if self.fresh:
            parts.append(f"fresh: {_groups(self.fresh)}")
        if self.unused:
            parts.append(f"not used: {_groups(self.unused)}")
        return "; ".join(parts)


def load_initial_weights(
    network: nn.Module,
    init: Path,
    *,
    expected: Mapping[str, Any] | None = None,
    label_set: LabelSet | None = None,
) -> InitialWeights:
    """Fill what fits of a network from a run of any app, a file of ours, or a published file.

    A file of ours is a safetensors file with a card. All tensors of the backbone must fit. Heads
    are filled where they have the same shape and the label set is the same; of the head of another
    label set, the columns of the classes that both have; the class head of a re-correction network
    stays fresh then. Everything else is read by `load_published_checkpoint`.

    Args:
        network: a backbone, or a network with a `backbone`.
        init: a run folder, or a file.
        expected: what the card must say where it says it, such as the name of the backbone.
        label_set: of the network's head.

    Raises:
        ValueError: if there is no such file, or it is of another network: how many tensors fit.
    """
    path = weights_file(init)
    card = read_card(path) if path.suffix == ".safetensors" else {}
    if not card:
        return _load_published(network, path)
    with reading_card(path):
        told = dict(card) | dict(card.get("network") or {})
        known = _classes(card)
    for key, wanted in (expected or {}).items():
        if told.get(key, wanted) != wanted:
            raise ValueError(f"init must be of {key} {wanted}, got {told[key]} in {path}")
    own = network.state_dict()
    stored = _renamed(load_file(path), own)
    classes = None
    if label_set is not None and known and known != label_set.names:
        stored, classes = _shared_classes(stored, own, known, label_set)
    fits = {name for name in own if name in stored and stored[name].shape == own[name].shape}
    backbone = [name for name in own if _is_backbone(name)] or list(own)
    lacking = [name for name in backbone if name not in fits]
    if lacking:
        raise ValueError(
            f"init must fit the backbone, got {len(backbone) - len(lacking)} of {len(backbone)} "
            f"tensors in {path}: {_groups(tuple(lacking))} of another network or size"
        )
    network.load_state_dict({name: stored[name] for name in fits}, strict=False)
    return InitialWeights(
        path,
        card,
        tuple(name for name in own if name in fits),
        tuple(name for name in own if name not in fits),
        tuple(name for name in stored if name not in fits),
        classes,
    )


def weights_file(init: Path) -> Path:
    """The weights of a run folder, or the file itself.

    Raises:
        ValueError: if there are none.
    """
    if init.is_dir():
        found = [init / name for name in FILES if (init / name).is_file()]
        if not found:
            raise ValueError(f"weights must be of a finished run or a file, got the folder {init}")
        return found[0]
    if not init.is_file():
        raise ValueError(f"weights must be of a finished run or a file, got {init}")
    return init


def _load_published(network: nn.Module, path: Path) -> InitialWeights:
    own = list(network.state_dict())
    prefix = next((start for start in _PLACES if any(n.startswith(start) for n in own)), "")
    report = load_published_checkpoint(network.get_submodule(prefix.rstrip(".")), path)
    loaded = {prefix + name for name in report.loaded}
    return InitialWeights(
        path,
        {"method": "published"},
        tuple(name for name in own if name in loaded),
        tuple(name for name in own if name not in loaded),
        (*report.unused, *report.mismatched),
    )


def _renamed(stored: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file under the names of the network: of a part of it, or of more."""
    choices = [dict(stored)]
    for prefix in ("network.", *_PLACES):
        choices.append({prefix + name: value for name, value in stored.items()})
        choices.append({name.removeprefix(prefix): value for name, value in stored.items()})
    return max(choices, key=lambda names: len(names.keys() & own.keys()))


def _is_backbone(name: str) -> bool:
    return name.startswith(_PLACES)


def _classes(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes that the weights know; () where they do not say."""
    names = (card.get("label_set") or {}).get("names", ())
    return TypeAdapter(tuple[str, ...]).validate_python(names)


def _shared_classes(
    stored: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    known: tuple[str, ...],
    label_set: LabelSet,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors whose last axis are the classes of one label set, as those of another.

    The class head of a re-correction network is left out: its hidden layer knows the old classes.
    """
    shared = [name for name in label_set.names if name in known]
    to = [label_set.names.index(name) for name in shared]
    source = [known.index(name) for name in shared]
    found = {}
    for name, value in stored.items():
        if name.startswith(_RECORRECTOR_HEAD):  # of other classes, be they as many
            continue
        is_head = _HEAD in name and name in own and value.ndim and value.shape[-1] == len(known)
        if is_head and own[name].shape[:-1] == value.shape[:-1]:
            value, old = own[name].clone(), value
            value[..., to] = old[..., source]
        found[name] = value
    return found, tuple(shared)


def _groups(names: tuple[str, ...]) -> str:
    """Names by their first part, with a count: `semantic_head (2), recorrector (30)`."""
    counts: dict[str, int] = {}
    for name in names:
        group = name.partition(".")[0]
        counts[group] = counts.get(group, 0) + 1
    return ", ".join(f"{group} ({count})" for group, count in counts.items())
