"""What a command may write: no file that was there, and never an input."""

from collections.abc import Iterable
from pathlib import Path

from pcl_run.files import must_be_new


def check_outputs(files: Iterable[Path], *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Return quietly if a command may write all of these files.

    Args:
        files: that it would write.
        overwrite: whether files that are there may be replaced.
        inputs: files and folders that it reads: what is there in them is never replaced, by
            whatever name.

    Raises:
        ValueError: naming the first file that is there, and that it is an input or how to replace
            it.
    """
    there = [one.resolve() for one in inputs if one.exists()]
    places = set(there)
    numbers = {(stat.st_dev, stat.st_ino) for stat in (one.stat() for one in there)}
    for file in files:
        if not file.exists():
            must_be_new(file, overwrite)
            continue
        place, stat = file.resolve(), file.stat()
        is_input = not places.isdisjoint((place, *place.parents))
        if is_input or (stat.st_dev, stat.st_ino) in numbers:
            raise ValueError(f"{file} must not be replaced, as it is an input: give another folder")
        must_be_new(file, overwrite)
