"""Image labels on disk: a file a scene, written whole or not at all, that says what made it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcl_data.atomic_files import whole_file
from pcl_data.file_errors import errors_in
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.scene_arrays import read_arrays, scene_file

FORMAT = "pcl_methods image labels 1"
STORED = {  # the type of each array in a file
    "point_index": np.int32,
    "views": np.int32,
    "labels": np.int16,
    "confidence": np.float16,
    "sets": np.int32,
    "set_features": np.float16,
}
LOADED = {"confidence": np.float32, "set_features": np.float32}  # others: int64


@dataclass(frozen=True)
class LabelStore:
    """A folder of image labels that one encoder and one list of classes made.

    Args:
        root: the folder; made when the first scene is saved.
        made_by: what the labels are a function of besides the scene, JSON values.
    """

    root: Path
    made_by: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return self.path(name).is_file()

    def path(self, name: str) -> Path:
        """The file of a scene.

        Raises:
            ValueError: if the name would leave the folder.
        """
        return scene_file(self.root, name)

    def save(self, name: str, labels: ImageLabels) -> None:
        """Write the labels of a scene; another process may write the same."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {key: getattr(labels, key).astype(kind) for key, kind in STORED.items()}
        told = json.dumps({"format": FORMAT, "made_by": dict(self.made_by)}, sort_keys=True)
        with whole_file(path) as file:
            np.savez(file, meta=np.frombuffer(told.encode(), np.uint8), **arrays)

    def load(self, name: str) -> ImageLabels:
        """The labels of a scene.

        Raises:
            FileNotFoundError: if there are none.
            ValueError: naming the file, if it is damaged or was made by something else.
        """
        path = self.path(name)
        with errors_in(path):
            arrays = read_arrays(path, ["meta", *STORED])
            try:
                meta = json.loads(arrays.pop("meta").tobytes())
            except ValueError as error:
                raise ValueError(f"must say what made it, got: {error!r}") from error
            _check(meta, arrays, json.loads(json.dumps(dict(self.made_by))))
        return ImageLabels(
            **{key: array.astype(LOADED.get(key, np.int64)) for key, array in arrays.items()}
        )

    def nbytes(self, name: str) -> int:
        """Size of the file of a scene."""
        return self.path(name).stat().st_size


def _check(
    meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray], made_by: Mapping[str, Any]
) -> None:
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ValueError(f"must be of format {FORMAT!r}, got {meta!r:.100}")
    for key, wanted in made_by.items():
        got = meta["made_by"].get(key)
        if got != wanted:
            raise ValueError(
                f"holds labels made with {key} {got!r:.100}, not {wanted!r:.100}: "
                "name another folder"
            )
    for key, kind in STORED.items():
        if arrays[key].dtype != kind or arrays[key].ndim != (2 if key == "set_features" else 1):
            raise ValueError(f"{key} must be {np.dtype(kind)}, got {arrays[key].dtype}")
    rows = {len(arrays[key]) for key in ("point_index", "views", "labels", "confidence")}
    if len(rows) != 1:
        raise ValueError(f"arrays must be equally long, got {sorted(rows)}")
    for key, high in {
        "point_index": len(arrays["sets"]),
        "sets": len(arrays["set_features"]),
    }.items():
        values = arrays[key]
        if values.size and not (values.min() >= -1 and values.max() < high):
            raise ValueError(f"{key} must lie below {high}, got {values.max()}")
