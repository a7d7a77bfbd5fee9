"""One process against two: what queue, clusters and objectives promise of torch.distributed.

Run as a script, this file is one of the two processes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from pcl_contrastive.cluster_contrast import cluster_info_nce
from pcl_contrastive.feature_queue import FeatureQueue
from pcl_contrastive.queue_clusters import QueueClusters
from pcl_contrastive.scene_contrast import byol_loss, scene_info_nce
from pcl_contrastive.sinkhorn import sinkhorn_assignment

ARRIVALS = [(3, 5), (0, 4), (7, 6), (2, 0)]  # rows of either process at each step
QUEUE_SIZE = 16


def random_rows(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def part(rows: torch.Tensor, rank: int | None, first: int) -> torch.Tensor:
    """The rows of a process, the first of two having that many; all of them without a rank."""
    return rows if rank is None else (rows[:first], rows[first:])[rank]


def results(rank: int | None) -> dict[str, torch.Tensor]:
    """What a process computes from its share of the rows, or one from all of them."""
    queue = FeatureQueue(QUEUE_SIZE, 6)
    for step, (first, second) in enumerate(ARRIVALS):
        rows = random_rows(first + second, step).float()
        slots = queue.enqueue(part(rows, rank, first))
    clusters = QueueClusters(6, 3, queue_size=QUEUE_SIZE)
    clusters.refresh(queue.filled)

    scores = random_rows(50, 10)
    shared = {"across_processes": True}
    found = {
        "queue": queue.features,
        "slots": slots,
        "clusters": clusters.labels,
        "labels": sinkhorn_assignment(part(scores, rank, 20), **shared),
        "all_on_one": sinkhorn_assignment(part(scores, rank, 0), **shared),
        "same_volumes": cluster_info_nce(
            *(random_rows(2 * 30, 30).reshape(2, 30, 6)),
            queue.filled.double(),
            clusters.labels,
            generator=torch.Generator().manual_seed(0),
        ),
    }
    inputs, keys = part(random_rows(8, 20), rank, 4), part(random_rows(8, 21), rank, 4)
    for name in ("scene", "byol"):
        weight = random_rows(6, 22).requires_grad_()
        if name == "scene":
            loss = scene_info_nce(inputs @ weight, keys, queue.filled.double())
        else:
            loss = byol_loss(inputs @ weight, keys)
        loss.backward()
        found |= {f"{name}_loss": loss.detach(), f"{name}_gradient": weight.grad}
    return found


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    torch.save(results(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def one() -> dict[str, torch.Tensor]:
    return results(None)


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


@pytest.mark.parametrize("name", ["queue", "slots", "clusters"])
def test_every_process_holds_the_queue_and_clusters_of_one(one, two, name):
    assert torch.equal(two[0][name], one[name])
    assert torch.equal(two[1][name], one[name])


@pytest.mark.parametrize("name", ["labels", "all_on_one"])
def test_assignments_share_their_marginals(one, two, name):
    assert torch.equal(torch.cat([two[0][name], two[1][name]]), one[name])


def test_the_marginals_shared_are_not_those_of_a_share(two):
    alone = sinkhorn_assignment(random_rows(50, 10)[:20])
    assert not torch.equal(two[0]["labels"], alone)


@pytest.mark.parametrize("name", ["scene_loss", "scene_gradient", "byol_loss", "byol_gradient"])
def test_losses_and_gradients_averaged_over_processes_are_those_of_one(one, two, name):
    assert torch.allclose((two[0][name] + two[1][name]) / 2, one[name], atol=1e-12)


def test_cluster_loss_of_the_same_volumes_and_draws_is_the_same(one, two):
    # Processes with volumes of their own draw from them, one for each cluster they have: the mean
    # over processes is then another sample of the loss, not that of one process.
    assert two[0]["same_volumes"] == two[1]["same_volumes"] == one["same_volumes"]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
