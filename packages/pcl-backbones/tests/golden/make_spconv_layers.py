"""Record what spconv computes: python make_spconv_layers.py spconv_layers.npz."""

import sys

import numpy as np
import spconv.pytorch as spconv
import torch
from spconv.core import ConvAlgo

torch.manual_seed(0)
coords = torch.unique(torch.randint(0, 5, (80, 3)), dim=0)
indices = torch.cat([torch.zeros(len(coords), 1), coords], dim=1).int()
x = spconv.SparseConvTensor(torch.randn(len(coords), 4), indices, [96, 96, 96], 1)
native = {"algo": ConvAlgo.Native}
layers = {
    "submanifold3": spconv.SubMConv3d(4, 5, 3, padding=1, bias=False, **native),
    "submanifold5": spconv.SubMConv3d(4, 3, 5, padding=1, bias=False, **native),
    "submanifold1": spconv.SubMConv3d(4, 5, 1, bias=False, **native),
    "strided": spconv.SparseConv3d(4, 6, 2, stride=2, bias=False, indice_key="down", **native),
    "inverse": spconv.SparseInverseConv3d(6, 3, 2, bias=False, indice_key="down", **native),
}
record = {"coords": indices.numpy(), "features": x.features.numpy()}
y = x
with torch.no_grad():
    for name, layer in layers.items():
        y = layer(y if name == "inverse" else x)  # the inverse follows the strided one
        record |= {
            f"{name}_weight": layer.weight.numpy(),
            f"{name}_coords": y.indices.numpy(),
            f"{name}_features": y.features.numpy(),
        }
np.savez_compressed(sys.argv[1], **record)
