"""Which files of a folder are scans, and what is passed over.

A scan whose file is broken is a scan: reading it is an error. What is no scan is left out, and one
warning says what that was: hidden files, links to nowhere, archives, formats that are not read,
text that is not mostly rows of three numbers, folders without a scan.
"""

import re
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pcl_data.datasets.selection import few
from pcl_data.readers import READERS, is_readable
from pcl_data.readers.scene_reader import is_scene_folder

_ARCHIVES = {".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".tar", ".tgz"}
_OTHER_FORMATS = {".e57", ".ptx", ".obj", ".off", ".stl", ".gltf", ".glb", ".drc", ".rcp"}
_TEXT = {".txt", ".csv"}  # suffixes of notes and tables, too
_HEAD = 2**16  # bytes of a text that are looked at
_HIDDEN = "hidden"


def list_scans(root: Path, pattern: str = "*") -> dict[str, Path]:
    """Path of each scan by name, ascending: in the folder itself and one level down.

    Args:
        root: the folder, or a single scan.
        pattern: of the file names or the names of scans to take; others are passed over silently.

    Raises:
        FileNotFoundError: if `root` does not exist.
        ValueError: if there is nothing to read, or two scans have the same name.
    """
    if not root.exists():
        where = f", a link to {root.readlink()}, which does not" if root.is_symlink() else ""
        raise FileNotFoundError(f"root must exist, got {root}{where}")
    if is_readable(root):
        return {_name(root): root}
    paths, passed = _sorted_out(root, pattern)
    said = _said(root, passed)
    if not paths:
        raise ValueError(
            f"root must hold scans ({' '.join(READERS)} or scene folders) that match {pattern!r}, "
            f"got {root}{said and f' with {said}'}"
        )
    if said:
        warnings.warn(f"{root}: passed over {said}", stacklevel=3)
    return _by_name(root, paths)


def _sorted_out(root: Path, pattern: str) -> tuple[list[Path], dict[Path, str]]:
    """Scans, and why other paths are none."""
    scans: list[Path] = []
    passed: dict[Path, str] = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        is_hidden = path.name.startswith(".")
        if path.is_dir() and not is_scene_folder(path) and not is_hidden:
            inside = list(_matching(path.iterdir(), pattern))
            found = [child for child in inside if _why_not(child) is None]
            scans += found
            passed |= {child: why for child in inside if (why := _why_not(child))}
            if not found and pattern == "*":
                passed[path] = "a folder without a scan"
        elif any(_matching([path], pattern)):
            why = _why_not(path)
            if why is None:
                scans.append(path)
            elif why:
                passed[path] = why
    return scans, passed


def _matching(paths: Iterator[Path] | list[Path], pattern: str) -> Iterator[Path]:
    for path in sorted(paths):
        if fnmatchcase(path.name, pattern) or fnmatchcase(_name(path), pattern):
            yield path


def _why_not(path: Path) -> str | None:
    """None for a scan; otherwise the reason, or "" for what nobody takes for a scan."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        is_ours = suffix == ".tmp"
        return _HIDDEN if suffix in READERS and not is_ours else ""
    if path.is_symlink() and not path.exists():
        return "a link to nowhere"
    if is_readable(path):
        is_notes = suffix in _TEXT and path.is_file() and not _holds_rows(path)
        return "no rows of three numbers" if is_notes else None
    if suffix in _ARCHIVES:
        return "an archive"
    return "a format that is not read" if suffix in _OTHER_FORMATS else ""


def _holds_rows(path: Path) -> bool:
    """Whether most lines of a text begin with three numbers; a file of nothing may have lost them.

    Comments do not count.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return True
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    lines = head.decode(encoding, errors="replace").splitlines()
    lines = lines[:-1] if len(head) == _HEAD and len(lines) > 1 else lines
    words = [re.split(r"[,;\s]+", line.strip()) for line in lines if line.strip()]
    words = [row for row in words if not row[0].startswith(("#", "//"))]
    return 2 * sum(_begins_with_numbers(row) for row in words) >= max(len(words), 1)


def _begins_with_numbers(row: list[str]) -> bool:
    try:
        return len([float(word) for word in row[:3]]) == 3
    except ValueError:
        return False


def _said(root: Path, passed: dict[Path, str]) -> str:
    """What is passed over, by reason; "" for nothing."""
    by_reason: dict[str, list[str]] = {}
    for path, why in passed.items():
        by_reason.setdefault(why, []).append(path.relative_to(root).as_posix())
    hidden = by_reason.pop(_HIDDEN, [])
    parts = [f"{few(names)} ({why})" for why, names in by_reason.items()]
    return ", ".join(parts + [f"hidden files: {len(hidden)}"] * bool(hidden))


def _by_name(root: Path, paths: list[Path]) -> dict[str, Path]:
    deeper = {(_name(path), path.parent) for path in paths if path.parent != root}
    is_repeated = len({name for name, _ in deeper}) < len(deeper)
    found: dict[str, Path] = {}
    for path in paths:
        prefix = f"{path.parent.name}_" if is_repeated and path.parent != root else ""
        first = found.setdefault(prefix + _name(path), path)
        if first != path:
            raise ValueError(f"root must have one scan of a name, got {first} and {path}")
    return dict(sorted(found.items()))


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
