"""Cells and headings of the tables in `results/`."""

import statistics
from collections.abc import Iterable, Sequence


def cell(values: Sequence[float | None], scale: float = 100) -> str:
    """Mean and standard deviation over seeds; the number alone of one seed."""
    known = [value * scale for value in values if value is not None]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.1f}"
    return f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f}"


def heading(title: str, columns: Iterable[object]) -> list[str]:
    """The first lines of a table with a row for each name."""
    names = [str(column) for column in columns]
    row = "| row | " + " | ".join(names) + " |"
    return ["", f"{title}:", "", row, "|" + "---|" * (len(names) + 1)]
