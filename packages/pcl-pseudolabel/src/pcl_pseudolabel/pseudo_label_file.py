"""The file of a scene's pseudo-labels: arrays in an `.npz`, and what they were made from.

A file may be damaged or foreign, so nothing is taken from it that its size does not cover and that
is not of the type and shape that was written.
"""

import json
import math
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy

from pcl_pseudolabel.provenance import Provenance
from pcl_pseudolabel.pseudo_labels import PseudoLabels

MAX_POINTS = 10**8  # of a scene: 0.6 GB in a file before it is packed
DEFLATE_RATIO = 1032  # bytes that one packed byte gives at most
_DISK_TYPES = {
    "labels": np.int16,
    "proposals": np.int32,
    "centers": np.float32,
    "scores": np.float32,
    "proposal_labels": np.int16,
}
_SOFT = {"class_probabilities": np.float16}  # where there are some
_TYPES = {"i": np.int64, "f": np.float32}  # in memory, by the kind of the type on disk
_TEXT_BYTES = 1 << 16
HEADER_BYTES = 1 << 16  # of version 1.0 at most


def write_pseudo_labels(file: BinaryIO, provenance: Provenance, pseudo: PseudoLabels) -> None:
    """Write everything but the points; labels as int16, reals as float32, probabilities as float16.

    Raises:
        ValueError: if there are more than `MAX_POINTS` points or proposals.
    """
    if max(len(pseudo.labels), len(pseudo.scores)) > MAX_POINTS:
        raise ValueError(f"pseudo must have at most {MAX_POINTS} points, got {len(pseudo.labels)}")
    kinds = _DISK_TYPES | ({} if pseudo.class_probabilities is None else _SOFT)
    arrays = {
        key: getattr(pseudo, key).detach().cpu().numpy().astype(kind, order="C")
        for key, kind in kinds.items()
    }
    np.savez_compressed(file, provenance=json.dumps(asdict(provenance)), **arrays)


def read_pseudo_labels(path: Path) -> tuple[Provenance, PseudoLabels]:
    """What `write_pseudo_labels` wrote.

    Raises:
        OSError: if the file cannot be opened.
        Exception: of many kinds, if it is damaged or foreign.
    """
    with zipfile.ZipFile(path) as members:
        provenance = _provenance(_read_text(members))
        names = members.namelist()
        kinds = _DISK_TYPES | {k: kind for k, kind in _SOFT.items() if f"{k}.npy" in names}
        tensors = {
            key: torch.from_numpy(_read_array(members, key, kind)) for key, kind in kinds.items()
        }
    return provenance, PseudoLabels(**tensors)


def _provenance(text: str) -> Provenance:
    values = json.loads(text)
    types = {field.name: field.type for field in fields(Provenance)}
    if not isinstance(values, dict) or {k: type(v) for k, v in values.items()} != types:
        raise ValueError(f"provenance must hold {', '.join(types)}, got {text[:200]}")
    return Provenance(**values)


def _read_text(members: zipfile.ZipFile) -> str:
    dtype, shape, content = _member(members, "provenance", _TEXT_BYTES)
    if dtype.kind != "U" or shape != ():
        raise ValueError(f"provenance must be text, got {dtype} of shape {shape}")
    return str(np.frombuffer(content, dtype)[0])


def _read_array(members: zipfile.ZipFile, key: str, kind: type) -> np.ndarray:
    wanted = np.dtype(kind)
    dtype, shape, content = _member(members, key, MAX_POINTS * wanted.itemsize * 3)
    if dtype != wanted:
        raise ValueError(f"{key} must be {wanted}, got {dtype}")
    return np.frombuffer(content, dtype).reshape(shape).astype(_TYPES[wanted.kind])


def _member(
    members: zipfile.ZipFile, key: str, max_bytes: int
) -> tuple[np.dtype, tuple[int, ...], bytes]:
    """Type, shape and bytes of an array, after its sizes were found to agree with each other."""
    info = members.getinfo(f"{key}.npy")
    allowed = min(max_bytes + HEADER_BYTES, info.compress_size * DEFLATE_RATIO)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{key} must be stored or deflated, got method {info.compress_type}")
    if info.file_size > allowed:
        raise ValueError(f"{key} must have at most {allowed} bytes, got {info.file_size}")
    with members.open(info) as file:
        version = npy.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{key} must be an array of version 1.0, got {version}")
        shape, is_fortran, dtype = npy.read_array_header_1_0(file)
        size = math.prod(shape) * dtype.itemsize
        if is_fortran or dtype.hasobject or size != info.file_size - file.tell():
            raise ValueError(f"{key} must hold {info.file_size} bytes, got {dtype} of {shape}")
        return dtype, shape, file.read()
