"""Prepare, check, count, make and look at point-cloud data sets."""

from data_cli.__about__ import __version__

__all__ = ["__version__"]
