"""Tests of labelfree_cli.running."""

import pytest

from labelfree_cli.config import RunConfig
from labelfree_cli.running import unreached_phases
from pcl_run.config import load_config


@pytest.mark.parametrize(
    ("words", "n_scenes", "found"),
    [
        (["train.steps=200"], 20, []),  # 20 epochs of 10 steps, and feedback from 20 on
        (["train.steps=190"], 20, ["method.feedback_epoch=20"]),
        (["train.steps=50"], 20, ["method.correlation_epoch=11", "method.feedback_epoch=20"]),
        (["train.steps=50", "method.feedback=false"], 20, ["method.correlation_epoch=11"]),
        (["train.steps=50", "method.name=openscene"], 20, []),
        (["train.steps=50", "method.name=clip2scene"], 21, ["method.self_training_epoch=11"]),
    ],
)
def test_a_run_tells_what_it_is_too_short_for(words, n_scenes, found):
    settings = ["train.batch_size=2", "method.feedback_epoch=20", *words]
    config = load_config(RunConfig, presets={"none": {}}, preset="none", overrides=settings)
    told = unreached_phases(config, n_scenes)
    assert [line.partition(" ")[0] for line in told] == found
    steps = config.train.steps
    assert all(f"never comes: {steps} steps are" in line for line in told)
