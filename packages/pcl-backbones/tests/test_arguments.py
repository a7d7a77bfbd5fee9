"""What no public function accepts; above all, what native loops would follow out of memory."""

import inspect
import math

import numpy as np
import pytest
import torch

from pcl_backbones import (
    ProjectionHead,
    ProposalEncoder,
    Res16UNet14A,
    SparseTensor,
    add_lora,
    predict_tiled,
)
from pcl_backbones.coordinates import KernelMap
from pcl_backbones.engine import convolve
from pcl_backbones.epilogue import Epilogue
from pcl_backbones.row_kernels import match_sorted
from pcl_backbones.sparse import BatchNorm, Conv3d, conv_norm, kernel_map
from pcl_backbones.testing import surface_scene

COORDS = surface_scene(4)
N = len(COORDS)
FEATURES = torch.ones(N, 3)
X = SparseTensor(COORDS, FEATURES)
TILING = {"coords": COORDS, "features": FEATURES, "tile": 4, "blend": 2, "context": 1}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"features": FEATURES[:-1]}, r"features must have shape \(32, c\), got \(31, 3\)"),
        ({"features": torch.ones(N + 1, 3)}, r"features must have shape \(32, c\), got \(33, 3\)"),
        ({"features": FEATURES.long()}, "features must be floating point, got torch.int64"),
        ({"coords": COORDS.long()}, "coords must be int32, got torch.int64"),
        ({"coords": COORDS * 10**6}, r"coords must lie in \[-32768, 32768\), got"),
        ({"coords": COORDS - 1}, r"coords must have scenes in \[0, 4096\), got \[-1, -1\]"),
        ({"out": torch.zeros(N, 3, dtype=torch.long)}, "out must be floating point, got"),
        ({"out": torch.zeros(N - 1, 3)}, r"out must have shape \(32, 3\), got \(31, 3\)"),
    ],
)
def test_tiling_refuses_what_does_not_fit(change, problem):
    with pytest.raises(ValueError, match=problem):
        inspect.unwrap(predict_tiled)(lambda x: x, **TILING | change)  # without its type checker


def test_a_network_keeps_the_rows():
    pooled = Conv3d(3, 3, 2, stride=2)
    with pytest.raises(ValueError, match="network must keep the rows, got"):
        predict_tiled(pooled, **TILING)


def test_no_loop_leaves_the_memory_of_its_arguments():
    """Each of these would read or write beyond the end of an array."""
    found, kernel = kernel_map(X, 3), torch.ones(27, 3, 5)
    row, rows = torch.ones(5), torch.ones(N, 5)
    unchecked = inspect.unwrap(convolve)  # without the type checker of the tests
    for arguments, problem in (
        ((FEATURES[:-1], kernel), r"features must have shape \(32, 3\), got \(31, 3\)"),
        ((torch.ones(N, 4), kernel), r"features must have shape \(32, 3\), got \(32, 4\)"),
        ((FEATURES, kernel[:-1]), r"kernel must have shape \(27, a, b\), got \(26, 3, 5\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            unchecked(*arguments, found)
    for epilogue, problem in (
        (Epilogue(row[:1], row), r"scale must have shape \(5,\), got \(1,\)"),
        (Epilogue(row, row[:1]), r"shift must have shape \(5,\), got \(1,\)"),
        (Epilogue(row, row, rows[:-1]), r"shortcut must have shape \(32, 5\), got \(31, 5\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            unchecked(FEATURES, kernel, found, epilogue)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("is_training", [True, False])
def test_a_norm_and_a_shortcut_fit_the_convolution(kernel_size, is_training):
    conv, norm = Conv3d(3, 5, kernel_size), BatchNorm(1)
    other = SparseTensor(COORDS[:-1], FEATURES[:-1])
    with torch.inference_mode(not is_training):
        with pytest.raises(ValueError, match=r"must have (1 channels|shape \(5,\)), got"):
            conv_norm(conv, norm.train(is_training), X)
        if not is_training:
            with pytest.raises(ValueError, match=r"shortcut must have shape \(32, 5\), got"):
                conv_norm(conv, BatchNorm(5).eval(), X, shortcut=other)


def test_a_map_that_was_not_searched_for_is_checked():
    rows = torch.arange(3)
    KernelMap(((rows, rows), None), 3, 3)
    for pairs, n_outputs, problem in (
        ([(rows + 1, rows)], 3, r"input rows must lie in \[0, 3\), got \[1, 3\]"),
        ([(rows, rows - 1)], 3, r"output rows must lie in \[0, 3\), got \[-1, 1\]"),
        ([(rows, rows[1:])], 3, "pairs must be equally long"),
        ([None], 4, "n_outputs must be 3 for None, got 4"),
    ):
        with pytest.raises(ValueError, match=problem):
            KernelMap(tuple(pairs), 3, n_outputs)


def test_rows_are_matched_once_whatever_repeats():
    """Arrays that do not rise strictly find no more rows than there is memory for."""
    inputs, outputs = match_sorted(np.zeros(2, np.int64), np.zeros(1000, np.int64), 0)
    assert inputs.tolist() == [0, 1]
    assert outputs.tolist() == [0, 1]


def test_sizes_that_are_no_numbers_are_refused():
    for make, problem in (
        (lambda: Res16UNet14A(3, 2, width=math.nan), "width must be above 0 and finite, got nan"),
        (lambda: Res16UNet14A(3, 2, width=math.inf), "width must be above 0 and finite, got inf"),
        (lambda: ProposalEncoder(3, voxel_size=math.nan), "voxel_size must be above 0 and finite"),
        (lambda: add_lora(Conv3d(1, 1, 3), scale=math.nan), "scale must be finite, got nan"),
        (lambda: BatchNorm(0), "n_channels must be at least 1, got 0"),
        (
            lambda: ProjectionHead(3)(FEATURES[:, :2]),
            r"rows must have shape \(n, 3\), got",
        ),
    ):
        with pytest.raises(ValueError, match=problem):
            make()
