"""The pseudo-labels of a scene: the one type that is made, stored, compared and learned from."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_ids

MAX_LABEL = 2**15  # labels are stored as int16


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Classes of the n points of a scene, and the m proposals that give them an offset.

    Proposals that were not trusted may keep their row; no point refers to it then. Centres are
    kept in place of offsets, so that a scene can be augmented afterwards.

    Args:
        labels: (n,) train ids, -1 none.
        proposals: (n,) trusted proposal of each point, -1 none.
        centers: (m, 3) centre of each proposal, metres.
        scores: (m,) certainty of each proposal.
        proposal_labels: (m,) class of each proposal.
        points: (n, 3) the points, metres, where they are known; offsets need them.
        class_probabilities: (m, k) what is to be learned of the classes in place of the one class
            of a proposal; none: that class.

    Raises:
        ValueError: if a tensor has the wrong shape, a centre or score is not finite, a proposal is
            not in [-1, m), or a label is not in [-1, 32767].

    Example:
        >>> import torch
        >>> pseudo = PseudoLabels(
        ...     labels=torch.tensor([4, 4, -1]),
        ...     proposals=torch.tensor([0, 0, -1]),
        ...     centers=torch.tensor([[1.0, 0.0, 0.0]]),
        ...     scores=torch.tensor([0.9]),
        ...     proposal_labels=torch.tensor([4]),
        ... )
        >>> points = torch.tensor([[0.0, 0, 0], [2, 0, 0], [7, 7, 7]])
        >>> labels, offsets, valid = pseudo.at(points)
        >>> offsets
        tensor([[ 1.,  0.,  0.],
                [-1.,  0.,  0.],
                [ 0.,  0.,  0.]])
    """

    labels: Tensor
    proposals: Tensor
    centers: Tensor
    scores: Tensor
    proposal_labels: Tensor
    points: Tensor | None = None
    class_probabilities: Tensor | None = None

    def __post_init__(self) -> None:
        n, m = len(self.labels), len(self.scores)
        shapes = {"labels": (n,), "proposals": (n,), "centers": (m, 3), "scores": (m,)}
        shapes |= {"proposal_labels": (m,)} | ({} if self.points is None else {"points": (n, 3)})
        for name, shape in shapes.items():
            got = tuple(getattr(self, name).shape)
            if got != shape:
                raise ValueError(f"{name} must have shape {shape}, got {got}")
        for name in ("centers", "scores"):
            if not getattr(self, name).isfinite().all():
                raise ValueError(f"{name} must be finite, got NaN or infinity")
        if self.class_probabilities is not None:
            _check_probabilities(self.class_probabilities, m)
        _check_bounds("proposals", self.proposals, m)
        _check_bounds("labels", self.labels, MAX_LABEL)
        _check_bounds("proposal_labels", self.proposal_labels, MAX_LABEL)

    def __iter__(self) -> Iterator[Tensor]:
        """Labels, centroid offsets and which points have one."""
        return iter((self.labels, self.centroid_offsets, self.valid))

    @property
    def valid(self) -> Bool[Tensor, " n"]:
        """Whether each point has an offset."""
        return self.proposals >= 0

    @property
    def centroid_offsets(self) -> Float[Tensor, "n 3"]:
        r"""Centre minus point, zero where there is no proposal; Eq. 8 of TWIST.

        .. math:: \tilde O_i = \tilde a_j - p_i \qquad (i \in g_j)

        Raises:
            ValueError: if the points are not known.
        """
        if self.points is None:
            raise ValueError("points must be known to give offsets, got none: use at(points)")
        offsets, inside = torch.zeros_like(self.points), self.valid
        offsets[inside] = self.centers[self.proposals[inside]] - self.points[inside]
        return offsets

    @checked
    def at(
        self, points: Float[Tensor, "k 3"], inverse: Int[Tensor, " k"] | None = None
    ) -> "PseudoLabels":
        """The same pseudo-labels at points, for instance at those of the voxels they were made on.

        Args:
            points: metres.
            inverse: the row of these pseudo-labels for each point; one after the other by default.

        Raises:
            ValueError: if there are more or fewer points than rows, or (on a CPU) a row is not
                there.

        Example:
            >>> import torch
            >>> zero = torch.tensor([0])
            >>> voxels = PseudoLabels(zero + 4, zero, torch.ones(1, 3), torch.ones(1), zero + 4)
            >>> voxels.at(torch.zeros(2, 3), torch.tensor([0, 0])).labels
            tensor([4, 4])
        """
        if inverse is not None:
            check_ids(0, len(self.labels), inverse=inverse)
        rows = slice(None) if inverse is None else inverse
        return PseudoLabels(
            self.labels[rows],
            self.proposals[rows],
            self.centers,
            self.scores,
            self.proposal_labels,
            points,
            self.class_probabilities,
        )


def _check_probabilities(values: Float[Tensor, "m k"], n_proposals: int) -> None:
    if values.ndim != 2 or len(values) != n_proposals:
        raise ValueError(
            f"class_probabilities must have {n_proposals} rows, got shape {tuple(values.shape)}"
        )
    if len(values) and not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"class_probabilities must lie in [0, 1], got {float(values.min()):g} to "
            f"{float(values.max()):g}"
        )


def _check_bounds(name: str, values: Int[Tensor, " k"], bound: int) -> None:
    if len(values) and not (values.min() >= -1 and values.max() < bound):
        low, high = int(values.min()), int(values.max())
        raise ValueError(f"{name} must lie in [-1, {bound}), got [{low}, {high}]")
