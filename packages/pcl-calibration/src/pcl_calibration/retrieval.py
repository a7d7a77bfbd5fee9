"""Unlabeled rows of a bank that resemble rows of rare classes.

Porcher et al., "Better (pseudo-)labels for semi-supervised instance segmentation", 2024, sec. 4.1:
embeddings of objects of rare classes are queries, and the images of their 64 nearest embeddings,
each once, join the training set without labels. Search in lists is that of faiss (Douze et al.,
2024), whichever of its packages is installed.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.argument_values import check_finite, check_ids

CHUNK_SIZE = 65536  # rows of the bank that are normalised and searched at once
QUERIES_AT_ONCE = 1024  # with a chunk: 256 MiB of similarities
TRAINING_ROWS = 64  # a list; faiss advises 39 to 256


@checked
@torch.no_grad()
def retrieve_unlabeled(
    queries: Float[Tensor, "q d"],
    bank: Float[Tensor, "n d"],
    *,
    n_neighbors: int = 64,
    index: Literal["exact", "ivf"] = "exact",
    n_lists: int | None = None,
    n_probes: int = 32,
    exclude: Int[Tensor, " e"] | None = None,
) -> Int[Tensor, " m"]:
    r"""Rows of the bank that are among the nearest of any query, each once, the most similar first.

    .. math:: s_{qj} = \frac{a_q \cdot b_j}{\|a_q\| \|b_j\|}, \qquad
        R = \bigcup_q \operatorname{top}_k \{ j : s_{qj} \}

    (Porcher et al., "Better (pseudo-)labels", 2024, sec. 4.1: k = 64). R is sorted by
    max over q of s; the lower row comes first where that is equal. Which of several equally similar
    rows is the last of the k is not defined.

    "exact" compares all pairs, on the device of the queries. It reads the bank chunk by chunk and
    holds nothing else of that size, so the bank may be half precision, on another device, or a
    memory-mapped file (`torch.from_numpy(numpy.load(path, mmap_mode="r+"))`). "ivf" groups the bank
    by k-means and compares each query with n_probes groups: it needs faiss and a copy of the bank
    in float32, misses some neighbors, and can find less than k of them. Making its lists takes as
    long as an exact search of 5,000 queries, measured with a million rows: it pays with many more.

    Args:
        queries: embeddings of objects of rare classes, of any length but zero.
        bank: embeddings of what has no label, in the same space.
        n_neighbors: neighbors k of each query; at most those that there are.
        index: how they are found.
        n_lists: groups of "ivf"; by default the square root of n.
        n_probes: groups that a query of "ivf" looks at.
        exclude: rows of the bank that are never returned, such as those that have labels.

    Returns:
        Row numbers, at most q times k, int64 on the device of the queries.

    Raises:
        ValueError: if a row is zero or not finite, a number is below 1, there are more lists than
            rows to search, an excluded row is outside the bank, or index is another word.
        ImportError: if index is "ivf" and faiss is not installed.

    Example:
        >>> import torch
        >>> from pcl_calibration.retrieval import retrieve_unlabeled
        >>> bank = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])
        >>> retrieve_unlabeled(torch.tensor([[2.0, 0.1], [9.0, 1.0]]), bank, n_neighbors=2)
        tensor([0, 2])
    """
    _check_numbers(n_neighbors=n_neighbors, n_lists=n_lists, n_probes=n_probes)
    if index not in ("exact", "ivf"):
        raise ValueError(f'index must be "exact" or "ivf", got {index!r}')
    queries = _directions("queries", queries)
    is_searched = torch.ones(len(bank), dtype=torch.bool)
    if exclude is not None:
        check_ids(0, len(bank), exclude=exclude)
        is_searched[exclude.cpu().long()] = False
    n_neighbors = min(n_neighbors, int(is_searched.sum()))
    if not (len(queries) and n_neighbors):
        return torch.empty(0, dtype=torch.int64, device=queries.device)
    if index == "exact":
        similarity, rows = _search_all(queries, bank, is_searched, n_neighbors)
    else:
        similarity, rows = _search_lists(queries, bank, is_searched, n_neighbors, n_lists, n_probes)
    return _unique(similarity[rows >= 0], rows[rows >= 0])


def _unique(similarity: Float[Tensor, " f"], rows: Int[Tensor, " f"]) -> Int[Tensor, " m"]:
    """Each row once, by falling best similarity and then by number."""
    found, inverse = rows.unique(return_inverse=True)
    best = similarity.new_full(found.shape, -2).scatter_reduce(0, inverse, similarity, "amax")
    return found[best.argsort(descending=True, stable=True)]


def _search_all(
    queries: Float[Tensor, "q d"],
    bank: Float[Tensor, "n d"],
    is_searched: Bool[Tensor, " n"],
    n_neighbors: int,
) -> tuple[Float[Tensor, "q k"], Int[Tensor, "q k"]]:
    """Similarity and row of the nearest, by falling similarity."""
    best = queries.new_empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for chunk, numbers in _chunks(bank, is_searched):
        chunk, numbers = chunk.to(queries.device), numbers.to(queries.device)
        parts = []
        for some, best_so_far, rows_so_far in zip(
            *(rows_of.split(QUERIES_AT_ONCE) for rows_of in (queries, best, rows)), strict=True
        ):
            similarity, place = (some @ chunk.T).topk(min(n_neighbors, len(chunk)))
            similarity = torch.cat([best_so_far, similarity], dim=1)
            known = torch.cat([rows_so_far, numbers[place]], dim=1)
            similarity, place = similarity.topk(min(n_neighbors, known.shape[1]))
            parts.append((similarity, known.gather(1, place)))
        best, rows = (torch.cat(part) for part in zip(*parts, strict=True))
    return best, rows


def _search_lists(
    queries: Float[Tensor, "q d"],
    bank: Float[Tensor, "n d"],
    is_searched: Bool[Tensor, " n"],
    n_neighbors: int,
    n_lists: int | None,
    n_probes: int,
) -> tuple[Float[Tensor, "q k"], Int[Tensor, "q k"]]:
    """Similarity and row of the nearest in the nearest lists, row -1 where there are no more."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError('"ivf" needs faiss: pip install "pcl-calibration[retrieval]"') from error
    searched = is_searched.nonzero()[:, 0]
    n_lists = round(len(searched) ** 0.5) if n_lists is None else n_lists
    if n_lists > len(searched):
        raise ValueError(f"n_lists must be at most the {len(searched)} rows, got {n_lists}")
    lists: Any = faiss.index_factory(
        bank.shape[1], f"IVF{n_lists},Flat", faiss.METRIC_INNER_PRODUCT
    )
    lists.cp.min_points_per_centroid = 1
    drawn = torch.randperm(len(searched), generator=torch.Generator().manual_seed(0))
    drawn = searched[drawn[: TRAINING_ROWS * n_lists].sort().values].to(bank.device)
    lists.train(_directions("bank", bank[drawn]).cpu().numpy())
    for chunk, numbers in _chunks(bank, is_searched):
        lists.add_with_ids(chunk.cpu().numpy(), numbers.numpy())
    lists.nprobe = min(n_probes, n_lists)
    found = lists.search(np.ascontiguousarray(queries.cpu().numpy()), n_neighbors)
    similarity, rows = (torch.from_numpy(part).to(queries.device) for part in found)
    return similarity, rows


def _chunks(
    bank: Float[Tensor, "n d"], is_searched: Bool[Tensor, " n"]
) -> Iterator[tuple[Float[Tensor, "s d"], Int[Tensor, " s"]]]:
    """Directions of the rows that are searched, and their numbers, part by part."""
    for first in range(0, len(bank), CHUNK_SIZE):
        numbers = is_searched[first : first + CHUNK_SIZE].nonzero()[:, 0]
        if len(numbers):
            chunk = bank[first : first + CHUNK_SIZE]
            yield _directions("bank", chunk[numbers.to(bank.device)]), first + numbers


def _directions(name: str, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The rows in float32, of length one, whatever their length."""
    check_finite(**{name: rows})
    if rows.shape[1] == 0:
        raise ValueError(f"{name} must have channels, got shape {tuple(rows.shape)}")
    largest = rows.abs().amax(dim=1, keepdim=True)
    if not largest.all():
        raise ValueError(f"{name} must have no row of zeros, got {int((largest == 0).sum())}")
    rows = (rows / largest).float()
    return rows / rows.norm(dim=1, keepdim=True)


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
