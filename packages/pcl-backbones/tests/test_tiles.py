"""Tests of pcl_backbones.tiles and pcl_backbones.threads."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import carray

from pcl_backbones import cpu_engine, threads
from pcl_backbones.coordinates import KernelMap
from pcl_backbones.threads import FIRST_ARGUMENT, N_TASKS, NEXT_TASK, native, run_tasks, take
from pcl_backbones.tiles import pointer


def drawn_map(n_inputs, n_outputs, lengths, generator):
    """A kernel map with slots of these lengths, as far as the rows reach, in any order."""
    pairs = []
    for length in lengths:
        n = min(length, n_inputs, n_outputs)
        rows = (torch.randperm(size, generator=generator)[:n] for size in (n_inputs, n_outputs))
        pairs.append(tuple(rows))
    return KernelMap(tuple(pairs), n_inputs, n_outputs)


sizes = st.tuples(
    st.integers(1, 12), st.integers(1, 150), st.lists(st.integers(0, 12), min_size=1, max_size=4)
)


@settings(deadline=None)  # the first example compiles
@given(sizes, st.integers(1, 70), st.integers(1, 140), st.booleans(), st.integers(1, 3))
def test_products_equal_a_loop_over_pairs(size, n_in, n_out, is_bfloat16, n_threads):
    """Small integers: float32 sums of them are exact, and so are bfloat16 ones to 256."""
    generator = torch.Generator().manual_seed(n_in + 1000 * n_out)
    kernel_map = drawn_map(*size, generator)

    def integers(*shape):
        values = torch.randint(-1, 2, shape, generator=generator).float()
        return values.bfloat16() if is_bfloat16 else values

    features, gradient = integers(kernel_map.n_inputs, n_in), integers(kernel_map.n_outputs, n_out)
    kernel = integers(len(kernel_map.pairs), n_in, n_out)
    out = torch.zeros(kernel_map.n_outputs, n_out)
    to_kernel = torch.zeros(kernel.shape)
    for slot, pair in enumerate(kernel_map.pairs):
        for i, j in zip(*pair, strict=True):
            out[j] += features[i].float() @ kernel[slot].float()
            to_kernel[slot] += torch.outer(features[i].float(), gradient[j].float())
    torch.set_num_threads(n_threads)
    try:
        assert torch.equal(cpu_engine.sum_of_products(features, kernel, kernel_map).float(), out)
        assert torch.equal(cpu_engine.outer_products(features, gradient, kernel_map), to_kernel)
    finally:
        torch.set_num_threads(1)


@native
def count_tasks(numbers):
    """Add 1 to the count of every task."""
    counts = carray(pointer(numbers[FIRST_ARGUMENT]), numbers[N_TASKS], np.int64)
    while True:
        task = take(numbers, NEXT_TASK)
        if task >= numbers[N_TASKS]:
            return
        counts[task] += 1


@pytest.mark.parametrize("has_openmp", [True, False])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_task_is_run_once(monkeypatch, n_threads, has_openmp):
    if not has_openmp:
        monkeypatch.setattr(threads, "_openmp_fork", lambda: None)
    torch.set_num_threads(n_threads)
    try:
        for n_tasks in (1, 3, 10_000):
            counts = np.zeros(n_tasks, np.int64)
            run_tasks(count_tasks, n_tasks, counts.ctypes.data)
            assert (counts == 1).all()
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(1)


@pytest.mark.skipif(sys.platform != "linux", reason="the library is looked for as it is on Linux")
def test_the_threads_are_those_of_torch():
    assert threads._openmp_fork() is not None


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names processors of x86-64")
@pytest.mark.parametrize(("features", "lanes"), [("+avx,+avx2,+fma", 8), ("", 4)])
def test_older_processors(features, lanes, tmp_path):
    """Their instructions give the same, bfloat16 included; only a process of its own has them."""
    program = f"""
import torch
from pcl_backbones import cpu_engine, device_engine
from pcl_backbones.coordinates import KernelMap
from pcl_backbones.tiles import LANES
assert LANES == {lanes}
kernel_map = KernelMap(((torch.arange(9), torch.arange(9).flip(0)), None), 9, 9)
def integers(*shape):
    return torch.randint(-2, 3, shape).float()  # all sums of them are exact
features, gradient, kernel = integers(9, 7), integers(9, 21), integers(2, 7, 21)
for dtype in (torch.float32, torch.bfloat16):
    x, w, g = (values.to(dtype) for values in (features, kernel, gradient))
    for name, arguments in (("sum_of_products", (x, w)), ("outer_products", (x, g))):
        exact = getattr(device_engine, name)(*(v.double() for v in arguments), kernel_map)
        assert torch.equal(getattr(cpu_engine, name)(*arguments, kernel_map).double(), exact)
"""
    environment = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features or "+sse2",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", program], env=os.environ | environment, check=True)
