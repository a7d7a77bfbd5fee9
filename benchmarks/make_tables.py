"""Every table of `results/`, made from the records alone.

python benchmarks/make_tables.py
"""

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from records import RESULTS, Record, Table, read_records, read_table

SCORES = {
    "miou": "mIoU",
    "f_miou": "Foreground mIoU",
    "map25": "AP25 of boxes",
    "map50": "AP50 of boxes",
    "ap": "AP",
    "ap50": "AP50",
    "ap_r": "AP of rare classes",
    "ap_c": "AP of common classes",
    "ap_f": "AP of frequent classes",
    "ece": "ECE",
    "object_coverage": "Objects of a scene that the points hit",
    "relative_speed": "Speed, of one training alone with the library's default",
}
ROUND_SCORES = {
    "ap": "AP",
    "ap50": "AP50",
    "ap25": "AP25",
    "ap_head": "AP head",
    "ap_common": "AP common",
    "ap_tail": "AP tail",
    "ap_r": "AP rare",
    "ap_c": "AP common",
    "ap_f": "AP frequent",
    "miou": "mIoU",
    "ece": "ECE",
    "ece_teacher": "ECE of the teacher",
    "pseudo_semantic_accuracy": "pseudo-label accuracy",
    "pseudo_offset_error": "offset error (cm)",
    "pseudo_coverage": "pseudo-label coverage",
}
UNKNOWN = "-"  # not measured, or not defined
NOT_KEPT = "not kept"  # by seed: mean and deviation alone are known
Show = Callable[[Sequence[Record], str], str]


def make_table(name: str, results: Path = RESULTS) -> Path:
    """Write `results/NAME.md` from its records, and return it."""
    path = results / f"{name}.md"
    path.write_text(page(results / "records" / name), "utf-8")
    return path


def page(folder: Path) -> str:
    """A table as Markdown, from the folder of its records.

    Raises:
        ValueError: if a record is damaged, or one of a mean alone shares its cell with others.
    """
    return "\n".join(_lines(read_table(folder), read_records(folder))) + "\n"


def mean_and_sd(records: Sequence[Record], score: str) -> str:
    """Mean and standard deviation over the seeds of a cell; the number alone of one seed."""
    records = [record for record in records if score in record.scores]
    if not records:
        return UNKNOWN
    if len(records) == 1 and score in (records[0].mean or {}):
        mean, sd = records[0].mean[score], (records[0].sd or {}).get(score)
        return _number(mean) if sd is None else f"{_number(mean)} ± {_number(sd)}"
    values = [value for value in _by_seed(records, score).values() if value is not None]
    if len(values) < 2:
        return _number(values[0]) if values else UNKNOWN
    return f"{_number(statistics.mean(values))} ± {_number(statistics.stdev(values))}"


def by_seed(records: Sequence[Record], score: str) -> str:
    """The scores of a cell in the order of the seeds."""
    records = [record for record in records if score in record.scores]
    if not records:
        return UNKNOWN
    if any(record.scores[score] is None for record in records):
        return NOT_KEPT
    values = _by_seed(records, score).values()
    return ", ".join(UNKNOWN if value is None else _number(value) for value in values)


def _by_seed(records: Sequence[Record], score: str) -> dict[int, float | None]:
    found: dict[int, float | None] = {}
    for record in records:
        values = record.scores[score]
        if values is None:
            raise ValueError(
                f"{record.file_name} must be the only record of its cell, as it has the mean of "
                f"{score} alone, got {len(records)}"
            )
        found.update(zip(record.seeds, values, strict=True))
    return dict(sorted(found.items()))


def _number(fraction: float) -> str:
    """Percent, or centimetres of metres."""
    return f"{100 * fraction:.1f}"


def _lines(table: Table, records: list[Record]) -> list[str]:
    """The lines of a table's page."""
    grids = _column_grids(table, records) if table.columns else _score_grids(table, records)
    lines = [f"# {table.title}", "", "Made from `records/` by `benchmarks/make_tables.py`."]
    for paragraph in table.about:
        lines += ["", paragraph]
    lines += ["", "Percent; mean ± standard deviation over seeds.", *grids]
    lines += ["", "## How it was made", ""]
    lines += [f"- {remark}" for remark in [*_origins(records), *table.remarks]]
    return lines


def _column_grids(table: Table, records: list[Record]) -> list[str]:
    """A grid of rows and columns for each score, and one with the scores by seed."""
    lines = []
    rows = _in_order(table.rows, [record.row for record in records])
    columns = _in_order(table.columns, [str(record.column) for record in records])
    for score, title in SCORES.items():
        if any(score in record.scores for record in records):
            text = partial(_text, records, score)
            lines += _grids(title, rows, {column: column for column in columns}, text)
    return lines


def _text(records: list[Record], score: str, show: Show, row: str, column: str) -> str:
    """What a cell of the grid of a score shows."""
    return show([one for one in records if (one.row, one.column) == (row, column)], score)


def _score_grids(table: Table, records: list[Record]) -> list[str]:
    """A grid of the scores after the last round, then one of AP50 by round; each also by seed.

    Without rounds there is the first grid alone.
    """
    rows = _in_order(table.rows, [record.row for record in records])

    def text(show: Show, row: str, score: str) -> str:
        return show([record for record in records if record.row == row], score)

    scores = {name for record in records for name in record.scores}
    start = "ap50_round_"
    rounds = sorted(int(name.removeprefix(start)) for name in scores if name.startswith(start))
    columns = {name: title for name, title in ROUND_SCORES.items() if name in scores}
    lines = _grids("After the last round" if rounds else "At the end", rows, columns, text)
    if rounds:
        lines += _grids("AP50 by round", rows, {f"{start}{t}": str(t) for t in rounds}, text)
    return lines


def _grids(
    title: str, rows: list[str], columns: dict[str, str], text: Callable[[Show, str, str], str]
) -> list[str]:
    """The means of rows and columns, then the same by seed where there are several seeds."""
    lines = _grid(title, rows, columns, partial(text, mean_and_sd))
    if not any("±" in line for line in lines):
        return lines
    cells = {column: {text(by_seed, row, column) for row in rows} for column in columns}
    kept = {column: columns[column] for column in columns if cells[column] - {UNKNOWN, NOT_KEPT}}
    lost = [columns[column] for column in columns if NOT_KEPT in cells[column]]
    if kept:
        lines += _grid(f"{title}, by seed", rows, kept, partial(text, by_seed))
    if lost:
        lines += ["", f"{title}, by seed: {NOT_KEPT} for {', '.join(lost)}."]
    return lines


def _grid(
    title: str, rows: list[str], columns: dict[str, str], text: Callable[[str, str], str]
) -> list[str]:
    lines = ["", f"{title}:", "", "| row | " + " | ".join(columns.values()) + " |"]
    lines.append("|" + "---|" * (len(columns) + 1))
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(text(row, column) for column in columns) + " |")
    return lines


def _origins(records: list[Record]) -> list[str]:
    """Command, commit, machine and protocol of the runs, those of a kind together."""
    origins: dict[tuple[str, ...], list[Record]] = {}
    for one in records:
        machine = ", ".join(
            str(one.machine[key]) for key in ("platform", "cpu") if one.machine[key]
        )
        key = (one.command, one.commit, f"{machine}, {one.machine['cores']} cores")
        origins.setdefault(key, []).append(one)
    lines = []
    for (command, commit, machine), group in origins.items():
        short = re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1", commit)
        where = f"{_which(group, records)}commit {short}, {_dates(group)}, {machine}"
        lines.append(f"`{command}`  \n  {where}")
    protocols = sorted({record.protocol for record in records if record.protocol})
    lines.append("Protocols: " + ", ".join(f"`{protocol}`" for protocol in protocols))
    seconds = [second for record in records for second in record.seconds or []]
    if seconds:
        lines.append(f"Median {statistics.median(seconds) / 60:.1f} minutes a run")
    return lines


def _which(group: list[Record], records: list[Record]) -> str:
    """The rows and seeds of some records, the rows only where they are not all."""
    rows = dict.fromkeys(f'"{record.row}"' for record in group)
    seeds = sorted({seed for record in group for seed in record.seeds})
    named = f"rows {', '.join(rows)}; " if len(group) < len(records) else ""
    return f"{named}seeds {', '.join(str(seed) for seed in seeds)}; "


def _dates(group: list[Record]) -> str:
    dates = sorted({record.date for record in group})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _in_order(order: list[str], found: list[str]) -> list[str]:
    """What was found, each once: what `order` names first and in its order."""
    return [name for name in dict.fromkeys([*order, *found]) if name in found]


def main() -> None:
    for folder in sorted(path for path in (RESULTS / "records").iterdir() if path.is_dir()):
        try:
            print(make_table(folder.name))
        except ValueError as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
