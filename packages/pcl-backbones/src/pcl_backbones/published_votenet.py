"""Weights of VoteNet that others published, with PointNet++ or a sparse U-Net below.

Qi et al., ICCV 2019 (github.com/facebookresearch/votenet) and Hou et al., CVPR 2021 (CSC,
github.com/facebookresearch/ContrastiveSceneContexts) share the names of their tensors, which those
of `VoteNet` are:

    backbone_net.sa1.mlp_module.layer0.conv.weight, .bn.bn.weight   to sa4: set abstraction
    backbone_net.fp1.mlp.layer0.conv.weight, .bn.bn.weight          to fp2: feature propagation
    backbone_net.net.conv0p1s1.kernel                               CSC: the sparse U-Net
    vgen.conv1.weight, vgen.bn1.weight                              to conv3: votes
    pnet.vote_aggregation.mlp_module.layer0.conv.weight             clusters of votes
    pnet.conv1.weight, pnet.bn1.weight                              to conv3: proposals

Their headings count clockwise about z, as the boxes of SUN RGB-D do in their files; here they count
counter-clockwise. So in `pnet.conv3`, bin j and bin -j mod NH change places, and residuals their
sign.
"""

from pathlib import Path

import torch
from torch import Tensor

from pcl_backbones.published import KernelOrder, LoadReport, load_published_checkpoint
from pcl_backbones.votenet import VoteNet

BEFORE_HEADINGS = 5  # channels of `pnet.conv3`: objectness and offset


def load_published_votenet(
    model: VoteNet,
    path: str | Path,
    *,
    kernel_order: KernelOrder | None = None,
    min_share: float = 0.5,
) -> LoadReport:
    """Copy every tensor of a published file that fits, and say what did not.

    Weights of this package itself are saved and loaded by `save_weights` and `load_weights`, which
    turn nothing. A file for other classes fits but for `pnet.conv3`, which is then mismatched.

    Args:
        model: whose tensors to fill; it is left as it was if the load is refused.
        path: a torch file of plain tensors, such as VoteNet's `checkpoint.tar`; nothing in it is
            executed.
        kernel_order: of the U-Net's residual blocks; see `load_published_checkpoint`.
        min_share: of the model's numbers, below which a load is refused.

    Raises:
        ValueError: if the file is of another architecture, or as `load_published_checkpoint`.

    Example:
        >>> import tempfile
        >>> from pcl_backbones.box_coding import SUNRGBD_CODING
        >>> from pcl_backbones.res16unet import Res16UNet14A
        >>> from pcl_backbones.sparse_seeds import SparseSeeds
        >>> seeds = SparseSeeds(Res16UNet14A(3, 16, width=0.125))
        >>> model = VoteNet(seeds, SUNRGBD_CODING, seed_channels=16, width=0.25)
        >>> with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        ...     torch.save({"model_state_dict": model.state_dict()}, file.name)
        ...     report = load_published_votenet(model, file.name, kernel_order="hybrid")
        >>> report.missing, report.unused
        ((), ())
    """
    report = load_published_checkpoint(model, path, kernel_order=kernel_order, min_share=min_share)
    for name, value in model.pnet.conv3.named_parameters():
        if f"pnet.conv3.{name}" in report.loaded:
            _turn_headings(value.data, model.coding.n_headings)
    return report


def _turn_headings(rows: Tensor, n_headings: int) -> None:
    """Exchange the channels of a heading with those of its opposite, in place."""
    opposite = -torch.arange(n_headings, device=rows.device) % n_headings
    parts = rows[BEFORE_HEADINGS : BEFORE_HEADINGS + 2 * n_headings].unflatten(0, (2, n_headings))
    logits, residuals = parts[:, opposite]
    parts.copy_(torch.stack([logits, -residuals]))
