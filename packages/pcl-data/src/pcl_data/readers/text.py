"""Scans in text files: one point a line, separated by white space, commas or semicolons."""

import warnings
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.readers.raw_scan import RawScan, scan_from_table

_COMMENTS = ("#", "//")
_MAX_LINE = 8192


def read_text(path: Path) -> RawScan:
    """Columns x y z [red green blue [label [instance]]], or those that a first line names.

    The separator is a comma or semicolon if the first row has one, else white space. Lines that
    begin with `#` or `//` are comments; names may stand in the first of them.

    Raises:
        ValueError: naming the line that does not fit, or if there are not 3, 6, 7 or 8 columns.
    """
    with library_errors("text"):
        names, delimiter = _layout(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a file without a line of numbers
            table = np.loadtxt(
                path,
                np.float64,
                comments=_COMMENTS,
                delimiter=delimiter,
                skiprows=0 if names is None else 1,
                ndmin=2,
                encoding="utf-8-sig",
            )
    return scan_from_table(table, names)


def _layout(path: Path) -> tuple[tuple[str, ...] | None, str | None]:
    """Column names, if the first line has x, y and z among its words; and the separator."""
    with path.open(encoding="utf-8-sig") as file:
        first = line = file.readline(_MAX_LINE)
        while line.startswith(_COMMENTS):
            line = file.readline(_MAX_LINE)
    delimiter = next((mark for mark in ",;" if mark in line), None)
    words = first.strip().lstrip("#/ ").split(delimiter)
    names = tuple(word.strip().strip("\"'").lower() for word in words)
    return (names if {"x", "y", "z"} <= set(names) else None), delimiter
