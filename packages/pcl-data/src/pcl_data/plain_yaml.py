"""YAML that people write, read with bounds.

A hundred bytes with aliases (`&a`, `*a`) stand for more than fits in memory: what they stand for is
counted before it is made. A key that comes twice, of which YAML keeps the last without a word, is
an error.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

from pcl_data.file_errors import library_errors

MAX_VALUES = 1_000_000  # of a document, with all that its aliases stand for


def load_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        ValueError: if it is no YAML, nested too deep, holds itself, more than `MAX_VALUES`, or a
            key twice.

    Example:
        >>> load_yaml("{label: semanticID}")
        {'label': 'semanticID'}
    """
    with library_errors("YAML"):
        try:
            return yaml.load(text, _PlainLoader)
        except yaml.MarkedYAMLError as error:
            line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ValueError(f"{error.problem}{line}") from error


class _PlainLoader(yaml.SafeLoader):
    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        n_values = 0 if node is None else _n_values(node, {})
        if n_values > MAX_VALUES:
            raise ValueError(f"aliases that stand for {n_values:.3g} values, over {MAX_VALUES}")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [key for key, times in keys.items() if times > 1 and key != "<<"]
        if twice:
            raise ValueError(f"the key {twice[0]!r:.80} twice")
        return super().construct_mapping(node, deep)


def _n_values(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node, each as often as an alias repeats it."""
    if id(node) not in known:
        known[id(node)] = 0  # in the making
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_n_values(part, known) for part in parts)
    elif not known[id(node)]:
        raise ValueError("an alias of what it is in")
    return known[id(node)]
