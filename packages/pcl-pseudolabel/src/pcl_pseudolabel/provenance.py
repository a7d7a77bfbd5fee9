"""What pseudo-labels were made from, and who makes which: hashes and shards."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Provenance:
    """What a scene's pseudo-labels are a pure function of, besides the scene.

    Example:
        >>> Provenance(weights="9f2c", configuration="01ab", round=1)
        Provenance(weights='9f2c', configuration='01ab', round=1)
    """

    weights: str
    """`hash_weights` of the networks."""
    configuration: str
    """`hash_configuration` of the settings."""
    round: int
    """Self-training round."""


def hash_weights(state_dict: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes; independent of order and device.

    Example:
        >>> import torch
        >>> a, b = torch.zeros(2), torch.ones(3)
        >>> hash_weights({"a": a, "b": b}) == hash_weights({"b": b, "a": a})
        True
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(state_dict.items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def hash_configuration(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of settings as JSON with sorted keys.

    Raises:
        TypeError: if a value is not one of JSON's types.

    Example:
        >>> hash_configuration({"radius": 0.03, "round": 1})[:8]
        '2a53a94c'
    """
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shard(names: Iterable[str], index: int, count: int) -> list[str]:
    """Part `index` of `count` of the names, which together are all of them, once each.

    The same whatever order the names come in, so shards need not talk to each other. Sizes
    differ by one at most.

    Args:
        names: scene names.
        index: from 0 to count - 1.
        count: number of parts.

    Raises:
        ValueError: if count < 1 or index is outside [0, count).

    Example:
        >>> shard(["c", "a", "b"], 0, 2)
        ['a', 'c']
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if not 0 <= index < count:
        raise ValueError(f"index must lie in [0, {count}), got {index}")
    return sorted(names)[index::count]
