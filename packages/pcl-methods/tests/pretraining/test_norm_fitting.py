"""Tests of pcl_methods.pretraining.norm_fitting."""

import torch
from torch import nn
from torch.testing import assert_close

from pcl_methods.pretraining.norm_fitting import fit_norms


def first_norm(backbone):
    return next(part for part in backbone.modules() if isinstance(part, nn.BatchNorm1d))


def test_a_copy_has_the_mean_statistics_of_the_scenes(rooms, backbone):
    norm = first_norm(backbone.train())
    norm.running_mean += 5  # what they knew before does not count
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    rows = []
    norm.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].mean(dim=0)))
    found = fit_norms(backbone, list(rooms.values())[:3], voxel_size=0.1)
    assert len(rows) == 3
    assert_close(first_norm(found).running_mean, torch.stack(rows).mean(dim=0))
    assert (first_norm(found).momentum, found.training) == (norm.momentum, True)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])
    for old, new in zip(backbone.parameters(), found.parameters(), strict=True):
        assert torch.equal(old, new)
