"""The members of a plain tar file, from its headers alone, in one bounded pass.

Format: POSIX.1-2001, pax interchange format; long names in the way of GNU tar. `tarfile` follows
the claims of extended headers for as long as they last; here each is small, or an error.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pcl_data.readers.size_bounds import file_size

_BLOCK = 512
_MOST_EXTENDED = 16 * _BLOCK  # bytes of an extended header: a name and a size need a few hundred


class Member(NamedTuple):
    """Name of a plain file in an archive, where its content begins, and its bytes."""

    name: str
    offset: int
    size: int


def tar_members(path: Path) -> Iterator[Member]:
    """The members, in their order.

    Raises:
        ValueError: if a header is broken, an extended header is long, a member is no plain file, or
            ends beyond the file.
    """
    n_bytes = file_size(path)
    with path.open("rb") as file:
        extended: dict[str, str] = {}
        position = 0
        while header := _header(file, position):
            offset, size = position + _BLOCK, header.size
            if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME):
                if not 0 <= size <= _MOST_EXTENDED:
                    raise ValueError(f"an extended header of {size} bytes")
                extended |= _extended(header.type, file.read(size))
            elif header.type != tarfile.XGLTYPE or not 0 <= size <= _MOST_EXTENDED:
                name, size = extended.get("path", header.name), int(extended.get("size", size))
                is_sparse = any(key.startswith("GNU.sparse") for key in extended)
                if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or is_sparse:
                    raise ValueError(f"member {name!r} is no file <scene>.<array>.npy or .json")
                if not 0 <= size <= n_bytes - offset:
                    raise ValueError(f"member {name!r} of {size} bytes in {n_bytes}")
                yield Member(name, offset, size)
                extended = {}
            position = offset + -(-size // _BLOCK) * _BLOCK


def _header(file: BinaryIO, position: int) -> tarfile.TarInfo | None:
    """The header at a position; None at the end of the archive."""
    file.seek(position)
    try:
        return tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # pyrefly: ignore
        return None
    except tarfile.EmptyHeaderError:  # pyrefly: ignore
        if position == 0:
            raise
        return None
    except tarfile.HeaderError as error:
        raise ValueError(f"{error} at byte {position}") from error


def _extended(kind: bytes, content: bytes) -> dict[str, str]:
    """What an extended header says: lines `length key=value` of pax, or the name of GNU tar."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found = {}
    while content.strip(b"\0"):
        length = int(content[:8].split(b" ")[0])
        line, content = content[:length], content[length:]
        key, equals, value = line.split(b" ", 1)[1].partition(b"=")
        if length < 5 or not equals:
            raise ValueError(f"the extended header {line[:40]!r}")
        found[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
    return found
