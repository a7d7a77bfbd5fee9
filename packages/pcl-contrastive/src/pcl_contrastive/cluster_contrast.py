"""Contrast between the clusters of a feature queue: ClusterInfoNCE and what it is compared with.

Zhang et al., "Self-Supervised Pretraining for Large-Scale Point Clouds" (SSPL), NeurIPS 2022,
Eq. 2, Eq. 4 and Table 4.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from pcl_contrastive.argument_shapes import checked
from pcl_contrastive.argument_values import check_ids

VOLUMES_PER_CLUSTER = 4  # of 64 clusters of equal share, one in 60 is missed in a step
SIMILARITIES_AT_ONCE = 2**24  # 64 MiB in float32

Negatives = Literal["other", "same", "any"]


@checked
def cluster_info_nce(
    student: Float[Tensor, "m d"],
    teacher: Float[Tensor, "m d"],
    queue: Float[Tensor, "q d"],
    queue_labels: Int[Tensor, " q"],
    *,
    temperature: float = 0.1,
    n_negatives: int = 20_000,
    negatives: Negatives = "other",
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    r"""ClusterInfoNCE (Eq. 2): one volume of each cluster against features of other clusters.

    .. math:: L = -\frac{1}{K'} \sum_i \log \frac{\exp(f^1_i \cdot p_i / \tau)}
              {\exp(f^1_i \cdot p_i / \tau) + \sum_{j \in N_i} \exp(f^1_i \cdot F_j / \tau)}

    The label of a volume is that of p, the entry F of the queue nearest to its teacher feature
    f^2. From the volumes labeled i one is drawn, uniformly; K' counts the clusters that have one.
    The negatives N_i are those of n_negatives entries, drawn once for all clusters, whose label
    differs from i. The paper's denominator, "j = i..K", is read as the positive and the negatives.
    All vectors are normalised here; gradients reach the student alone.

    Time does not grow with the volumes: at most `VOLUMES_PER_CLUSTER` times the number of clusters,
    drawn uniformly, are looked up in the queue. A cluster without negatives adds log 1 = 0 to the
    sum; without volumes the loss is 0.

    Args:
        student: f^1, features of the volumes of the whole batch.
        teacher: f^2, of the same volumes by the momentum encoder.
        queue: earlier teacher features, see `FeatureQueue.filled`.
        queue_labels: cluster of each entry, see `QueueClusters`.
        temperature: the divisor tau, positive.
        n_negatives: entries drawn from the queue, without repetition; all of a smaller queue.
        negatives: keep those of "other" clusters, of the "same" (Hard in Table 4: about
            n_negatives / K remain, never the positive itself), or "any" (Rand).
        generator: source of the random numbers, on the device of `student`.

    Raises:
        ValueError: if shapes do not agree, the queue is empty or has an entry without a label,
            temperature is not positive, n_negatives is below 1, or negatives is another word.

    Example:
        >>> import torch
        >>> queue, labels = torch.eye(2).repeat(3, 1), torch.tensor([0, 1, 0, 1, 0, 1])
        >>> volume = torch.tensor(
        ...     [[1.0, 1.0]]
        ... )  # as near to all negatives as to its positive
        >>> cluster_info_nce(volume, torch.eye(2)[:1], queue, labels)  # log(1 + 3)
        tensor(1.3863)
    """
    _check(queue, queue_labels, temperature, n_negatives, negatives)
    n_clusters = int(queue_labels.max()) + 1
    draw = _permutation(len(student), generator, student)[: VOLUMES_PER_CLUSTER * n_clusters]
    nearest = _nearest_entries(teacher[draw], queue)
    present, first = _first_of_each(queue_labels[nearest])
    anchors = functional.normalize(student[draw[first]], dim=1)  # (K', d)
    positive_index = nearest[first]

    sample = _permutation(len(queue), generator, student)[:n_negatives]
    is_negative = _is_wanted(queue_labels[sample], present, negatives)  # (K', n_negatives)
    is_negative &= sample != positive_index[:, None]
    positives = _unit_rows(queue, positive_index, anchors)
    candidates = _unit_rows(queue, sample, anchors)
    positive = (anchors * positives).sum(dim=1, keepdim=True) / temperature  # (K', 1)
    negative = (anchors @ candidates.T / temperature).masked_fill(~is_negative, -torch.inf)
    losses = torch.cat([positive, negative], dim=1).logsumexp(dim=1) - positive[:, 0]
    return losses.sum() / max(len(losses), 1)


@checked
def volume_classification_loss(
    student_logits: Float[Tensor, "m k"],
    teacher_logits: Float[Tensor, "m k"],
    labels: Int[Tensor, " m"],
) -> Float[Tensor, ""]:
    r"""Cross entropy of both views with the clusters of their volumes (Eq. 4, "Cls" in Table 4).

    .. math:: L = -\frac{1}{m} \sum_j \left[ \log P^1_{j, Q_j} + \log P^2_{j, Q_j} \right]

    The paper sums where this averages. Volumes labeled -1 are left out; without any the loss is 0.

    Args:
        student_logits: of a linear head h_l on the student features.
        teacher_logits: of the same head on the teacher features, which carry no graph themselves.
        labels: see `nearest_labels`.

    Raises:
        ValueError: if shapes do not agree, or (on a CPU) a label is outside [-1, k).

    Example:
        >>> import torch
        >>> volume_classification_loss(
        ...     torch.zeros(3, 2), torch.zeros(3, 2), torch.tensor([0, 1, 1])
        ... )
        tensor(1.3863)
    """
    check_ids(-1, student_logits.shape[1], labels=labels)
    both = torch.stack([student_logits, teacher_logits])  # (2, m, k)
    losses = functional.cross_entropy(
        both.flatten(0, 1), labels.long().repeat(2), ignore_index=-1, reduction="sum"
    )
    return losses / (labels >= 0).sum().clamp(min=1)


@checked
def nearest_labels(
    features: Float[Tensor, "m d"], queue: Float[Tensor, "q d"], queue_labels: Int[Tensor, " q"]
) -> Int[Tensor, " m"]:
    """The label of the entry of the queue nearest to each feature, by angle (SSPL, sec. 3.3).

    Of unit vectors the nearest by angle is the nearest in L2. Time grows with m times q.

    Args:
        features: of the teacher; of any length.
        queue: earlier features; of any length but 0.
        queue_labels: cluster of each entry.

    Raises:
        ValueError: if shapes do not agree or the queue is empty.

    Example:
        >>> import torch
        >>> nearest_labels(torch.tensor([[2.0, 0.1]]), torch.eye(2), torch.tensor([7, 8]))
        tensor([7])
    """
    if len(queue) == 0:
        raise ValueError(f"queue must hold a feature, got shape {tuple(queue.shape)}")
    return queue_labels[_nearest_entries(features, queue)]


@torch.no_grad()
def _nearest_entries(
    features: Float[Tensor, "m d"], queue: Float[Tensor, "q d"]
) -> Int[Tensor, " m"]:
    """The row of the queue with the greatest cosine to each feature."""
    # Dividing products by lengths is cheaper than making a copy of the queue of unit rows.
    lengths = queue.norm(dim=1).clamp(min=torch.finfo(queue.dtype).tiny)
    rows = max(1, SIMILARITIES_AT_ONCE // len(queue))
    parts = features.to(queue.dtype).split(rows)
    return torch.cat([(part @ queue.T).div_(lengths).argmax(dim=1) for part in parts])


def _first_of_each(labels: Int[Tensor, " m"]) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """The labels that occur, and where each does first."""
    present, group = labels.unique(return_inverse=True)
    rows = torch.arange(len(labels), device=labels.device)
    first = rows.new_full((len(present),), len(labels))
    return present, first.scatter_reduce(0, group, rows, "amin")


def _is_wanted(
    labels: Int[Tensor, " s"], clusters: Int[Tensor, " k"], negatives: Negatives
) -> Bool[Tensor, "k s"]:
    """Whether an entry of that label may be a negative of that cluster."""
    if negatives == "any":
        return torch.ones(len(clusters), len(labels), dtype=torch.bool, device=labels.device)
    is_same = labels == clusters[:, None]
    return is_same if negatives == "same" else ~is_same


def _unit_rows(queue: Tensor, index: Tensor, like: Tensor) -> Tensor:
    return functional.normalize(queue[index].detach().to(like), dim=1)


def _permutation(n: int, generator: torch.Generator | None, like: Tensor) -> Int[Tensor, " n"]:
    return torch.randperm(n, generator=generator, device=like.device)


def _check(
    queue: Tensor, queue_labels: Tensor, temperature: float, n_negatives: int, negatives: str
) -> None:
    if len(queue) == 0:
        raise ValueError(f"queue must hold a feature, got shape {tuple(queue.shape)}")
    if queue_labels.min() < 0:
        raise ValueError(
            f"queue_labels must be at least 0 (see QueueClusters.refresh), got {queue_labels.min()}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if n_negatives < 1:
        raise ValueError(f"n_negatives must be at least 1, got {n_negatives}")
    if negatives not in ("other", "same", "any"):
        raise ValueError(f"negatives must be 'other', 'same' or 'any', got {negatives!r}")
