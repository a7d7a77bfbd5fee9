"""How alike classes are: cosines between the mean embeddings of their instances.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, sec. 3.1,
Eq. 1. The paper takes the embeddings from the pretrained backbone, once.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pcl_calibration.argument_shapes import checked
from pcl_calibration.argument_values import check_finite, check_ids
from pcl_calibration.probability_values import check_n_classes

ROWS_AT_ONCE = 65_536  # of embeddings copied to double precision


class ClassPrototypes:
    r"""Sums of instance embeddings by class, from which the prototypes are read at any time.

    .. math:: p_i = \frac{1}{N_i} \sum_{n : y_n = i} B(x_n)

    with the embedding B(x_n) of instance n and the number N_i of instances of class i (Eq. 1). Sums
    are in double precision, so that order, batches and merges change nothing beyond its rounding.
    Embeddings are not normalised. `sums` and `counts` are all the state there is: save them, or add
    those of several processes with `torch.distributed.all_reduce`.

    Args:
        n_classes: c, at least 2.
        dim: d, channels of an embedding.

    Raises:
        ValueError: if n_classes < 2 or dim < 1.

    Example:
        >>> import torch
        >>> prototypes = ClassPrototypes(3, 2)
        >>> prototypes.update(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 0]))
        >>> prototypes.update(torch.tensor([[0.0, 5.0]]), torch.tensor([2]))
        >>> prototypes.compute()
        tensor([[2., 0.],
                [0., 0.],
                [0., 5.]], dtype=torch.float64)
        >>> prototypes.counts
        tensor([2, 0, 1])
    """

    sums: Float[Tensor, "c d"]
    counts: Int[Tensor, " c"]
    """Instances of each class: the N_i of Eq. 1 and Eq. 2."""

    def __init__(self, n_classes: int, dim: int) -> None:
        check_n_classes(n_classes)
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.sums = torch.zeros(n_classes, dim, dtype=torch.double)
        self.counts = torch.zeros(n_classes, dtype=torch.long)

    @torch.no_grad()
    @checked
    def update(self, embeddings: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> None:
        """Add instances. The sums move to their device.

        Args:
            embeddings: one row an instance.
            labels: its class; -1, unlabeled, is left out.

        Raises:
            ValueError: if the width is not dim, an embedding is not finite or (on a CPU) a label is
                outside [-1, n_classes). Nothing is added then.
        """
        n_classes, dim = self.sums.shape
        if embeddings.shape[1] != dim:
            shape = tuple(embeddings.shape)
            raise ValueError(f"embeddings must have shape (n, {dim}), got {shape}")
        check_ids(-1, n_classes, labels=labels)
        if not embeddings.isfinite().all():  # also on a GPU: one such row would spoil the sums
            raise ValueError("embeddings must be finite, got NaN or infinity")
        is_labeled = labels >= 0
        embeddings, labels = embeddings[is_labeled], labels[is_labeled].long()
        self._move_to(embeddings.device)
        for rows, ids in zip(
            embeddings.split(ROWS_AT_ONCE), labels.split(ROWS_AT_ONCE), strict=True
        ):
            self.sums.index_add_(0, ids, rows.double())
        self.counts += labels.bincount(minlength=n_classes)

    def merge(self, other: "ClassPrototypes") -> None:
        """Add the instances that another one has seen.

        Raises:
            ValueError: if its classes or channels are others.
        """
        if other.sums.shape != self.sums.shape:
            wanted, found = tuple(self.sums.shape), tuple(other.sums.shape)
            raise ValueError(f"other must hold sums of shape {wanted}, got {found}")
        self.sums += other.sums.to(self.sums)
        self.counts += other.counts.to(self.counts)

    def compute(self) -> Float[Tensor, "c d"]:
        """The prototypes, in double precision; zeros for a class without an instance."""
        return self.sums / self.counts.clamp(min=1)[:, None]

    def _move_to(self, device: torch.device) -> None:
        self.sums, self.counts = self.sums.to(device), self.counts.to(device)


def class_prototypes(
    embeddings: Float[Tensor, "n d"], labels: Int[Tensor, " n"], n_classes: int
) -> Float[Tensor, "c d"]:
    """Mean embedding of each class (Eq. 1), zeros for a class without an instance.

    Args:
        embeddings: one row an instance, not normalised.
        labels: its class; -1, unlabeled, is left out.
        n_classes: c, at least 2.

    Returns:
        The prototypes, in double precision.

    Raises:
        ValueError: as those of `ClassPrototypes` and its `update`.

    Example:
        >>> import torch
        >>> class_prototypes(
        ...     torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1]), 2
        ... )
        tensor([[2.],
                [7.]], dtype=torch.float64)
    """
    prototypes = ClassPrototypes(n_classes, embeddings.shape[-1])
    prototypes.update(embeddings, labels)
    return prototypes.compute()


@checked
def class_similarity(prototypes: Float[Tensor, "c d"]) -> Float[Tensor, "c c"]:
    r"""Cosines between prototypes, the matrix S of sec. 3.1.

    .. math:: S_{ij} = \frac{p_i \cdot p_j}{\|p_i\| \, \|p_j\|}

    The paper leaves open a class without an instance, whose prototype is zero here: it is like
    itself (1) and like no other (0).

    Args:
        prototypes: as of `class_prototypes`.

    Returns:
        A symmetric matrix in [-1, 1] with ones on its diagonal, in double precision.

    Raises:
        ValueError: if there are fewer than 2 classes or (on a CPU) a prototype is not finite.

    Example:
        >>> import torch
        >>> class_similarity(torch.tensor([[2.0, 0.0], [0.0, 0.0], [3.0, 4.0]]))
        tensor([[1.0000, 0.0000, 0.6000],
                [0.0000, 1.0000, 0.0000],
                [0.6000, 0.0000, 1.0000]], dtype=torch.float64)
    """
    check_n_classes(len(prototypes))
    check_finite(prototypes=prototypes)
    lengths = prototypes.double().norm(dim=1, keepdim=True)
    directions = prototypes.double() / lengths.where(lengths > 0, 1)
    return (directions @ directions.T).clamp(-1, 1).fill_diagonal_(1)
