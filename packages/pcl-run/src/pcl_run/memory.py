"""Peak memory of a run."""

import resource
import sys


def peak_memory_bytes() -> int:
    """Most resident memory so far, bytes: this process plus its largest finished child.

    Example:
        >>> peak_memory_bytes() > 1_000_000
        True
    """
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, kibibytes here
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * sum(resource.getrusage(one).ru_maxrss for one in who)
