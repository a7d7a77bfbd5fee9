"""The header of a PLY file: its elements and properties. It is bytes, comments of any encoding."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from pcl_data.readers.size_bounds import file_size

_MAX_HEADER_BYTES = 65536
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_END = re.compile(rb"(?:^|(?<=[\r\n]))end_header[ \t]*(\r\n|\n|\r|\Z)")


@dataclass
class Element:
    """An element: its properties in their order, of one number or a list of them.

    Attributes:
        name: of the element.
        count: rows.
        scalars: type of each property of one number.
        lists: type of the length, and of the values, of each list.
        order: names of all properties.
    """

    name: str
    count: int
    scalars: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, str]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Header:
    """A header: byte order (none of text), elements, and where the data begin."""

    byte_order: str
    elements: tuple[Element, ...]
    start: int

    def element(self, name: str) -> Element | None:
        """The element of a name, if there is one."""
        return next((element for element in self.elements if element.name == name), None)


def read_header(path: Path) -> Header:
    """The header of a file, its counts held against the size of the file.

    Raises:
        ValueError: if there is none, or the file cannot hold what it claims.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_HEADER_BYTES)
    end = _END.search(content)
    if not end:
        raise ValueError(f"no end_header in the first {_MAX_HEADER_BYTES} bytes")
    lines = content[: end.start()].decode("latin-1").splitlines()
    if not lines or lines[0].strip() != "ply":
        raise ValueError("no ply in the first line")
    form, elements = "", []
    for line in lines[1:]:
        match line.split():
            case ["format", name, _]:
                form = name
            case ["element", name, count]:
                elements.append(Element(name, int(count)))
            case ["property", *words] if elements:
                _add_property(elements[-1], words)
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise ValueError(f"the line {line[:80]!r}")
    if form not in _ORDERS:
        raise ValueError(f"format {form!r}, not {', '.join(_ORDERS)}")
    # A carriage return alone ends a line only where it ends the first one too.
    start = end.end() if end[1] != b"\r\n" or b"\r\n" in content[:6] else end.end() - 1
    for element in elements:
        n_bytes = max(1, _least_bytes(element, is_text=form == "ascii"))
        if not 0 <= element.count * n_bytes <= file_size(path):
            raise ValueError(
                f"element {element.name} of {element.count} rows in {file_size(path)} bytes"
            )
    return Header(_ORDERS[form], tuple(elements), start)


def _add_property(element: Element, words: list[str]) -> None:
    *types, name = words
    is_list = types[:1] == ["list"]
    types = [_TYPES.get(word, "") for word in types[is_list:]]
    if len(types) != 1 + is_list or "" in types or (is_list and types[0][0] == "f"):
        raise ValueError(f"the property {' '.join(words)[:80]!r}")
    if name in element.order:
        raise ValueError(f"two properties {name}")
    element.order.append(name)
    if is_list:
        element.lists[name] = types[0], types[1]
    else:
        element.scalars[name] = types[0]


def _least_bytes(element: Element, is_text: bool) -> int:
    """Bytes of a row with empty lists; in text, a digit and a space for each property."""
    if is_text:
        return 2 * len(element.order)
    kinds = [*element.scalars.values(), *(length for length, _ in element.lists.values())]
    return sum(int(kind[1]) for kind in kinds)
