"""Random seeds: one for a process, and one for each step of a stage."""

import hashlib
import random
from typing import Annotated

from pydantic import Field

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what every generator takes, and sums of it


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch (all devices)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def derive_seed(*parts: int | str) -> int:
    """A seed below 2^63 that depends on every part, the same on every machine.

    Example:
        >>> derive_seed(0, "round_0", 7) == derive_seed(0, "round_0", 7)
        True
        >>> derive_seed(0, "round_0", 7) == derive_seed(0, "round_0", 8)
        False
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
