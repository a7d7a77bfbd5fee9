"""Whether SpUNet computes what the same network built of spconv does, weights copied over.

    python packages/pcl-backbones/benchmarks/compare_spconv.py

Needs spconv 2.3 (CPU). The largest difference of the outputs is printed relative to the largest
output, and the number of parameters of the full-size networks.
"""

import tempfile
from collections import OrderedDict

import spconv.pytorch as spconv
import torch
from spconv.core import ConvAlgo
from torch import nn

from pcl_backbones import SparseTensor, SpUNet, load_published_checkpoint
from pcl_backbones.spunet import CHANNELS, EPSILON, LAYERS, STEM_CHANNELS

WIDTH = 0.25
NATIVE = {"bias": False, "algo": ConvAlgo.Native}


def norm(channels: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(channels, eps=EPSILON)


class Block(spconv.SparseModule):
    def __init__(self, i: int, o: int, key: str) -> None:
        super().__init__()
        shortcut = [spconv.SubMConv3d(i, o, 1, **NATIVE), norm(o)] if i != o else [nn.Identity()]
        self.proj = spconv.SparseSequential(*shortcut)
        self.conv1 = spconv.SubMConv3d(i, o, 3, padding=1, indice_key=key, **NATIVE)
        self.conv2 = spconv.SubMConv3d(o, o, 3, padding=1, indice_key=key, **NATIVE)
        self.bn1, self.bn2 = norm(o), norm(o)

    def forward(self, x):
        out = self.conv1(x)
        out = self.conv2(out.replace_feature(self.bn1(out.features).relu()))
        return out.replace_feature((self.bn2(out.features) + self.proj(x).features).relu())


class Reference(nn.Module):
    def __init__(self, n_in: int, n_out: int, stem: int, channels: list[int]) -> None:
        super().__init__()
        first = spconv.SubMConv3d(n_in, stem, 5, padding=1, indice_key="stem", **NATIVE)
        self.conv_input = spconv.SparseSequential(first, norm(stem), nn.ReLU())
        self.down, self.enc, self.up, self.dec = (nn.ModuleList() for _ in range(4))
        skip = stem
        for s in range(4):
            inside, below, above = channels[s], channels[-s - 2], channels[-s - 1]
            key = f"down{s}"
            down = spconv.SparseConv3d(skip, inside, 2, stride=2, indice_key=key, **NATIVE)
            up = spconv.SparseInverseConv3d(below, above, 2, indice_key=key, **NATIVE)
            self.down.append(spconv.SparseSequential(down, norm(inside), nn.ReLU()))
            self.up.append(spconv.SparseSequential(up, norm(above), nn.ReLU()))
            self.enc.append(blocks(inside, inside, LAYERS[s], f"level{s + 1}"))
            self.dec.append(blocks(above + skip, above, LAYERS[-s - 1], f"level{s}"))
            skip = inside
        last = {**NATIVE, "bias": True}
        self.final = spconv.SubMConv3d(channels[-1], n_out, 1, padding=1, **last)

    def forward(self, x):
        x = self.conv_input(x)
        skips = []
        for down, enc in zip(self.down, self.enc, strict=True):
            skips.append(x)
            x = enc(down(x))
        for up, dec in zip(reversed(self.up), reversed(self.dec), strict=True):
            x = up(x)
            x = dec(x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1)))
        return self.final(x)


def blocks(i: int, o: int, count: int, key: str) -> spconv.SparseSequential:
    named = ((f"block{n}", Block(o if n else i, o, key)) for n in range(count))
    return spconv.SparseSequential(OrderedDict(named))


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def main() -> None:
    torch.set_num_threads(1)  # spconv's CPU loops race with more
    torch.manual_seed(0)
    stem, *channels = (round(c * WIDTH) for c in (STEM_CHANNELS, *CHANNELS))
    reference = Reference(6, 20, stem, channels)
    for part in reference.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    coords = torch.unique(torch.randint(0, 40, (3000, 3)) // torch.tensor([1, 1, 12]), dim=0)
    indices = torch.cat([torch.zeros(len(coords), 1), coords], dim=1).int()
    features = torch.randn(len(coords), 6)
    network = SpUNet(6, 20, width=WIDTH)
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save({"state_dict": reference.state_dict()}, file.name)
        report = load_published_checkpoint(network, file.name)
    assert report.missing + report.mismatched + report.unused == ()
    with torch.no_grad():
        theirs = reference.eval()(
            spconv.SparseConvTensor(features, indices, [136, 136, 136], 1)
        ).features
        ours = network.eval()(SparseTensor(indices, features)).features
    print(f"largest difference {float((ours - theirs).abs().max() / theirs.abs().max()):.1e}")
    full = Reference(6, 20, STEM_CHANNELS, list(CHANNELS))
    print(f"parameters {n_parameters(SpUNet(6, 20)):,}, of spconv's {n_parameters(full):,}")


if __name__ == "__main__":
    main()
