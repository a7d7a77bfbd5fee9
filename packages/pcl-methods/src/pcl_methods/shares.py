"""Work on many scenes in shares, one on each machine."""

import re
from collections.abc import Sequence

from pcl_pseudolabel import shard


def read_share(text: str) -> tuple[int, int]:
    """Which share of how many, from a word such as `0/4`.

    Raises:
        ValueError: if it has another form.

    Example:
        >>> read_share("0/4")
        (0, 4)
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match:
        raise ValueError(f"shard must have the form i/n such as 0/4, got {text}")
    return int(match[1]), int(match[2])


def share_of(names: Sequence[str], text: str | None) -> Sequence[str]:
    """The names of a share (`pcl_pseudolabel.shard`); all without a word.

    Raises:
        ValueError: if the word has another form, or there is no such share.

    Example:
        >>> share_of(["b", "a", "c"], "0/2")
        ['a', 'c']
    """
    return names if text is None else shard(names, *read_share(text))
