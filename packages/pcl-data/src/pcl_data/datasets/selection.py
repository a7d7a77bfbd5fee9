"""Which scenes a `split` names, in every data set alike."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache

_MOST_COMPARED = 5000  # names that the nearest one is looked for among


def has_pattern(word: str) -> bool:
    """Whether a word is a pattern as a shell has it: `scene00*`, `08/0000[0-4]?`."""
    return any(sign in word for sign in "*?[")


def chosen_names(
    split: str | Iterable[str],
    *,
    splits: Sequence[str],
    names_of: Callable[[str], Sequence[str]],
    every: Callable[[], Sequence[str]],
    group_of: Callable[[str], str] = lambda name: name.rpartition("/")[0],
    is_name: Callable[[str], bool] = lambda word: False,
) -> tuple[str, ...]:
    """Names of the scenes of a split, each once, in the order of its words.

    A word is a split, a name, a group of scenes (a sequence, an area, a room), or a pattern.

    Args:
        split: a word, or several.
        splits: the known splits.
        names_of: lists the scenes of one of them.
        every: lists all scenes that are there; called if a word needs it.
        group_of: the group that a name belongs to.
        is_name: whether a word has the form of a name, and need not be looked up.

    Raises:
        ValueError: if a word comes twice or names nothing: the nearest one that names something.

    Example:
        >>> rooms = ["hall/1", "hall/2", "shop/1"]
        >>> def names_in(split):
        ...     return rooms[:1]
        >>> for split in ("train", "hall", "*/1", ["shop/1", "hall"]):
        ...     chosen_names(
        ...         split, splits=["train"], names_of=names_in, every=lambda: rooms
        ...     )
        ('hall/1',)
        ('hall/1', 'hall/2')
        ('hall/1', 'shop/1')
        ('shop/1', 'hall/1', 'hall/2')
    """
    words = [split] if isinstance(split, str) else list(split)
    twice = [word for word, times in Counter(words).items() if times > 1]
    if twice or not words:
        raise ValueError(f"split must hold names, each once, got {twice[:1] or words}")
    listed = cache(lambda: list(every()))

    def of_word(word: str) -> Sequence[str]:
        if word in splits:
            return names_of(word)
        if is_name(word) and not has_pattern(word):
            return [word]
        names = listed()
        found = [word] if word in names else [name for name in names if group_of(name) == word]
        return found or [name for name in names if fnmatchcase(name, word)]

    chosen: dict[str, None] = {}
    for word in words:
        found = of_word(word)
        if not found:
            groups = {group_of(name) for name in listed()} - {""}
            raise ValueError(_unknown(word, splits, sorted(groups), listed()))
        chosen |= dict.fromkeys(found)
    return tuple(chosen)


def matching_names(names: Sequence[str], pattern: str) -> tuple[str, ...]:
    """The names that match a pattern.

    Raises:
        ValueError: if there is none.
    """
    found = tuple(name for name in names if fnmatchcase(name, pattern))
    if names and not found:
        raise ValueError(
            f"pattern must match one of {len(names)} scenes, {names[0]} the first, got {pattern!r}"
        )
    return found


def few(names: Sequence[str], count: int = 3) -> str:
    """The first names and the number of further ones.

    Example:
        >>> few(["a", "b", "c", "d"], 2)
        'a, b and 2 more'
    """
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _unknown(word: str, splits: Sequence[str], groups: Sequence[str], names: Sequence[str]) -> str:
    nearest = get_close_matches(word, [*splits, *groups, *names][:_MOST_COMPARED], n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    known = [f"one of {few(splits, 8)}"] if splits else []
    known += [f"a group such as {group}" for group in [g for g in groups if g not in splits][:1]]
    known += [f"a name such as {name}" for name in names[:1]]
    return f"split must be {', '.join(known) or 'a name'}, or a pattern, got {word!r}{hint}"
