import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_calibration import retrieval
from pcl_calibration.retrieval import retrieve_unlabeled


def rows(n, d=8, *, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def slow(queries, bank, n_neighbors, exclude=()):
    """All cosines, one by one; rows among the k best of a query, by their best cosine."""
    best = {}
    for query in queries.double().numpy():
        cosines = []
        for row, other in enumerate(bank.double().numpy()):
            if row not in exclude:
                length = np.sqrt((query**2).sum()) * np.sqrt((other**2).sum())
                cosines.append((-(query * other).sum() / length, row))
        for negative, row in sorted(cosines)[:n_neighbors]:
            best[row] = min(best.get(row, math.inf), negative)
    return sorted(best, key=lambda row: (best[row], row))


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_exact_search_finds_what_a_slow_loop_finds(chunk_size, monkeypatch):
    monkeypatch.setattr(retrieval, "CHUNK_SIZE", chunk_size)
    monkeypatch.setattr(retrieval, "QUERIES_AT_ONCE", 3)
    queries, bank, exclude = rows(5), rows(40, seed=1), torch.tensor([3, 17, 3])
    found = retrieve_unlabeled(queries, bank, n_neighbors=6, exclude=exclude)
    assert found.tolist() == slow(queries, bank, 6, {3, 17})
    assert retrieve_unlabeled(queries, bank, n_neighbors=6).tolist() == slow(queries, bank, 6)


def test_lists_that_are_all_looked_at_find_what_exact_search_finds():
    queries, bank, exclude = rows(5), rows(300, seed=1), torch.arange(0, 300, 7)
    options = {"n_neighbors": 6, "exclude": exclude}
    found = retrieve_unlabeled(queries, bank, index="ivf", n_lists=8, n_probes=8, **options)
    assert found.tolist() == retrieve_unlabeled(queries, bank, **options).tolist()


def test_the_default_lists_find_most_neighbors_of_rows_in_clusters():
    centers = 3 * rows(60, 16)
    bank = centers.repeat(50, 1) + rows(3000, 16, seed=1)
    queries = centers[:20] + rows(20, 16, seed=2)
    exact = set(retrieve_unlabeled(queries, bank, n_neighbors=10).tolist())
    found = set(retrieve_unlabeled(queries, bank, n_neighbors=10, index="ivf", n_probes=8).tolist())
    assert len(exact & found) >= 0.95 * len(exact)
    few = set(retrieve_unlabeled(queries, bank, n_neighbors=10, index="ivf", n_probes=1).tolist())
    assert len(exact & few) < len(exact & found)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 12), st.integers(1, 15))
def test_rows_are_distinct_and_lengths_do_not_matter(seed, n_queries, n, n_neighbors):
    queries, bank = rows(n_queries, seed=seed), rows(n, seed=seed + 1)
    found = retrieve_unlabeled(queries, bank, n_neighbors=n_neighbors)
    assert len(set(found.tolist())) == len(found)
    assert min(n, n_neighbors) <= len(found) <= min(n, n_queries * n_neighbors)
    powers = 2.0 ** torch.arange(-110, -110 + 20 * n, 20)[:, None]  # exact, but not squared
    far = retrieve_unlabeled(2.0**-100 * queries, powers * bank, n_neighbors=n_neighbors)
    assert torch.equal(far, found)


def test_lengths_do_not_matter_to_lists():
    queries, bank = rows(5), rows(300, seed=1)
    found = retrieve_unlabeled(queries, bank, index="ivf", n_probes=3)
    powers = 2.0 ** (torch.arange(300) % 60)[:, None]
    assert torch.equal(retrieve_unlabeled(queries, powers * bank, index="ivf", n_probes=3), found)


def test_lists_with_less_than_k_rows_give_what_they_have():
    queries, bank = rows(2), rows(50, seed=1)
    found = retrieve_unlabeled(queries, bank, n_neighbors=40, index="ivf", n_lists=9, n_probes=1)
    assert 0 < len(found) < 40
    assert 0 <= found.min() <= found.max() < 50


def test_equally_similar_rows_come_by_number():
    bank = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 0.0], [4.0, 0.0]])
    assert retrieve_unlabeled(torch.tensor([[1.0, 0.0]]), bank).tolist() == [1, 2, 3, 0]
    many = retrieve_unlabeled(torch.tensor([[1.0, 0.0]]), bank.repeat(500, 1), n_neighbors=2000)
    assert many.tolist() == sorted(range(2000), key=lambda row: (row % 4 == 0, row))


def test_a_bank_may_be_half_precision_or_a_file(tmp_path):
    queries, bank = rows(3), rows(30, seed=1).half()
    wanted = slow(queries, bank, 4)
    np.save(tmp_path / "bank.npy", bank.numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "bank.npy", mmap_mode="r+"))
    assert retrieve_unlabeled(queries, bank, n_neighbors=4).tolist() == wanted
    assert retrieve_unlabeled(queries, mapped, n_neighbors=4).tolist() == wanted


@pytest.mark.parametrize("index", ["exact", "ivf"])
def test_nothing_is_found_where_nothing_is_searched(index):
    queries, bank = rows(3), rows(4)
    assert retrieve_unlabeled(queries[:0], bank, index=index).tolist() == []
    assert retrieve_unlabeled(queries, bank[:0], index=index).tolist() == []
    assert retrieve_unlabeled(queries, bank, index=index, exclude=torch.arange(4)).tolist() == []
    assert retrieve_unlabeled(queries, bank[:1], index=index).tolist() == [0]


def test_the_search_can_be_repeated():
    queries, bank = rows(5), rows(500, seed=1)
    one, other = (retrieve_unlabeled(queries, bank, index="ivf", n_probes=2) for _ in range(2))
    assert torch.equal(one, other)


def test_without_faiss_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pcl-calibration\[retrieval\]"):
        retrieve_unlabeled(rows(1), rows(3), index="ivf")
    assert len(retrieve_unlabeled(rows(1), rows(3))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": torch.zeros(2, 8)}, "queries must have no row of zeros, got 2"),
        ({"bank": torch.eye(9)[:, :8]}, "bank must have no row of zeros, got 1"),
        ({"queries": torch.full((1, 8), math.nan)}, "queries must be finite"),
        ({"bank": torch.full((1, 8), math.inf)}, "bank must be finite"),
        ({"bank": torch.ones(3, 7)}, r"bank must have shape \(n, d\) with d = 8 as of queries"),
        ({"queries": torch.ones(2, 0), "bank": torch.ones(2, 0)}, "queries must have channels"),
        ({"n_neighbors": 0}, "n_neighbors must be at least 1, got 0"),
        ({"n_probes": 0}, "n_probes must be at least 1, got 0"),
        ({"n_lists": 0}, "n_lists must be at least 1, got 0"),
        ({"index": "ivf", "n_lists": 6}, "n_lists must be at most the 5 rows, got 6"),
        ({"exclude": torch.tensor([5])}, r"exclude must lie in \[0, 5\), got \[5, 5\]"),
        ({"exclude": torch.tensor([-1])}, r"exclude must lie in \[0, 5\), got \[-1, -1\]"),
    ],
)
def test_bad_input_gets_one_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        retrieve_unlabeled(**({"queries": rows(2), "bank": rows(5)} | options))
