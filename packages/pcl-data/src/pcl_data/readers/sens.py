"""ScanNet's `.sens` streams: the colour and depth images and poses of one RGB-D recording.

Layout: SensReader of the ScanNet repository, version 4 (Dai et al., "ScanNet", CVPR 2017), little
endian. What follows the frames, the inertial measurements, is not read.
"""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

from pcl_data.file_errors import errors_in, library_errors
from pcl_data.readers.posed_frames import frame_on_depth_grid
from pcl_data.readers.records import MAX_PIXELS, open_image
from pcl_data.scene import Frame

VERSION = 4
COLOR_COMPRESSIONS = ("raw", "png", "jpeg")
DEPTH_COMPRESSIONS = ("raw", "zlib", "occi")

_START = np.dtype([("version", "<u4"), ("name_bytes", "<u8")])
_MATRICES = ("color_intrinsics", "color_extrinsics", "depth_intrinsics", "depth_extrinsics")
_HEADER = np.dtype(
    [
        *((name, "<f4", (4, 4)) for name in _MATRICES),
        ("color_compression", "<i4"),
        ("depth_compression", "<i4"),
        ("color_size", "<u4", 2),  # width, height
        ("depth_size", "<u4", 2),
        ("depth_shift", "<f4"),  # steps per metre
        ("n_frames", "<u8"),
    ]
)
_FRAME = np.dtype(
    [
        ("camera_to_world", "<f4", (4, 4)),
        ("color_time", "<u8"),
        ("depth_time", "<u8"),
        ("color_bytes", "<u8"),
        ("depth_bytes", "<u8"),
    ]
)


@dataclass(frozen=True, eq=False)
class SensStream:
    """The frames of a stream, each read when it is asked for; made by `open_sens`.

    Args:
        path: the file.
        depth_intrinsics: (3, 3) of the depth camera, pixels.
        color_size: width and height of the colour images.
        depth_size: width and height of the depth images.
        color_compression: one of `COLOR_COMPRESSIONS`.
        depth_compression: raw or zlib.
        steps_per_metre: of the depth.
        poses: (f, 4, 4) camera to world; -inf where the camera was lost.
        offsets: where the colour bytes of each frame begin.
        color_bytes: length of each colour image.
        depth_bytes: length of each depth image, which follows the colour.
    """

    path: Path
    depth_intrinsics: Float64[np.ndarray, "3 3"]
    color_size: tuple[int, int]
    depth_size: tuple[int, int]
    color_compression: str
    depth_compression: str
    steps_per_metre: float
    poses: Float64[np.ndarray, "f 4 4"]
    offsets: tuple[int, ...]
    color_bytes: tuple[int, ...]
    depth_bytes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, index: int) -> Frame:
        """A frame: colour on the grid of the depth image, and the pose of the stream.

        Raises:
            ValueError: naming file and frame, if its images are damaged or its pose is not finite.
        """
        with self.path.open("rb") as file:
            file.seek(self.offsets[index])
            color = file.read(self.color_bytes[index])
            depth = file.read(self.depth_bytes[index])
        with errors_in(self.path), errors_in(f"frame {index}"):
            return frame_on_depth_grid(
                self._image(color), self._depth(depth), self.depth_intrinsics, self.poses[index]
            )

    def _image(self, data: bytes) -> UInt8[np.ndarray, "h w 3"]:
        width, height = self.color_size
        if self.color_compression == "raw":
            _check_length("colour", len(data), width * height * 3)
            return np.frombuffer(data, np.uint8).reshape(height, width, 3)
        with library_errors(self.color_compression):
            image = open_image(io.BytesIO(data), [self.color_compression])
            if image.size != self.color_size:
                raise ValueError(f"{image.size} pixels, not the {self.color_size} of the stream")
            return np.array(image.convert("RGB"))

    def _depth(self, data: bytes) -> Float32[np.ndarray, "h w"]:
        width, height = self.depth_size
        n_bytes = width * height * 2
        if self.depth_compression == "zlib":
            with library_errors("zlib"):
                inflater = zlib.decompressobj()
                data = inflater.decompress(data, n_bytes + 1)  # no more, whatever there is
                if not inflater.eof and len(data) <= n_bytes:
                    raise ValueError("its end, too early")
        _check_length("depth", len(data), n_bytes)
        steps: UInt16[np.ndarray, "h w"] = np.frombuffer(data, "<u2").reshape(height, width)
        return steps.astype(np.float32) / np.float32(self.steps_per_metre)


def open_sens(path: Path) -> SensStream:
    """The stream in a file: one pass over the headers of its frames, no image is read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no complete stream of version 4 in little-endian order, its depth is
            compressed with occi, or it claims more than the file holds or than `MAX_PIXELS`.
    """
    n_bytes = path.stat().st_size
    with errors_in(path), library_errors(".sens"), path.open("rb") as file:
        header = _read_header(file, n_bytes)
        n_frames = int(header["n_frames"])
        if n_frames * _FRAME.itemsize > n_bytes - file.tell():
            raise ValueError(f"{n_frames} frames in {n_bytes} bytes")
        frames = np.empty(n_frames, _FRAME)
        offsets = []
        for i in range(n_frames):
            frames[i] = _record(file, _FRAME)
            offsets.append(file.tell())
            end = offsets[-1] + int(frames["color_bytes"][i]) + int(frames["depth_bytes"][i])
            if end > n_bytes:
                raise ValueError(f"frame {i} of {n_frames} up to byte {end} of {n_bytes}")
            file.seek(end)
    return SensStream(
        path,
        depth_intrinsics=header["depth_intrinsics"][:3, :3].astype(np.float64),
        color_size=_size(header["color_size"]),
        depth_size=_size(header["depth_size"]),
        color_compression=COLOR_COMPRESSIONS[header["color_compression"]],
        depth_compression=DEPTH_COMPRESSIONS[header["depth_compression"]],
        steps_per_metre=float(header["depth_shift"]),
        poses=frames["camera_to_world"].astype(np.float64),
        offsets=tuple(offsets),
        color_bytes=tuple(frames["color_bytes"].tolist()),
        depth_bytes=tuple(frames["depth_bytes"].tolist()),
    )


def _read_header(file: io.BufferedReader, n_bytes: int) -> np.void:
    start = _record(file, _START)
    if start["version"] != VERSION:
        big_endian = start["version"].byteswap() == VERSION
        raise ValueError("big-endian order" if big_endian else f"version {start['version']}")
    if start["name_bytes"] > n_bytes:
        raise ValueError(f"a name of {start['name_bytes']} bytes in {n_bytes}")
    file.seek(int(start["name_bytes"]), io.SEEK_CUR)
    header = _record(file, _HEADER)
    for kind, known in (("color", COLOR_COMPRESSIONS), ("depth", DEPTH_COMPRESSIONS[:2])):
        code, size = int(header[f"{kind}_compression"]), _size(header[f"{kind}_size"])
        if not 0 <= code < len(known):
            name = "occi" if (kind, code) == ("depth", DEPTH_COMPRESSIONS.index("occi")) else code
            raise ValueError(f"{kind} compression {name}, not {' or '.join(known)}")
        if not 0 < size[0] * size[1] <= MAX_PIXELS:
            raise ValueError(f"{kind} images of {size[0]} x {size[1]} pixels")
    if not 1 <= header["depth_shift"] < np.inf:  # steps of 1 m and less
        raise ValueError(f"depth shift {header['depth_shift']}")
    return header


def _record(file: io.BufferedReader, dtype: np.dtype) -> np.void:
    data = file.read(dtype.itemsize)
    if len(data) < dtype.itemsize:
        raise ValueError(f"its end at byte {file.tell()}")
    return np.frombuffer(data, dtype)[0]


def _size(size: np.ndarray) -> tuple[int, int]:
    return int(size[0]), int(size[1])


def _check_length(kind: str, n_bytes: int, expected: int) -> None:
    if n_bytes != expected:
        more = "more" if n_bytes > expected else str(n_bytes)
        raise ValueError(f"{kind} must have {expected} bytes, got {more}")
