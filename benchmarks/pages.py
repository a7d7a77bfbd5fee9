"""Lines of the pages that a script writes by itself, without records."""

import os
import platform
import subprocess
from datetime import date

from records import RESULTS


def head(*cells: str) -> list[str]:
    """The first two lines of a table."""
    return [line(*cells), "|" + "---|" * len(cells)]


def line(*cells: str) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"


def percent(share: float) -> str:
    """A share, with its unit."""
    return f"{100 * share:.1f} %"


def how_it_was_made(command: str) -> list[str]:
    """Command, commit and machine."""
    words = ["git", "-C", str(RESULTS), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return [
        "## How it was made",
        "",
        f"- `OMP_NUM_THREADS=1 python benchmarks/{command}`  ",
        f"  commit {commit}, {date.today()}, {platform.machine()}, {os.cpu_count()} cores",
    ]
