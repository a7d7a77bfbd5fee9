"""One process against two. Run as a script, this file is one of the two processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from pcl_clip3d.process_rows import gather_rows

ROWS, SHARE = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), 5
WEIGHTS = torch.randn(7, 7, generator=torch.Generator().manual_seed(1))


def gathered(rank: int | None) -> dict[str, torch.Tensor]:
    """The loss of a process: its own rows compared with the rows of all."""
    parts = (ROWS, ROWS) if rank is None else (ROWS[:SHARE], ROWS[SHARE:])
    mine = slice(0, 7) if rank is None else (slice(0, SHARE), slice(SHARE, 7))[rank]
    own = parts[rank or 0].clone().requires_grad_()
    found = gather_rows(own)
    loss = ((found.rows[found.own] @ found.rows.T) * WEIGHTS[mine]).sum()
    loss.backward()
    return {"rows": found.rows.detach(), "loss": loss.detach(), "gradient": own.grad}


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    torch.save(gathered(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_rows_and_gradients_of_two_processes_are_those_of_one(two):
    one = gathered(None)
    for found in two:
        assert torch.equal(found["rows"], one["rows"])
    torch.testing.assert_close(two[0]["loss"] + two[1]["loss"], one["loss"])
    gradient = torch.cat([two[0]["gradient"], two[1]["gradient"]])
    torch.testing.assert_close(gradient, one["gradient"])


def test_alone_a_process_has_its_own_rows():
    found = gather_rows(ROWS)
    assert found.rows is ROWS
    assert found.own == slice(0, 7)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
