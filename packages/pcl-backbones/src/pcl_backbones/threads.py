"""Native loops over tasks, on the threads that torch computes with.

torch's OpenMP threads go on spinning for milliseconds after each of its operations; threads of
our own would have to share the cores with them.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from inspect import unwrap
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

from pcl_backbones.kernel_cache import compiled_once

N_TASKS, NEXT_TASK, NEXT_WORKER, FIRST_ARGUMENT = range(4)


def native(function: Callable) -> Callable:
    """A function of one array of int64, compiled by the first `run_tasks`; it must not raise."""
    kind = types.void(types.CPointer(types.int64))
    return cache(lambda: compiled_once(lambda keep: cfunc(kind, cache=keep)(unwrap(function))))


def run_tasks(native_loop: Callable, n_tasks: int, *arguments: int) -> None:
    """Run a `native` loop on as many threads as torch uses.

    Each thread calls it with an array that holds N_TASKS, counters from which to `take` tasks and
    a number of its own, and from FIRST_ARGUMENT on the arguments.
    """
    loop = native_loop()
    shared = np.array([n_tasks, 0, 0, *arguments], np.int64)
    n_threads = min(torch.get_num_threads(), n_tasks)
    if n_threads <= 1:
        loop.ctypes(_pointer(shared))
    elif fork := _openmp_fork():
        fork(loop.address, shared.ctypes.data, n_threads, 0)
    else:
        pool = _pool(os.getpid(), n_threads)
        list(pool.map(lambda _: loop.ctypes(_pointer(shared)), range(n_threads)))


def instruction(function: Callable) -> Callable:
    """A function that writes code, as one that compiled functions call without its context."""
    return intrinsic(function)


@instruction
def take(context, numbers, place):
    """numbers[place] as it was before 1 was added, each value for one thread only."""

    def generate(context, builder: ir.IRBuilder, signature, args):
        address = builder.gep(args[0], [args[1]])
        return builder.atomic_rmw("add", address, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(types.CPointer(types.int64), types.intp), generate


def _pointer(numbers: np.ndarray):
    return numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))


@cache
def _openmp_fork() -> Callable | None:
    """What runs a function on all threads of the OpenMP library that torch has loaded."""
    home = Path(torch.__file__).parent
    bundled = chain(home.glob("lib/lib*omp*"), home.with_name("torch.libs").glob("lib*omp*"))
    for name in (*bundled, "libgomp.so.1", "libiomp5.so", "libomp.so"):
        try:
            fork = ctypes.CDLL(str(name), mode=os.RTLD_NOLOAD).GOMP_parallel
        except (OSError, AttributeError):  # not loaded, or another kind of library
            continue
        fork.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        fork.restype = None
        return fork
    return None


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(n_threads, "pcl_backbones")
