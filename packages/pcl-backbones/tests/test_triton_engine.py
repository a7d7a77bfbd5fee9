"""Tests of pcl_backbones.triton_engine: on a GPU if there is one, else by interpretation."""

import os
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from pcl_backbones import SparseTensor, device_engine, engine
from pcl_backbones.sparse import kernel_map
from pcl_backbones.testing import surface_scene

triton_engine = pytest.importorskip("pcl_backbones.triton_engine", reason="needs triton")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs a GPU or TRITON_INTERPRET=1", allow_module_level=True)
TOLERANCE = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


@pytest.fixture(autouse=True)
def _few_programs(monkeypatch):
    monkeypatch.setattr(triton_engine, "N_PROGRAMS", 60)  # the interpreter runs one at a time


def case(size, stride, transposed, channels, dtype=torch.float32, n=6):
    torch.manual_seed(0)
    coords = surface_scene(n)
    coords = coords[torch.randperm(len(coords))].to(DEVICE)
    found = kernel_map(
        SparseTensor(coords, torch.empty(len(coords), 1, device=DEVICE)), size, stride
    )
    found = found.transposed if transposed else found
    features = torch.randn(found.n_inputs, channels[0])
    gradient = torch.randn(found.n_outputs, channels[1])
    kernel = torch.randn(len(found.pairs), *channels) / channels[0] ** 0.5
    return *(value.to(DEVICE, dtype) for value in (features, kernel, gradient)), found


def check(features, kernel, gradient, found):
    for name, arguments in (
        ("sum_of_products", (features, kernel)),
        ("outer_products", (features, gradient)),
    ):
        exact = getattr(device_engine, name)(*(value.double() for value in arguments), found)
        out = getattr(triton_engine, name)(*arguments, found)
        dtype = features.dtype if name == "sum_of_products" else torch.float32
        assert out.dtype == dtype
        largest = exact.abs().max().item()
        assert_close(out.double(), exact, rtol=0, atol=TOLERANCE[dtype] * largest)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_it_gives_what_plain_torch_gives(size, stride, transposed):
    check(*case(size, stride, transposed, (16, 32)))


@pytest.mark.parametrize("channels", [(3, 20), (40, 70)])
def test_widths_that_no_tile_divides(channels):
    check(*case(3, 1, False, channels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    if dtype == torch.bfloat16 and DEVICE.type == "cpu":
        pytest.skip("Triton's interpreter takes bfloat16 for integers")
    check(*case(3, 1, False, (32, 32), dtype))


def test_more_slots_than_a_key_distinguishes():
    features, kernel, gradient, found = case(5, 1, False, (8, 8), n=4)
    assert len(found.pairs) > 62
    check(features, kernel, gradient, found)


def test_a_tile_lists_the_slots_of_its_rows_only():
    *_, found = case(3, 1, False, (1, 1))
    table = triton_engine._table(found)
    dense = found.table(DEVICE)
    listed = 0
    for tile, order in enumerate(table.order.split(triton_engine.ROWS)):
        wanted = (dense[order] < found.n_inputs).any(0).nonzero()[:, 0]
        slots = table.slots[table.starts[tile] : table.starts[tile + 1]]
        assert slots.tolist() == wanted.tolist()
        listed += len(slots)
    assert listed == len(table.slots)
    unsorted = torch.nn.functional.pad(dense, (0, 0, 0, -len(dense) % 64), value=found.n_inputs)
    blocks = (unsorted.unflatten(0, (-1, 64)) < found.n_inputs).any(1)
    assert listed < int(blocks.sum())  # sorting pays


def test_tf32_only_where_it_is_allowed():
    assert triton_engine._precision() == "ieee"
    torch.set_float32_matmul_precision("high")
    try:
        assert triton_engine._precision() == "tf32"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_convolve_uses_it_on_a_gpu_and_repeats_every_bit(dtype):
    *values, gradient, found = case(3, 1, False, (48, 70), dtype, n=24)
    values = [value.requires_grad_() for value in values]
    assert engine._functions(values[0]) is triton_engine

    def run():
        out = engine.convolve(*values, found)
        return out, *torch.autograd.grad(out, values, gradient)

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from pcl_backbones import triton_engine

sizes = {"ROWS": 64, "STEPS": 32, "COLUMNS": 64}
tables = {name: "*i32" for name in ("table", "starts", "slots", "inputs", "outputs")}

def compile(kernel, kind, out, precision, generation):
    known = dict.fromkeys((*sizes, "PRECISION"), "constexpr") | tables
    known |= {"order": "*i64", "out": f"*{out}"}
    known |= {"features": f"*{kind}", "kernel": f"*{kind}", "gradient": f"*{kind}"}
    signature = {name: known.get(name, "i32") for name in kernel.arg_names}
    source = ASTSource(kernel, signature, sizes | {"PRECISION": precision})
    compiled = triton.compile(source, target=GPUTarget("cuda", generation, 32))
    assert compiled.asm["cubin"]
    uses_tensor_cores = "mma" in compiled.asm["ptx"]
    assert uses_tensor_cores == (precision != "ieee" or kind != "fp32"), kernel

for generation in (80, 90):
    for kind, precision in (("fp32", "ieee"), ("fp32", "tf32"), ("fp16", "ieee"), ("bf16", "ieee")):
        compile(triton_engine._sum_of_products, kind, kind, precision, generation)
        compile(triton_engine._outer_products, kind, "fp32", precision, generation)
"""


def test_the_kernels_compile_for_nvidia_gpus(tmp_path):
    """Without one at hand: Triton brings the assembler."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)
