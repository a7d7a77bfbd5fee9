"""The elements of a PLY file: its header, and tables of numbers and lists."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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


def read_elements(path: Path, header: Header, wanted: dict[str, str | None]) -> dict[str, Any]:
    """Some elements of a file.

    Args:
        path: the file.
        header: its header.
        wanted: names of the elements, each with a list to read, or None for its numbers.

    Returns:
        For each element its columns by name; or, of a list, all its values and the length of each.

    Raises:
        ValueError: if the file ends before them.
    """
    reader = _read_text if not header.byte_order else _read_binary
    return reader(path, header, dict(wanted))


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


def _read_binary(path: Path, header: Header, wanted: dict[str, str | None]) -> dict[str, Any]:
    content = np.memmap(path, np.uint8, "r")[header.start :]
    found: dict[str, Any] = {}
    for element in header.elements:
        if not wanted.keys() - found.keys():
            break
        rows, lengths, content = _binary_rows(element, content, header.byte_order)
        if element.name not in wanted or element.name in found:
            continue
        name = wanted[element.name]
        if name is None:
            found[element.name] = {key: rows[key] for key in element.scalars}
        else:
            found[element.name] = rows[name].ravel(), lengths[name]
    return found


def _binary_rows(
    element: Element, content: np.ndarray, byte_order: str
) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
    """The rows, the length of each list in each row, and the bytes that follow."""
    sizes = _first_sizes(element, content, byte_order)
    dtype = _row_type(element, sizes, byte_order)
    n_bytes = element.count * dtype.itemsize
    if n_bytes <= len(content):
        rows = content[:n_bytes].view(dtype) if n_bytes else np.zeros(element.count, dtype)
        if all((rows[f"n {name}"] == size).all() for name, size in sizes.items()):
            lengths = {name: np.full(element.count, size) for name, size in sizes.items()}
            return rows, lengths, content[n_bytes:]
    if not element.lists:
        raise ValueError(f"{element.count} rows of {element.name} in {len(content)} bytes")
    return _uneven_rows(element, content, byte_order)


def _row_type(element: Element, sizes: dict[str, int], byte_order: str) -> np.dtype:
    fields: list[Any] = []
    for name in element.order:
        if name in element.scalars:
            fields.append((name, byte_order + element.scalars[name]))
        else:
            length, value = element.lists[name]
            fields += [(f"n {name}", byte_order + length), (name, byte_order + value, sizes[name])]
    return np.dtype(fields)


def _first_sizes(element: Element, content: np.ndarray, byte_order: str) -> dict[str, int]:
    """The length of each list in the first row."""
    sizes, position = {}, 0
    for name in element.order:
        if name in element.scalars:
            position += int(element.scalars[name][1])
            continue
        length, value = element.lists[name]
        sizes[name] = 0
        if element.count:
            sizes[name], position = _length_at(content, position, byte_order + length)
        position += sizes[name] * int(value[1])
        if position > len(content):
            raise ValueError(f"a list {name} of {sizes[name]} in {len(content)} bytes")
    return sizes


def _length_at(content: np.ndarray, position: int, kind: str) -> tuple[int, int]:
    """A length, and where its list begins."""
    end = position + int(kind[-1])
    if end > len(content):
        raise ValueError(f"its end at byte {len(content)} of the data")
    length = int(content[position:end].view(kind)[0])
    if length < 0:
        raise ValueError(f"a list of {length}")
    return length, end


def _uneven_rows(
    element: Element, content: np.ndarray, byte_order: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Rows whose lists have several lengths, one by one."""
    data, position = content.tobytes(), 0
    parts: dict[str, list[bytes]] = {name: [] for name in element.order}
    lengths: dict[str, list[int]] = {name: [] for name in element.lists}
    order = "big" if byte_order == ">" else "little"
    for _ in range(element.count):
        for name in element.order:
            kind, n = element.scalars.get(name), 1
            if kind is None:
                length_kind, kind = element.lists[name]
                end = position + int(length_kind[1])
                n = int.from_bytes(data[position:end], order, signed=length_kind[0] == "i")
                position = end
                lengths[name].append(n)
            end = position + n * int(kind[1])
            if n < 0 or end > len(data):
                raise ValueError(f"a list of {n} at byte {position} of {len(data)}")
            parts[name].append(data[position:end])
            position = end
    kinds = element.scalars | {name: value for name, (_, value) in element.lists.items()}
    rows = {
        name: np.frombuffer(b"".join(part), byte_order + kinds[name])
        for name, part in parts.items()
    }
    sizes = {name: np.array(length, np.int64) for name, length in lengths.items()}
    return rows, sizes, content[position:]


def _read_text(path: Path, header: Header, wanted: dict[str, str | None]) -> dict[str, Any]:
    lines = path.read_bytes()[header.start :].decode("latin-1").splitlines()
    lines = [line for line in lines if line.strip()]
    found: dict[str, Any] = {}
    for element in header.elements:
        rows, lines = lines[: element.count], lines[element.count :]
        if element.name not in wanted or element.name in found:
            continue
        if len(rows) < element.count:
            raise ValueError(f"{element.count} rows of {element.name}, got {len(rows)}")
        name = wanted[element.name]
        found[element.name] = (
            _text_columns(element, rows) if name is None else _text_lists(element, rows, name)
        )
    return found


def _text_columns(element: Element, rows: list[str]) -> dict[str, np.ndarray]:
    if element.lists:
        values = {name: _text_lists(element, rows, name)[0] for name in element.scalars}
    else:
        table = np.zeros((0, len(element.order)))
        if rows:
            table = np.loadtxt(rows, np.float64, ndmin=2, comments=None)
        if table.shape[1] != len(element.order):
            raise ValueError(f"{len(element.order)} properties, got {table.shape[1]} in a row")
        values = dict(zip(element.order, table.T, strict=True))
    return {name: _typed(column, element.scalars[name]) for name, column in values.items()}


def _typed(values: np.ndarray, kind: str) -> np.ndarray:
    """Values in the type of their property, if it holds them."""
    with np.errstate(invalid="ignore", over="ignore"):
        typed = values.astype(kind)
    return typed if kind[0] == "f" or np.array_equal(typed, values) else values


def _text_lists(
    element: Element, rows: list[str], wanted: str
) -> tuple[np.ndarray, np.ndarray]:
    """All values of a property, and how many of them each row has."""
    values: list[str] = []
    lengths = np.zeros(len(rows), np.int64)
    for i, row in enumerate(rows):
        words, position = row.split(), 0
        for name in element.order:
            n = 1
            if name in element.lists:
                n = int(words[position])
                position += 1
            if n < 0 or position + n > len(words):
                raise ValueError(f"row {i} of {element.name}: a list of {n}")
            if name == wanted:
                values += words[position : position + n]
                lengths[i] = n
            position += n
    kind = element.lists[wanted][1] if wanted in element.lists else "f8"
    return _typed(np.array(values, np.float64), kind), lengths
