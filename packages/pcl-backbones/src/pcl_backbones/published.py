"""Weights that others published, read into the networks of this package.

Which tensors such a file holds under which names is that of MinkowskiEngine (Choy et al., "4D
Spatio-Temporal ConvNets", CVPR 2019) and of spconv. Networks of PointContrast (Xie et al., ECCV
2020) and Contrastive Scene Contexts (Hou et al., CVPR 2021) were built with MinkowskiEngine 0.4.3
and keep the kernels of residual blocks in another order of slots; loaded as they are, they fit in
shape and are wrong in every neighbour.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pcl_backbones.coordinates import kernel_offsets
from pcl_backbones.pointnet2 import name_in_votenet
from pcl_backbones.published_file import read_published

KernelOrder = Literal["cube", "hybrid"]
_BLOCK_KERNEL = re.compile(r"(^|\.)block\d+\.\d+\.conv[12]\.kernel$")
_CLEAR = 0.05  # of a kernel's mean weight, lost with each unit of squared distance


class LoadReport(NamedTuple):
    """What a published file gave to a model, by the names of the model.

    Attributes:
        loaded: parameters and buffers that were copied.
        missing: those the file does not have; they stay as they were.
        mismatched: those the file has in another shape; they stay as they were.
        unused: names of the file that the model has no place for.
        kernel_order: of the residual blocks in the file; None where the file is of spconv.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]
    kernel_order: KernelOrder | None


def load_published_checkpoint(
    model: nn.Module,
    path: str | Path,
    *,
    kernel_order: KernelOrder | None = None,
    min_share: float = 0.5,
) -> LoadReport:
    """Copy every tensor of a published file that fits, and say what did not.

    MinkowskiEngine's names fit `Res16UNet*` as they are, spconv's (Pointcept) fit `SpUNet` after a
    transposition of every kernel. A prefix such as `module.` is found and stripped. The order of
    slots in residual blocks is told from the kernels themselves: trained ones are heaviest at
    their centre and lighter the further out.

    Args:
        model: whose tensors to fill; it is left as it was if the load is refused.
        path: a safetensors file, or a torch file of plain tensors; nothing in it is executed.
        kernel_order: of residual blocks: "hybrid" for MinkowskiEngine 0.4 (PointContrast, CSC),
            "cube" for 0.5 (CLIP2Scene, OpenScene); None finds out.
        min_share: of the model's numbers, below which a load is refused.

    Raises:
        ValueError: if the file is missing, damaged or no such file, needs code to be read, fits
            too little, holds a number that is not finite, or its kernel order cannot be told and
            is not given.

    Example:
        >>> import tempfile
        >>> from pcl_backbones import Res16UNet14A
        >>> model = Res16UNet14A(3, 20, width=0.125)
        >>> with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        ...     torch.save({"state_dict": model.state_dict()}, file.name)
        ...     report = load_published_checkpoint(model, file.name, kernel_order="cube")
        >>> report.missing, report.unused
        ((), ())
    """
    if not 0 <= min_share <= 1:
        raise ValueError(f"min_share must lie in [0, 1], got {min_share}")
    stored = read_published(Path(path))
    if any("SA_modules." in name for name in stored):  # of MMDetection3D
        stored = {name_in_votenet(name): value for name, value in stored.items()}
    own = model.state_dict()
    is_spconv = any(value.ndim == 5 for value in stored.values())
    if is_spconv:
        stored = dict(_from_spconv(name, value) for name, value in stored.items())
    prefix = _prefix(own, stored)
    found = {name.removeprefix(prefix): value for name, value in stored.items()}
    blocks = [name for name in own if name in found and _is_block_kernel(name, found[name])]
    order = None
    if blocks and not is_spconv:
        order = kernel_order or _detect_order([found[name] for name in blocks], path)
        if order == "hybrid":
            found |= {name: found[name][_SLOTS] for name in blocks}
    fits = {name for name in own if name in found and found[name].shape == own[name].shape}
    for name in fits:
        if not found[name].isfinite().all():
            raise ValueError(f"{path} must hold finite numbers, got NaN or infinity in {name}")
    size = sum(own[name].numel() for name in fits)
    total = sum(value.numel() for value in own.values())
    if size < min_share * total:
        raise ValueError(
            f"{path} must fit at least {min_share:.0%} of the model, got {size / total:.0%}; "
            f"the model has {next(iter(own), 'nothing')}, the file {next(iter(stored))}"
        )
    model.load_state_dict({name: found[name] for name in fits}, strict=False)
    return LoadReport(
        loaded=tuple(name for name in own if name in fits),
        missing=tuple(name for name in own if name not in found),
        mismatched=tuple(name for name in own if name in found and name not in fits),
        unused=tuple(name for name in found if name not in own),
        kernel_order=order,
    )


def hybrid_offsets() -> list[tuple[int, int, int]]:
    """Slots of a 3x3x3 kernel in the hybrid order of MinkowskiEngine 0.4.3.

    It starts with the centre; then, axis by axis, every offset so far is followed by its copies
    at -1 and at +1 on that axis.

    Example:
        >>> hybrid_offsets()[:5]
        [(0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0)]
    """
    offsets = [(0, 0, 0)]
    for axis in range(3):
        for offset in list(offsets):
            for step in (-1, 1):
                copy = list(offset)
                copy[axis] = step
                offsets.append((copy[0], copy[1], copy[2]))
    return offsets


# The hybrid slot of each slot in cube order.
_SLOTS = [hybrid_offsets().index(offset) for offset in kernel_offsets(3)]


def _prefix(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> str:
    """What stands before the model's names in the file: the prefix under which most are found."""
    candidates = {""}
    for name in own:
        ends = {key.removesuffix(name) for key in stored if key.endswith("." + name)}
        candidates |= ends
    return max(
        sorted(candidates, key=len), key=lambda prefix: sum(prefix + n in stored for n in own)
    )


def _is_block_kernel(name: str, value: Tensor) -> bool:
    return bool(_BLOCK_KERNEL.search(name)) and value.ndim == 3 and len(value) == 27


def _detect_order(kernels: list[Tensor], path: str | Path) -> KernelOrder:
    """The order in which the weight of slots falls most with the distance from the centre."""
    weights = torch.stack([kernel.double().square().mean(dim=(1, 2)) for kernel in kernels])
    profile = (weights / weights.mean(dim=1, keepdim=True)).mean(dim=0)
    falls = {}
    for order, offsets in (("cube", kernel_offsets(3)), ("hybrid", hybrid_offsets())):
        distance = torch.tensor(offsets, dtype=torch.float64).square().sum(dim=1)
        covariance = torch.cov(torch.stack([distance, profile]))
        falls[order] = -float(covariance[0, 1] / covariance[0, 0])
    cube, hybrid = falls["cube"], falls["hybrid"]
    if not max(cube, hybrid) > _CLEAR or not abs(cube - hybrid) > _CLEAR / 2:
        raise ValueError(
            f"kernel_order must be given for {path}: its kernels do not tell, being untrained or "
            f"unusual (weight falls by {cube:.2f} read as cube, {hybrid:.2f} as hybrid)"
        )
    return "cube" if cube > hybrid else "hybrid"


def _from_spconv(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A tensor of spconv, (out, x, y, z, in) if a kernel, under the name it has here.

    A kernel of size 1 has that shape too, but spconv 2 multiplies by its memory seen as (in, out).
    """
    owner, _, leaf = name.rpartition(".")
    if value.ndim == 5 and value.shape[1:4].numel() == 1:
        return f"{owner}.kernel", value.reshape(value.shape[4], value.shape[0])
    if value.ndim == 5:
        return f"{owner}.kernel", value.permute(3, 2, 1, 4, 0).flatten(0, 2)  # x fastest
    if owner.rpartition(".")[2] == "final":
        return name, value.unsqueeze(0)
    return f"{owner}.bn.{leaf}", value
