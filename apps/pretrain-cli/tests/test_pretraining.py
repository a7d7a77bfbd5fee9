"""Tests of pretrain_cli.pretraining."""

import math

from pretrain_cli.pretraining import print_summary


def test_a_figure_of_a_panel_that_is_undefined_is_shown_as_such(capsys):
    panels = [{"step": 0, "alignment": None}, {"step": 3, "alignment": math.nan, "knn_miou": 0.5}]
    print_summary({"panels": panels, "seconds": 1.0, "folder": "run"}, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["step", "alignment", "knn_miou"], ["0", "-", "-"], ["3", "-", "0.5"]]
