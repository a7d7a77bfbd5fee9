"""Tests of pcl_data.evaluation.protocol."""

from dataclasses import FrozenInstanceError, dataclass

import pytest

from pcl_data.evaluation import (
    CoverageEvaluator,
    DetectionEvaluator,
    InstanceEvaluator,
    PanopticEvaluator,
    Protocol,
    SemanticEvaluator,
)
from pcl_data.evaluation.protocol import Result
from pcl_data.label_set import SCANNET20, SEMANTICKITTI19

FULL = Protocol(split="val", unit="voxels", tta=True, budget="lr-1%-seed0")


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        (Protocol(), "scannet20/points"),
        (Protocol(split="val", tta=False), "scannet20/val/points/no-tta"),
        (Protocol(unit="voxels", tta=True), "scannet20/voxels/tta"),
        (Protocol(budget="la-20"), "scannet20/points/la-20"),
        (FULL, "scannet20/val/voxels/tta/lr-1%-seed0"),
    ],
)
def test_what_is_unknown_is_left_out(protocol, name):
    assert protocol.name(SCANNET20) == name


def test_rules_of_the_metric_come_before_the_budget():
    assert FULL.name(SEMANTICKITTI19, "a=1", "b=2") == (
        "semantickitti19/val/voxels/tta/a=1/b=2/lr-1%-seed0"
    )


@pytest.mark.parametrize("field", ["split", "budget"])
@pytest.mark.parametrize("value", ["", "a/b"])
def test_a_part_is_one_part(field, value):
    with pytest.raises(ValueError, match=f"{field} must be a name without a slash, got '{value}'"):
        Protocol(**{field: value})


def test_a_protocol_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Protocol().split = "test"


@pytest.mark.parametrize(
    ("evaluator", "name"),
    [
        (SemanticEvaluator, "scannet20/val/voxels/tta/lr-1%-seed0"),
        (InstanceEvaluator, "scannet20/val/voxels/tta/min_region=100/lr-1%-seed0"),
        (DetectionEvaluator, "scannet20/val/boxes/tta/lr-1%-seed0"),
        (CoverageEvaluator, "scannet20/val/voxels/tta/lr-1%-seed0"),
        (PanopticEvaluator, "scannet20/val/voxels/tta/min_points=50/lr-1%-seed0"),
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
