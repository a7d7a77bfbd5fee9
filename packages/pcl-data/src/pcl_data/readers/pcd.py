"""Scans in PCD files of the Point Cloud Library: ascii, binary and binary_compressed.

Format: "The PCD (Point Cloud Data) file format", version 0.7. Organised clouds are read as a list
of points, row by row; their missing points have NaN coordinates, which `read_scene` counts.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcl_data.file_errors import library_errors
from pcl_data.raw_scan import RawScan
from pcl_data.readers.lzf import decompress_lzf
from pcl_data.readers.scan_columns import scan_from_columns

_MAX_HEADER_LINES = 64
_MAX_LINE_BYTES = 8192
_TYPES = {"F": ("f4", "f8"), "I": ("i1", "i2", "i4", "i8"), "U": ("u1", "u2", "u4", "u8")}


@dataclass(frozen=True)
class _Header:
    names: tuple[str, ...]
    types: tuple[np.dtype, ...]
    counts: tuple[int, ...]
    n_points: int
    encoding: str


def read_pcd(path: Path, columns: Mapping[str, str] | None = None) -> RawScan:
    """The fields that `roles_of` understands, and rgb or rgba (packed 0xRRGGBB).

    Raises:
        ValueError: if the file is no complete PCD file.
    """
    with library_errors("PCD"):
        with path.open("rb") as file:
            header = _read_header(file)
            body = file.read()
        fields = _DECODERS[header.encoding](header, body)
        colors = next((_unpack(fields[k]) for k in ("rgb", "rgba") if k in fields), None)
    return scan_from_columns(fields, columns, colors=colors)


def pcd_columns(path: Path) -> tuple[str, ...]:
    """Names of the fields, from the header alone."""
    with library_errors("PCD"), path.open("rb") as file:
        return _read_header(file).names


def _read_header(file: io.BufferedReader) -> _Header:
    entries: dict[str, list[str]] = {}
    for _ in range(_MAX_HEADER_LINES):
        words = file.readline(_MAX_LINE_BYTES).decode("latin-1").split()
        if words and not words[0].startswith("#"):
            entries[words[0].upper()] = words[1:]
        if "DATA" in entries:
            break
    missing = {"FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "DATA"} - entries.keys()
    if missing:
        raise ValueError(f"no {sorted(missing)[0]} in the header")
    return _checked(entries)


def _checked(entries: dict[str, list[str]]) -> _Header:
    names = tuple(entries["FIELDS"])
    counts = tuple(int(word) for word in entries.get("COUNT", ["1"] * len(names)))
    kinds = [f"{kind}{size}" for kind, size in zip(entries["TYPE"], entries["SIZE"], strict=True)]
    known = {f"{kind}{dtype[1]}": dtype for kind, dtypes in _TYPES.items() for dtype in dtypes}
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        raise ValueError(f"type and size {unknown[0]}")
    if not len(names) == len(kinds) == len(counts) or any(count < 1 for count in counts):
        raise ValueError(f"{len(names)} fields, {len(kinds)} types and counts {counts}")
    width, height = int(entries["WIDTH"][0]), int(entries["HEIGHT"][0])
    n_points = int(entries.get("POINTS", [str(width * height)])[0])
    if min(width, height) < 0 or n_points != width * height:
        raise ValueError(f"{n_points} points of width {width} and height {height}")
    encoding = " ".join(entries["DATA"]).lower()
    if encoding not in _DECODERS:
        raise ValueError(f"data {encoding!r}, not ascii, binary or binary_compressed")
    types = tuple(np.dtype(f"<{known[kind]}") for kind in kinds)
    return _Header(names, types, counts, n_points, encoding)


def _decode_ascii(header: _Header, body: bytes) -> dict[str, np.ndarray]:
    """One point a line."""
    if header.n_points * sum(header.counts) > len(body):
        raise ValueError(f"{header.n_points} points in {len(body)} bytes")
    table = np.zeros((0, sum(header.counts)))
    if header.n_points:
        text = io.StringIO(body.decode("latin-1"))
        table = np.loadtxt(text, np.float64, ndmin=2, max_rows=header.n_points)
    if table.shape != (header.n_points, sum(header.counts)):
        raise ValueError(f"{header.n_points} points of {sum(header.counts)}, got {table.shape}")
    firsts = np.cumsum((0, *header.counts[:-1]))
    limits = zip(header.names, firsts, header.types, header.counts, strict=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return {name: table[:, i].astype(dtype) for name, i, dtype, count in limits if count == 1}


def _decode_binary(header: _Header, body: bytes) -> dict[str, np.ndarray]:
    """All fields of one point, then of the next."""
    fields = zip(header.types, header.counts, strict=True)
    row = np.dtype([(f"f{i}", dtype, (count,)) for i, (dtype, count) in enumerate(fields)])
    points = np.frombuffer(body, row, header.n_points)  # an error if the body is shorter
    return {
        name: points[f"f{i}"][:, 0] for i, name in enumerate(header.names) if header.counts[i] == 1
    }


def _decode_compressed(header: _Header, body: bytes) -> dict[str, np.ndarray]:
    """Two uint32 sizes, then LZF of the first field of all points, the second of all, and so on."""
    if len(body) < 8:
        raise ValueError("no compressed data")
    packed_size, size = np.frombuffer(body, "<u4", 2).tolist()
    sizes = [
        header.n_points * count * dtype.itemsize
        for dtype, count in zip(header.types, header.counts, strict=True)
    ]
    if size != sum(sizes):
        raise ValueError(f"{size} bytes unpacked, not the {sum(sizes)} of {header.n_points} points")
    data = decompress_lzf(body[8 : 8 + packed_size], size)
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return {
        name: np.frombuffer(data, dtype, header.n_points, start)
        for name, dtype, count, start in zip(
            header.names, header.types, header.counts, starts, strict=True
        )
        if count == 1
    }


_DECODERS = {
    "ascii": _decode_ascii,
    "binary": _decode_binary,
    "binary_compressed": _decode_compressed,
}


def _unpack(packed: np.ndarray) -> np.ndarray:
    """(n,) 0xAARRGGBB, as uint32 or as the float32 of the same bits -> (n, 3)."""
    if packed.dtype.itemsize != 4:
        raise ValueError(f"packed colours of type {packed.dtype}")
    bits = np.ascontiguousarray(packed).view("<u4")
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)
