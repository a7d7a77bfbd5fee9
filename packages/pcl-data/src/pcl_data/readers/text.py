"""Scans in text files: one point a line, separated by white space, commas or semicolons."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.scan_columns import scan_from_columns
from pcl_data.readers.table import scan_from_table

_COMMENTS = ("#", "//")
_MAX_LINE = 8192
_MAX_HEADER_LINES = 256
_XYZ = {"x", "y", "z"}
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Layout:
    """Names of the columns, their separator, rows that the file announces, where rows begin."""

    names: tuple[str, ...] | None
    delimiter: str | None
    n_rows: int | None
    start: int


def read_text(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """Columns that a first line names, or those of `scan_from_table`.

    The separator is a semicolon or comma if the first row has one, else white space. Lines that
    begin with `#` or `//` are comments; names may stand in one of those before the rows. A line of
    one whole number before the rows (PTS) is the number of the rows. Comments and names may be of
    any encoding.

    Raises:
        ValueError: naming the line that does not fit, or the columns that are not understood.
    """
    with library_errors("text"), path.open("rb") as file:
        layout = _layout(file, columns)
        file.seek(layout.start)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a file without a line of numbers
            table = np.loadtxt(
                io.TextIOWrapper(file, encoding="latin-1"),
                np.float64,
                comments=_COMMENTS,
                delimiter=layout.delimiter,
                ndmin=2,
            )
        if layout.n_rows not in (None, len(table)):
            raise ValueError(f"{layout.n_rows} rows announced, got {len(table)}")
    if layout.names is None:
        return scan_from_table(table, path, columns)
    if len(layout.names) != table.shape[1]:
        raise ValueError(
            f"rows must have the {len(layout.names)} columns named, got {table.shape[1]}"
        )
    return scan_from_columns(dict(zip(layout.names, table.T, strict=True)), columns)


def text_columns(path: Path) -> tuple[str, ...]:
    """Names of the columns, if a first line gives them."""
    with library_errors("text"), path.open("rb") as file:
        return _layout(file).names or ()


def _layout(file: io.BufferedReader, columns: Mapping[str, str] | None = None) -> _Layout:
    """What the lines before the rows say; `columns` tells names in a comment from other words."""
    comments, names, n_rows = [], None, None
    start, line = _line(file)
    for _ in range(_MAX_HEADER_LINES):
        words = line.split(_delimiter(line))
        if line.startswith(_COMMENTS) or (line and not line.strip()):
            comments.append(line.lstrip("#/ \t"))
        elif names is None and words and not _are_numbers(words):
            names = _names(line)
        elif n_rows is None and len(words) == 1 and line.strip().isdecimal():
            n_rows = int(line)
        else:
            break
        start, line = _line(file)
    if names is None:
        asked = set(map(str.lower, (columns or {}).values())) or _XYZ
        found = {each: set(map(str.lower, each)) for each in map(_names, comments)}
        names = next((each for each, has in found.items() if asked <= has or _XYZ <= has), None)
    return _Layout(names, _delimiter(line), n_rows, start)


def _line(file: io.BufferedReader) -> tuple[int, str]:
    """Where the next line begins, and its text."""
    start = file.tell()
    line = file.readline(_MAX_LINE)
    text = line.removeprefix(_UTF8_MARK)
    return start + len(line) - len(text), text.decode("latin-1")


def _delimiter(line: str) -> str | None:
    return next((mark for mark in ";," if mark in line), None)


def _names(line: str) -> tuple[str, ...]:
    """Words between separators; between tabs if there are any, since names may hold spaces."""
    delimiter = _delimiter(line) or ("\t" if "\t" in line.strip() else None)
    return tuple(word.strip().strip("\"'") for word in line.strip().split(delimiter))


def _are_numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False
