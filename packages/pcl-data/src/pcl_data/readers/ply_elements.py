"""The elements of a PLY file: tables of numbers, and of lists."""

from pathlib import Path
from typing import Any

import numpy as np

from pcl_data.readers.ply_header import Element, Header


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


def _text_lists(element: Element, rows: list[str], wanted: str) -> tuple[np.ndarray, np.ndarray]:
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
