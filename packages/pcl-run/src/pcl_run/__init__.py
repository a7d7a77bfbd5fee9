"""The run that every app shares: configuration, folder, loop, checkpoints, resume and report.

Import what you need from its module (`pcl_run.config`, `.run`, `.loop`, ...): this package
imports nothing by itself, so that `--help` of an app stays fast.
"""

from pcl_run.__about__ import __version__

__all__ = ["__version__"]
