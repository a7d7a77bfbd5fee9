"""Loops over rows, compiled with numba: the operations of torch take several times as long."""

from collections.abc import Callable
from inspect import unwrap

import numpy as np
from numba import njit


def compiled(function: Callable) -> Callable:
    """The function as machine code, without what a type checker has wrapped around it."""
    return njit(nogil=True, cache=True)(unwrap(function))


@compiled
def gather_rows(source, index, low, high, out):
    """out[k] = source[index[low + k]] for every k below high - low."""
    for k in range(high - low):
        row = index[low + k]
        for channel in range(source.shape[1]):
            out[k, channel] = source[row, channel]


@compiled
def add_rows(source, index, low, high, start, out):
    """out[index[low + k] - start] += source[k] for every k below high - low."""
    for k in range(high - low):
        row = index[low + k] - start
        for channel in range(source.shape[1]):
            out[row, channel] += source[k, channel]


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
    return inputs[:n_found].copy(), outputs[:n_found].copy()
