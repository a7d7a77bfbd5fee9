"""YAML of settings: what a few bytes can make is bounded, and every fault is one `ValueError`."""

from typing import Any

import yaml

MAX_SIZE = 2**18  # characters, of the text and of what its aliases stand for
MAX_DEPTH = 50  # of groups in groups
MAX_DIGITS = 100  # of a number


class _Loader(yaml.SafeLoader):
    """Bounded in depth, and without dates: `2024-13-45` would be an error of the calendar."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in its base
        first: [(tag, form) for tag, form in kinds if not tag.endswith(":timestamp")]
        for first, kinds in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"must have at most {MAX_DEPTH} groups in groups")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(text: str | bytes) -> Any:
    """The value that a YAML text stands for.

    Raises:
        ValueError: if it is no YAML, or more than settings can be (`MAX_SIZE`, `MAX_DEPTH`).

    Example:
        >>> read_yaml("train: {steps: 3}")
        {'train': {'steps': 3}}
    """
    if len(text) > MAX_SIZE:
        raise ValueError(f"must have at most {MAX_SIZE} bytes")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        where = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"is not YAML{where}: {problem}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"is not YAML: {error}") from None  # of a value with a tag, `!!int ""`


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Characters and depth of a node, its aliases written out."""
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise ValueError("must not have an alias inside of what it stands for")
        return measured
    known[id(node)] = None
    size, depth = 1, 1
    if isinstance(node, yaml.ScalarNode):
        size += len(node.value)
        if node.tag.endswith((":int", ":float")) and size > MAX_DIGITS:
            raise ValueError(f"must have numbers of at most {MAX_DIGITS} digits")
    for below in _children(node):
        below_size, below_depth = _measure(below, known)
        size, depth = size + below_size, max(depth, 1 + below_depth)
    if size > MAX_SIZE or depth > MAX_DEPTH:
        raise ValueError(
            f"must have at most {MAX_SIZE} characters, and {MAX_DEPTH} groups in groups, with what "
            "its aliases stand for"
        )
    known[id(node)] = size, depth
    return size, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
