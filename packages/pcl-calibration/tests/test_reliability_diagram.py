"""Tests of pcl_calibration.reliability_diagram."""

import sys

import pytest
import torch

from pcl_calibration.calibration_error import expected_calibration_error
from pcl_calibration.calibration_table import ClassCalibrationError
from pcl_calibration.reliability_diagram import draw_reliability, reliability_diagram


def a_table() -> ClassCalibrationError:
    """Class 0 overconfident, class 1 underconfident, class 2 without samples."""
    table = ClassCalibrationError(3)
    table.update_matches(
        torch.tensor([0, 0, 0, 0, 1, 1]),
        torch.tensor([0.75, 0.875, 1.0, 0.25, 0.25, 0.5]),
        torch.tensor([True, False, False, False, True, True]),
    )
    return table


def test_a_row_of_each_class_by_hand():
    found = reliability_diagram(a_table(), 2, classes=[1, 0])
    nan = float("nan")
    assert found.edges.tolist() == [0.0, 0.5, 1.0]
    for values, expected in (
        (found.confidence, [[0.25, 0.5], [0.25, 2.625 / 3]]),
        (found.accuracy, [[1.0, 1.0], [0.0, 1 / 3]]),
        (found.share, [[0.5, 0.5], [0.25, 0.75]]),
    ):
        torch.testing.assert_close(values, torch.tensor(expected))
    empty = reliability_diagram(a_table(), 2, classes=[2])
    for values in empty[1:]:
        torch.testing.assert_close(values, torch.full((1, 2), nan), equal_nan=True)


def test_all_classes_are_one_row_with_the_expected_error():
    table = a_table()
    found = reliability_diagram(table)
    assert found.share.shape == (1, 15)
    assert found.share.sum() == pytest.approx(1)
    gaps = (found.accuracy - found.confidence).nan_to_num(0.0).abs()
    assert (gaps * found.share).sum() == pytest.approx(expected_calibration_error(table, 15))


def test_a_figure_has_a_panel_of_each_class_and_needs_no_display(tmp_path):
    pytest.importorskip("matplotlib")
    figure = draw_reliability(a_table(), 5, [0, 1, 2], names=["wall", "lamp", "sofa"])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "wall: n 4\nECE 0.594, signed -0.469",  # (3 (7/8 - 1/3) + 1 (1/4 - 0)) / 4 in bins
        "lamp: n 2\nECE 0.625, signed +0.625",
        "sofa: no samples",
    ]
    figure.savefig(tmp_path / "diagram.png")
    assert (tmp_path / "diagram.png").stat().st_size > 1000
    assert "matplotlib.pyplot" not in sys.modules


def test_bars_reach_from_accuracy_to_confidence():
    pytest.importorskip("matplotlib")
    (axes,) = draw_reliability(a_table(), 2).figure.axes
    assert axes.get_title().startswith("all classes: n 6")
    accuracy, gaps = axes.containers
    assert [bar.get_height() for bar in accuracy] == pytest.approx([0.5, 0.5])
    tops = [bar.get_y() + bar.get_height() for bar in gaps]
    assert tops == pytest.approx([0.25, 3.125 / 4])


def test_no_class_is_a_figure_without_panels():
    pytest.importorskip("matplotlib")
    assert draw_reliability(a_table(), classes=[]).axes == []


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install pcl-calibration\[plot\]"):
        draw_reliability(a_table())


def test_what_cannot_be_drawn_is_refused():
    for read in (reliability_diagram, draw_reliability):
        with pytest.raises(ValueError, match="n_bins must divide the 3600 fine bins, got 7"):
            read(a_table(), 7)
        for one in (-1, 3):
            with pytest.raises(ValueError, match=rf"classes must lie in \[0, 3\), got {one}"):
                read(a_table(), classes=[0, one])
    with pytest.raises(ValueError, match="names must be one for each of 3 classes, got"):
        draw_reliability(a_table(), names=["wall"])
