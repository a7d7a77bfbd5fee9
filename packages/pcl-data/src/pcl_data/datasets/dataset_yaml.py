"""`dataset.yaml`: what the ids in a folder of one's own scans mean, and which scans make a split.

```yaml
name: workshop
classes:              # in the order of their train ids
  - {name: floor, id: 2, color: [152, 223, 138], stuff: true}
  - {name: bench, id: 7}
ignored: [1]          # further ids that are known and unlabeled; 0 always is
merged: {8: 7}        # an id, and the id of the class that it counts as
label_ids: raw        # what the files hold: raw (the ids above), train, or none
columns: {label: semanticID, instance: instanceID}  # role, and name or place of a column
splits:
  train: [hall_1, hall_2]
  val: ["hall_3*"]    # a name, or a pattern of names
```

Only `name` and `classes` are needed. Of a class only the name is: its id is then its place in the
list, from 1, and its colour one of those of NYU40. `frequency` (head, common or tail) is given for
every class or for none. Columns whose names say what they are need no mention.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any, get_args

import yaml

from pcl_data.atomic_files import whole_file
from pcl_data.file_errors import errors_in
from pcl_data.label_set import NYU40, Frequency, LabelSet
from pcl_data.plain_yaml import load_yaml
from pcl_data.readers.scan_columns import ROLES
from pcl_data.readers.scene_reader import LabelIds

FILE_NAME = "dataset.yaml"
_KEYS = ("name", "classes", "ignored", "merged", "label_ids", "columns", "splits")
_CLASS_KEYS = ("name", "id", "color", "stuff", "frequency")
_SHORT = Repr()
_SHORT.maxlevel = 2
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class DatasetDescription:
    """What a `dataset.yaml` says.

    Args:
        label_set: of the classes.
        label_ids: what the ids in the files are, as in `read_scene`.
        splits: scan names of each split, or patterns of them.
        columns: name in the files of the column of a role, as in `read_scene`.
    """

    label_set: LabelSet
    label_ids: LabelIds
    splits: dict[str, tuple[str, ...]]
    columns: dict[str, str] = field(default_factory=dict)


def read_dataset_yaml(path: Path) -> DatasetDescription:
    """The description in a file of the form above.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and the key, with the nearest known one if it is unknown; or
            the value that is of another kind.
    """
    with errors_in(path):
        content = load_yaml(path.read_text(encoding="utf-8"))
        table = _table("the file", content, _KEYS, needed=("name", "classes"))
        label_ids = table.get("label_ids", "raw")
        if label_ids not in get_args(LabelIds):
            got = _SHORT.repr(label_ids)
            raise ValueError(f"label_ids must be 'raw', 'train' or 'none', got {got}")
        splits = _of_type("splits", table.get("splits", {}), dict)
        columns = _table("columns", table.get("columns", {}), ROLES, needed=())
        return DatasetDescription(
            _label_set(table),
            label_ids,
            {str(name): _names(f"splits.{name}", scans) for name, scans in splits.items()},
            {role: _column(f"columns.{role}", name) for role, name in columns.items()},
        )


def write_dataset_yaml(
    path: Path, label_set: LabelSet, splits: Mapping[str, Sequence[str]]
) -> None:
    """Write the description of scans that hold train ids; a file that is there keeps its splits.

    It is left alone if it says the same already.

    Args:
        path: the file.
        label_set: of the labels.
        splits: scan names of each split; a split that the file has is replaced.

    Raises:
        ValueError: if the file that is there is broken, or of another label set.
    """
    known: dict[str, Sequence[str]] = {}
    if path.is_file():
        description = read_dataset_yaml(path)
        if description.label_set != label_set or description.label_ids != "train":
            raise ValueError(
                f"{path}: must be of {label_set.name} with train ids, "
                f"got {description.label_set.name} with {description.label_ids} ids"
            )
        known |= description.splits
        if known == known | {name: tuple(names) for name, names in splits.items()}:
            return
    columns = {
        "name": label_set.names,
        "id": label_set.raw_ids,
        "color": map(list, label_set.colors),
        "stuff": label_set.is_stuff,
    }
    columns |= {"frequency": label_set.frequency} if label_set.frequency else {}
    content = {
        "name": label_set.name,
        "classes": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
        "ignored": list(label_set.ignored_raw_ids),
        "merged": dict(label_set.merged_raw_ids),
        "label_ids": "train",
        "splits": {name: list(names) for name, names in (known | dict(splits)).items()},
    }
    with whole_file(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=False, default_flow_style=None).encode())


def _label_set(table: Mapping[str, Any]) -> LabelSet:
    classes = _of_type("classes", table["classes"], list)
    if not classes:
        raise ValueError("classes must hold at least one class, got none")
    rows = [_class(f"classes[{place}]", place, row) for place, row in enumerate(classes)]
    names, raw_ids, colors, is_stuff, frequency = zip(*rows, strict=True)
    if None in frequency and set(frequency) != {None}:
        raise ValueError("classes must all have a frequency, or none of them")
    merged = _of_type("merged", table.get("merged", {}), dict)
    ignored = _ids("ignored", _of_type("ignored", table.get("ignored", []), list))
    return LabelSet(
        name=_of_type("name", table["name"], str),
        names=names,
        raw_ids=raw_ids,
        colors=colors,
        is_stuff=is_stuff,
        frequency=None if None in frequency else frequency,
        ignored_raw_ids=ignored if 0 in ignored else (0, *ignored),
        merged_raw_ids=tuple(
            zip(_ids("merged", merged), _ids("merged", merged.values()), strict=True)
        ),
    )


def _class(
    owner: str, place: int, row: Any
) -> tuple[str, int, tuple[int, int, int], bool, Frequency | None]:
    """Name, raw id, colour, whether it is stuff, how common it is."""
    row = _table(owner, row, _CLASS_KEYS, needed=("name",))
    frequency = row.get("frequency")
    if frequency not in (None, *get_args(Frequency)):
        got = _SHORT.repr(frequency)
        raise ValueError(f"{owner}.frequency must be head, common or tail, got {got}")
    return (
        _of_type(f"{owner}.name", row["name"], str),
        _ids(f"{owner}.id", [row.get("id", place + 1)])[0],
        _color(f"{owner}.color", row.get("color", list(NYU40.colors[place % NYU40.n_classes]))),
        _of_type(f"{owner}.stuff", row.get("stuff", False), bool),
        frequency,
    )


def _table(owner: str, value: Any, keys: Collection[str], *, needed: tuple[str, ...]) -> dict:
    table = _of_type(owner, value, dict)
    for key in table:
        if key not in keys:
            nearest = get_close_matches(str(key), keys, n=1)
            hint = f": did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(f"{owner} must have keys of {', '.join(keys)}, got {key!r}{hint}")
    missing = [key for key in needed if key not in table]
    if missing:
        raise ValueError(f"{owner} must have the key {missing[0]!r}")
    return table


def _of_type(owner: str, value: Any, kind: type) -> Any:
    if type(value) is not kind:  # a bool is no int here
        raise ValueError(f"{owner} must be of type {kind.__name__}, got {_SHORT.repr(value)}")
    return value


def _ids(owner: str, values: Collection[Any]) -> tuple[int, ...]:
    ids = tuple(_of_type(owner, value, int) for value in values)
    if any(abs(value) > _LARGEST_ID for value in ids):
        raise ValueError(
            f"{owner} must hold ids of at most {_LARGEST_ID}, got {_SHORT.repr(max(ids))}"
        )
    return ids


def _names(owner: str, values: Any) -> tuple[str, ...]:
    return tuple(_of_type(owner, value, str) for value in _of_type(owner, values, list))


def _column(owner: str, value: Any) -> str:
    return str(value) if type(value) is int else _of_type(owner, value, str)  # a place, or a name


def _color(owner: str, value: Any) -> tuple[int, int, int]:
    color = _ids(owner, _of_type(owner, value, list))
    if len(color) != 3 or not all(0 <= part <= 255 for part in color):
        raise ValueError(f"{owner} must be three numbers in 0-255, got {value}")
    red, green, blue = color
    return red, green, blue
