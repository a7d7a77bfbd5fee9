"""Tests of pcl_data.evaluation.score_protocol."""

from dataclasses import FrozenInstanceError, dataclass

import pytest

from pcl_data.evaluation import (
    CoverageEvaluator,
    DetectionEvaluator,
    InstanceEvaluator,
    PanopticEvaluator,
    ScoreProtocol,
    SemanticEvaluator,
)
from pcl_data.evaluation.score_protocol import Result
from pcl_data.label_set import SCANNET20, SEMANTICKITTI19

FULL = ScoreProtocol(split="val", unit="voxels", views=4, budget="lr-1%-seed0")


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        (ScoreProtocol(), "scannet20/points"),
        (ScoreProtocol(split="val", views=1), "scannet20/val/points/no-tta"),
        (ScoreProtocol(views=4), "scannet20/points/tta-4-views"),
        (ScoreProtocol(budget="la-20"), "scannet20/points/la-20"),
        (ScoreProtocol("rooms-v5", "held-out"), "rooms-v5/scannet20/held-out/points"),
        (ScoreProtocol(budget="lr-1", trained_on="a"), "scannet20/points/lr-1/trained-on:a"),
        (ScoreProtocol(data="b", trained_on="a"), "b/scannet20/points/trained-on:a"),
        (ScoreProtocol(data="a", trained_on="a"), "a/scannet20/points"),
        (FULL, "scannet20/val/voxels/tta-4-views/lr-1%-seed0"),
    ],
)
def test_what_is_unknown_is_left_out(protocol, name):
    assert protocol.name(SCANNET20) == name


def test_rules_of_the_metric_come_before_the_budget():
    assert FULL.name(SEMANTICKITTI19, "a=1", "b=2") == (
        "semantickitti19/val/voxels/tta-4-views/a=1/b=2/lr-1%-seed0"
    )


@pytest.mark.parametrize("field", ["data", "split", "budget", "trained_on"])
@pytest.mark.parametrize("value", ["", "a/b"])
def test_a_part_is_one_part(field, value):
    with pytest.raises(ValueError, match=f"{field} must be a name without a slash, got '{value}'"):
        ScoreProtocol(**{field: value})


def test_a_protocol_does_not_change():
    with pytest.raises(FrozenInstanceError):
        ScoreProtocol().split = "test"


@pytest.mark.parametrize(
    ("evaluator", "name"),
    [
        (SemanticEvaluator, "scannet20/val/voxels/tta-4-views/lr-1%-seed0"),
        (InstanceEvaluator, "scannet20/val/voxels/tta-4-views/min_region=100/lr-1%-seed0"),
        (DetectionEvaluator, "scannet20/val/boxes/tta-4-views/lr-1%-seed0"),
        (CoverageEvaluator, "scannet20/val/voxels/tta-4-views/lr-1%-seed0"),
        (PanopticEvaluator, "scannet20/val/voxels/tta-4-views/min_points=50/lr-1%-seed0"),
    ],
)
def test_every_result_says_and_prints_its_protocol(evaluator, name):
    result = evaluator(SCANNET20, protocol=FULL).compute()
    assert result.protocol == name
    assert str(result).startswith(f"{name}: ")


def test_a_result_prints_its_scores_and_nothing_else():
    @dataclass(frozen=True)
    class Example(Result):
        miou: float
        table: dict[str, float]
        best: float

    example = Example(0.51239, {"wall": 1.0}, float("nan"), protocol="x")
    assert str(example) == "x: miou 0.5124, best nan"


@pytest.mark.parametrize("views", [0, -1])
def test_there_is_a_view_at_least(views):
    with pytest.raises(ValueError, match=f"views must be at least 1, got {views}"):
        ScoreProtocol(views=views)
