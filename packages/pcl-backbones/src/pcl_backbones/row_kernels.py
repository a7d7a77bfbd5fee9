"""Searches of sorted keys and rows, compiled with numba."""

from collections.abc import Callable
from inspect import unwrap

import numpy as np
from numba import njit

from pcl_backbones.kernel_cache import compiled_once


def compiled(function: Callable) -> Callable:
    """The function as machine code, without what a type checker has wrapped around it."""
    return compiled_once(lambda cache: njit(nogil=True, cache=cache)(unwrap(function)))


@compiled
def cut_slots(outputs, starts, bounds):
    """First pair of each slot whose output row is not below each bound; and the bound itself.

    Pairs starts[s] to starts[s + 1] of slot s have rising output rows.
    """
    n_slots = len(starts) - 1
    cuts = np.empty((len(bounds), n_slots + 1), np.int64)
    for slot in range(n_slots):
        pairs = outputs[starts[slot] : starts[slot + 1]]
        cuts[:, slot] = starts[slot] + np.searchsorted(pairs, bounds)
    cuts[:, n_slots] = bounds
    return cuts


@compiled
def match_sorted(source, target, shift):
    """Where source[i] == target[j] + shift: i and j, of two arrays that rise strictly."""
    inputs = np.empty(min(len(source), len(target)), np.int64)
    outputs = np.empty_like(inputs)
    n_found, i = 0, 0
    for j in range(len(target)):
        key = target[j] + shift
        while i < len(source) and source[i] < key:
            i += 1
        if i == len(source):
            break
        if source[i] == key:
            inputs[n_found] = i
            outputs[n_found] = j
            n_found += 1
            i += 1  # so that no row is found twice, and all of them fit
    return inputs[:n_found].copy(), outputs[:n_found].copy()
