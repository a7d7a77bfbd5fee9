"""Tests of pcl_run.training."""

from torch import nn
from torch.optim import SGD, AdamW

from pcl_run.training import TrainingConfig, make_optimizer


def test_each_kind_takes_its_settings():
    module = nn.Linear(2, 3)
    settings = {"learning_rate": 0.1, "weight_decay": 0.2, "momentum": 0.8, "dampening": 0.3}
    sgd = make_optimizer(module, TrainingConfig(**settings))
    adamw = make_optimizer(module, TrainingConfig(optimizer="adamw", **settings))
    assert isinstance(sgd, SGD)
    assert isinstance(adamw, AdamW)
    shown = {key: sgd.defaults[key] for key in ("lr", "weight_decay", "momentum", "dampening")}
    assert shown == {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.8, "dampening": 0.3}
    assert (adamw.defaults["lr"], adamw.defaults["weight_decay"]) == (0.1, 0.2)
    for optimizer in (sgd, adamw):
        assert optimizer.param_groups[0]["params"] == list(module.parameters())


def test_a_module_can_have_another_rate():
    settings = TrainingConfig(learning_rate=0.1)
    assert make_optimizer(nn.Linear(2, 3), settings, 0.01).defaults["lr"] == 0.01
