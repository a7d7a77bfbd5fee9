"""Tests of pretrain_cli.finetuning."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget
from pcl_methods.segmentation.testing import make_room
from pretrain_cli.config import FinetuneConfig
from pretrain_cli.finetuning import Finetuning, print_summary, scored_steps


@pytest.mark.parametrize(
    ("n_steps", "count", "steps"), [(100, 1, {100}), (100, 4, {85, 90, 95, 100}), (6, 2, {5, 6})]
)
def test_checkpoints_of_the_last_steps_are_scored(n_steps, count, steps):
    assert scored_steps(n_steps, count) == steps


def test_a_score_that_is_undefined_is_shown_as_nan(capsys):
    summary = {"checkpoints": [{"step": 3, "ap50": None}], "ap50": math.nan, "protocol": "p"}
    print_summary(summary | {"init": "csc", "seconds": 1.0, "folder": "run"}, as_json=False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["3", "nan"]


def class_weights(rarity, labels):
    scenes = {}
    for name, some in zip("abc", labels, strict=True):
        room = make_room(name, 0)
        every = np.full(len(room.points), -1)
        every[: len(some)] = some
        scenes[name] = replace(room, labels=every)
    config = FinetuneConfig.model_validate({"train": {"rarity": rarity}})
    world = SimpleNamespace(label_set=SCANNET20, load=scenes.__getitem__)
    return Finetuning(None, config, world, LabelBudget("two", ("a", "b")), None)._class_weights()


def test_rare_classes_of_the_labelled_scenes_alone_weigh_more():
    labels = [[0] * 20 + [2], [0] * 7 + [2] * 2 + [5], [2] * 50]
    weights = class_weights(1 / 3, labels)
    assert torch.allclose(weights[[0, 2, 5]], torch.tensor([1.0, 9.0, 27.0]) ** (1 / 3))
    assert (weights[[1, 3, 4]] == 1).all()
    assert class_weights(0.0, labels) is None
