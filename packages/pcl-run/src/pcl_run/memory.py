"""Peak memory of a run."""

import sys


def peak_memory_bytes() -> int:
    """Most resident memory so far, bytes: this process plus its largest finished child.

    On Windows that of this process alone.

    Example:
        >>> peak_memory_bytes() > 1_000_000
        True
    """
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, kibibytes here
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * sum(resource.getrusage(one).ru_maxrss for one in who)
