"""Tests of pcl_appkit.optimizers."""

import pytest
from torch import nn
from torch.optim import SGD, AdamW

from pcl_appkit.optimizers import make_optimizer


def test_each_kind_takes_its_settings():
    module = nn.Linear(2, 3)
    sgd = make_optimizer(module, "sgd", 0.1, weight_decay=0.2, momentum=0.8, dampening=0.3)
    adamw = make_optimizer(module, "adamw", 0.1, weight_decay=0.2)
    assert isinstance(sgd, SGD)
    assert isinstance(adamw, AdamW)
    shown = {key: sgd.defaults[key] for key in ("lr", "weight_decay", "momentum", "dampening")}
    assert shown == {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.8, "dampening": 0.3}
    assert (adamw.defaults["lr"], adamw.defaults["weight_decay"]) == (0.1, 0.2)
    for optimizer in (sgd, adamw):
        assert optimizer.param_groups[0]["params"] == list(module.parameters())


def test_rejects():
    with pytest.raises(ValueError, match="optimizer must be sgd or adamw, got adam"):
        make_optimizer(nn.Linear(2, 3), "adam", 0.1, weight_decay=0.0)
