"""Settings that had another name: read as the new one, with a warning, where one says the same."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]


def renamed_overrides(renamed: Mapping[str, str], overrides: Sequence[str]) -> list[str]:
    """Overrides in the words of today.

    Args:
        renamed: as `Config.renamed` has it; only values with `{}` are exact equals.
        overrides: `group.key=value`.

    Raises:
        ValueError: if a setting is given by its old name and by its new one.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore")
        >>> renamed_overrides(
        ...     {"data.n_labeled": "data.budget={}scenes"}, ["data.n_labeled=4"]
        ... )
        ['data.budget=4scenes']
    """
    given = {text.partition("=")[0] for text in overrides}
    found = []
    for text in overrides:
        old, equals, value = text.partition("=")
        form = renamed.get(old, "")
        if equals and "{}" in form:
            _check_once(old, form, form.partition("=")[0] in given)
            text = form.replace("{}", value)
            _warn(old, text)
        found.append(text)
    return found


def renamed_settings(renamed: Mapping[str, str], tree: Tree, source: str = "") -> Tree:
    """Nested settings in the words of today.

    Args:
        renamed: as `Config.renamed` has it; only values with `{}` are exact equals.
        tree: settings by group; it stays as it is.
        source: what the warnings begin with, such as the name of the file.

    Raises:
        ValueError: if a setting is given by its old name and by its new one.
    """
    for old, form in renamed.items():
        if "{}" not in form or not holds(tree, old):
            continue
        new, _, value_form = form.partition("=")
        _check_once(old, form, holds(tree, new))
        tree, value = _without(tree, old.split("."))
        if value_form != "{}":
            value = value_form.replace("{}", str(value))
        tree = _with(tree, new.split("."), value)
        _warn(source + old, f"{new}={value}")
    return tree


def holds(tree: Any, path: str) -> bool:
    """Whether nested settings have one of a dotted path.

    Example:
        >>> holds({"data": {"root": None}}, "data.root"), holds({"data": 3}, "data.root")
        (True, False)
    """
    for key in path.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def _check_once(old: str, form: str, is_given: bool) -> None:
    if is_given:
        new = form.partition("=")[0]
        raise ValueError(f"{new} must be given once, got also {old}, its old name")


def _warn(old: str, text: str) -> None:
    new = text.partition("=")[0]
    warnings.warn(f"{old} is now {new}: it is read as {text}", stacklevel=2)


def _without(tree: Tree, keys: list[str]) -> tuple[dict[str, Any], Any]:
    """The settings but for one, and its value; a group that nothing is left of goes as well."""
    rest = dict(tree)
    below = rest.pop(keys[0])
    if len(keys) == 1:
        return rest, below
    below, value = _without(below, keys[1:])
    return (rest | {keys[0]: below} if below else rest), value


def _with(tree: Tree, keys: list[str], value: Any) -> dict[str, Any]:
    if len(keys) > 1:
        below = tree.get(keys[0]) or {}
        if not isinstance(below, Mapping):
            raise ValueError(f"{keys[0]} must hold settings by name, got {below!r}")
        value = _with(below, keys[1:], value)
    return {**tree, keys[0]: value}
