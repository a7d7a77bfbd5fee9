"""How much may come out of a file: what a few bytes claim is bounded before memory is asked for."""

from pathlib import Path

MAX_ARRAY_BYTES = 2**31  # of the decompressed arrays of one compressed file
_ALWAYS = 2**28  # bytes that even a small file may come to
_COMPRESSION = 64  # times its size; scans of sensors reach 20
_WIDENING = 8  # times its size: int8 that becomes float64


def check_unpacked(n_bytes: int, file_bytes: int, what: str) -> None:
    """Return quietly if the arrays of a file of this size may come to so many bytes.

    Raises:
        ValueError: beginning with `what`, if they come to more than 64 times the size of the file
            (and more than 256 MiB) or more than `MAX_ARRAY_BYTES`; a file that is not compressed
            may always come to 8 times its size.
    """
    compressed = min(MAX_ARRAY_BYTES, _ALWAYS + _COMPRESSION * file_bytes)
    limit = max(_WIDENING * file_bytes, compressed)
    if n_bytes > limit:
        raise ValueError(f"{what} of {n_bytes} bytes unpacked, more than {limit}")


def file_size(path: Path) -> int:
    """Bytes of the file."""
    return path.stat().st_size
