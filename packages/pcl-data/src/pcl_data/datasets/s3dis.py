"""S3DIS in its official text layout.

Armeni et al., "3D Semantic Parsing of Large-Scale Indoor Spaces", CVPR 2016: one folder a room,
whose `Annotations/` hold one text file an object, `<class>_<number>.txt`, rows `x y z r g b`.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float64

from pcl_data.datasets.file_dataset import FileDataset, visible
from pcl_data.label_set import S3DIS13
from pcl_data.scene import Scene

AREAS = tuple(f"Area_{k}" for k in range(1, 7))
# Everybody tests on area 5, whose building is another one than the others'.
SPLITS = {
    "train": tuple(area for area in AREAS if area != "Area_5"),
    "val": ("Area_5",),
    **{area: (area,) for area in AREAS},
}
# Stairs are unlabeled, as in Contrastive Scene Contexts; Pointcept counts them as clutter.
_RAW_IDS = dict(zip(S3DIS13.names, S3DIS13.raw_ids, strict=True)) | {"stairs": 14}


class S3DIS(FileDataset):
    """Rooms with labels and instances; the points of an object follow each other.

    The scene of `Area_1/office_1` is called `Area_1_office_1`. Each file is an instance, in the
    order of their names, but those of clutter and stairs; stairs are unlabeled.

    The release (v1.2) has a byte that is no number in some files (`Area_5/office_19`,
    `Area_5/hallway_6`): reading them is an error that names file and line, to be mended there.

    Args:
        root: folder with `Area_1` to `Area_6`.
        split: train (all areas but 5), val (area 5), an area, rooms (`Area_1/office_1`), or a
            pattern of them.
        **options: as of `FileDataset`.

    Raises:
        FileNotFoundError: if areas or annotations are missing: which ones, and their source.
        ValueError: if split or an option is none of the above.
    """

    title = "S3DIS"
    source = "http://buildingparser.stanford.edu, Stanford3dDataset_v1.2_Aligned_Version"

    splits = tuple(SPLITS)
    label_sets = (S3DIS13,)
    name_form = r"Area_\d_.+"

    def __init__(
        self, root: str | os.PathLike[str], split: str | Sequence[str] = "train", **options: Any
    ) -> None:
        super().__init__(root, split, **options)

    def split_names(self, split: str) -> Sequence[str]:
        """Rooms of the areas of a split."""
        rooms = self.listed([self.root / area for area in SPLITS[split]], "*/")
        return [f"{room.parent.name}_{room.name}" for room in rooms]

    def every_name(self) -> Sequence[str]:
        """Rooms of the areas that are there."""
        rooms = [room for area in AREAS for room in visible(self.root / area, "*/")]
        return [f"{room.parent.name}_{room.name}" for room in rooms]

    def group_of(self, name: str) -> str:
        """The area."""
        return name[: len(AREAS[0])]

    def full_name(self, word: str) -> str:
        """`Area_1/office_1` is called `Area_1_office_1`."""
        return word.replace("/", "_")

    def files(self, name: str) -> tuple[Path, ...]:
        """The annotation files of a room; the folder itself if there is none."""
        area, room = name[: len(AREAS[0])], name[len(AREAS[0]) + 1 :]
        folder = self.root / area / room / "Annotations"
        return tuple(visible(folder, "*.txt")) or (folder,)

    def read(self, name: str) -> Scene:
        """The scene of a name.

        Raises:
            ValueError: naming the file and line that is no row of six numbers, or the file whose
                class is unknown.
        """
        files = self.files(name)
        raw = np.array([_raw_id(file) for file in files])
        rows = [_read_rows(file) for file in files]
        labels = S3DIS13.to_train(raw)
        instances = np.where(np.isin(labels, S3DIS13.things), np.arange(len(files)), -1)
        counts = [len(part) for part in rows]
        table = np.concatenate(rows)
        return Scene(
            name,
            table[:, :3].astype(np.float32),
            colors=table[:, 3:].astype(np.uint8),
            labels=np.repeat(labels, counts),
            instances=np.repeat(instances, counts),
            label_set=S3DIS13,
        )


def _raw_id(file: Path) -> int:
    class_name, _, _ = file.stem.rpartition("_")
    if class_name not in _RAW_IDS:
        raise ValueError(f"{file}: must be named after one of {', '.join(_RAW_IDS)}")
    return _RAW_IDS[class_name]


def _read_rows(file: Path) -> Float64[np.ndarray, "n 6"]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a file without a line of numbers
            rows = np.loadtxt(file, np.float64, comments=None, ndmin=2)
    except (ValueError, UserWarning):
        _name_broken_line(file)
    if rows.shape[1] != 6 or not np.isfinite(rows).all():
        _name_broken_line(file)
    colors = rows[:, 3:]
    if not 0 <= colors.min() <= colors.max() <= 255:
        raise ValueError(
            f"{file}: colours must lie in [0, 255], got [{colors.min():g}, {colors.max():g}]"
        )
    return rows


def _name_broken_line(file: Path) -> NoReturn:
    """Raise the error that names the first line which is no row of six finite numbers."""
    rule = "must hold rows of six numbers, x y z r g b"
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if words and not _is_row(words):
                raise ValueError(f"{file}: {rule}, got {line[:80]!r} in line {number}")
    raise ValueError(f"{file}: {rule}, got none")


def _is_row(words: list[bytes]) -> bool:
    try:
        return len(words) == 6 and bool(np.isfinite([float(word) for word in words]).all())
    except ValueError:
        return False
