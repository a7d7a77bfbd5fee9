"""Tests of pcl_calibration.streaming_sums. Run as a script, this file is one of two processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from pcl_calibration.calibration_table import ClassCalibrationError
from pcl_calibration.proper_scores import BrierScore, NegativeLogLikelihood


def table_of(part: slice, **options) -> ClassCalibrationError:
    labels, confidence = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0.25, 0.5, 0.75, 1.0, 0.5])
    table = ClassCalibrationError(2, **options)
    table.update_matches(labels[part], confidence[part], torch.tensor([True] * 5)[part])
    return table


def equal(one, other) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    own = table_of((slice(0, 2), slice(2, 5))[rank])
    total = own.summed_over_processes()
    torch.save([own.state_dict(), total.state_dict()], folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_hold_the_table_of_one(tmp_path):
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    for rank, part in enumerate((slice(0, 2), slice(2, 5))):
        own, total = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        found = ClassCalibrationError(2)
        found.load_state_dict(total)
        assert equal(found, table_of(slice(0, 5)))
        found.load_state_dict(own)
        assert equal(found, table_of(part))


def test_without_other_processes_the_sum_is_a_copy():
    own = table_of(slice(0, 5))
    total = own.summed_over_processes()
    assert equal(total, own)
    total.merge(own)
    assert own.counts.sum() == 5


def test_merging_returns_the_object_and_leaves_the_other():
    one, other = table_of(slice(0, 2)), table_of(slice(2, 5))
    assert one.merge(other) is one
    assert equal(one, table_of(slice(0, 5)))
    assert equal(other, table_of(slice(2, 5)))


def test_a_table_may_be_merged_with_itself():
    table = table_of(slice(0, 5))
    assert table.merge(table).counts.sum() == 10


@pytest.mark.parametrize(
    "score", [table_of(slice(0, 3)), NegativeLogLikelihood(3, floor=0.1), BrierScore(3)]
)
def test_a_state_goes_through_a_file(tmp_path, score):
    torch.save(score.state_dict(), tmp_path / "state.pt")
    arguments = {"floor": 0.1} if isinstance(score, NegativeLogLikelihood) else {}
    other = type(score)(len(score.counts), **arguments)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert equal(other, score)


def test_a_state_is_a_copy_both_ways():
    table = table_of(slice(0, 2))
    state = table.state_dict()
    other = ClassCalibrationError(2)
    other.load_state_dict(state)
    for t in (table, other):
        t.merge(table_of(slice(2, 5)))
    assert state["counts"].sum() == 2
    assert equal(table, other)


REFUSED = [
    (ClassCalibrationError(2, 20), "other must have n_bins 10, got 20"),
    (
        ClassCalibrationError(2, n_fine_bins=100),
        r"counts of other must have shape \(2, 3600\), got \(2, 100\)",
    ),
    (ClassCalibrationError(3), r"counts of other must have shape \(2, 3600\), got \(3, 3600\)"),
]


@pytest.mark.parametrize(("other", "message"), REFUSED)
def test_tables_of_other_bins_or_classes_are_refused(other, message):
    table = table_of(slice(0, 5))
    with pytest.raises(ValueError, match=message):
        table.merge(other)
    with pytest.raises(ValueError, match=message.replace("other", "state")):
        table.load_state_dict(other.state_dict())
    assert equal(table, table_of(slice(0, 5)))


def test_a_score_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="other must be of class BrierScore, got Negative"):
        BrierScore(2).merge(NegativeLogLikelihood(2))
    with pytest.raises(ValueError, match=r"state must have the tensors .*'scores'\], got"):
        BrierScore(2).load_state_dict(NegativeLogLikelihood(2).state_dict())
    with pytest.raises(ValueError, match=r"other must have floor 0.0, got 0.5"):
        NegativeLogLikelihood(2).merge(NegativeLogLikelihood(2, floor=0.5))


def test_a_state_of_another_type_is_refused():
    state = ClassCalibrationError(2).state_dict()
    state["counts"] = state["counts"].float()
    with pytest.raises(ValueError, match=r"counts of state must be of torch.int64, got"):
        ClassCalibrationError(2).load_state_dict(state)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
