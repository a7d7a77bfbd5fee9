"""Tests of pretrain_cli.finetuning."""

import math

from pretrain_cli.finetuning import print_summary


def test_a_score_that_is_undefined_is_shown_as_such(capsys):
    summary = {"checkpoints": [{"step": 3, "ap50": None}], "ap50": math.nan, "protocol": "p"}
    print_summary(summary | {"init": "csc", "seconds": 1.0, "folder": "run"}, as_json=False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["3", "-"]
