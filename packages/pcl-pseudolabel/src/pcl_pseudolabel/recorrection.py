"""A small network that re-classifies proposals and judges whether each is one instance.

Chu et al., "TWIST", CVPR 2022, sec. 4.2 (module B, Psi): an encoder of a proposal's points and
their backbone features, two MLP heads, and the loss L^Psi = L_sem + L_sc.
"""

from collections.abc import Collection
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from pcl_pseudolabel.argument_shapes import checked
from pcl_pseudolabel.argument_values import check_ids


class Recorrection(NamedTuple):
    """What the module says of each proposal."""

    class_logits: Float[Tensor, "m c"]
    score_logits: Float[Tensor, " m"]

    def rectify(self, foreground: Collection[int]) -> tuple[Int[Tensor, " m"], Float[Tensor, " m"]]:
        """The best foreground class and the certainty in (0, 1) of each proposal.

        Args:
            foreground: train ids a proposal may have, those of things.

        Raises:
            ValueError: if foreground is empty or names a class the module does not have.

        Example:
            >>> import torch
            >>> output = Recorrection(torch.tensor([[9.0, 1.0, 2.0]]), torch.tensor([0.0]))
            >>> output.rectify([1, 2])
            (tensor([2]), tensor([0.5000]))
        """
        candidates = self._candidates(foreground)
        labels = candidates[self.class_logits[:, candidates].argmax(dim=1)]
        return labels, self.score_logits.sigmoid()

    def class_probabilities(self, foreground: Collection[int]) -> Float[Tensor, "m c"]:
        """Softmax over the foreground, 0 elsewhere.

        Args:
            foreground: train ids a proposal may have, those of things.

        Raises:
            ValueError: if foreground is empty or names a class the module does not have.

        Example:
            >>> import torch
            >>> output = Recorrection(torch.tensor([[9.0, 1.0, 1.0]]), torch.tensor([0.0]))
            >>> output.class_probabilities([1, 2])
            tensor([[0.0000, 0.5000, 0.5000]])
        """
        candidates = self._candidates(foreground)
        found = torch.zeros_like(self.class_logits)
        found[:, candidates] = self.class_logits[:, candidates].softmax(dim=1)
        return found

    def _candidates(self, foreground: Collection[int]) -> Int[Tensor, " k"]:
        ids = sorted(foreground)
        n_classes = self.class_logits.shape[1]
        if not ids or ids[0] < 0 or ids[-1] >= n_classes:
            raise ValueError(f"foreground must hold train ids below {n_classes}, got {ids}")
        return torch.tensor(ids, device=self.class_logits.device)


class RecorrectionLoss(NamedTuple):
    """The two terms and their sum."""

    label: Float[Tensor, ""]
    score: Float[Tensor, ""]
    total: Float[Tensor, ""]


class ProposalRecorrector(nn.Module):
    """Class logits and a certainty logit for each proposal.

    Args:
        encoder: module called as `encoder(points, features, proposal_index, n_proposals)`, giving
            (n_proposals, encoder_channels).
        encoder_channels: width of its output.
        n_classes: all classes of the label set; `Recorrection.rectify` picks the foreground.
        hidden: width of the hidden layer of either head.

    Example:
        >>> import torch
        >>> class Mean(torch.nn.Module):
        ...     def forward(self, points, features, proposal_index, n_proposals):
        ...         mean = points.new_zeros(n_proposals, 3)
        ...         return mean.index_reduce(
        ...             0, proposal_index, points, "mean", include_self=False
        ...         )
        >>> module = ProposalRecorrector(Mean(), encoder_channels=3, n_classes=20)
        >>> output = module(torch.rand(9, 3), torch.rand(9, 4), torch.arange(9) // 5, 2)
        >>> output.class_logits.shape, output.score_logits.shape
        (torch.Size([2, 20]), torch.Size([2]))
    """

    def __init__(
        self, encoder: nn.Module, encoder_channels: int, n_classes: int, *, hidden: int = 64
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.class_head = _mlp(encoder_channels, hidden, n_classes)
        self.score_head = _mlp(encoder_channels, hidden, 1)

    @checked
    def forward(
        self,
        points: Float[Tensor, "k 3"],
        features: Float[Tensor, "k f"],
        proposal_index: Int[Tensor, " k"],
        n_proposals: int,
    ) -> Recorrection:
        """Judge proposals given as packed points.

        Args:
            points: the points of all proposals, metres.
            features: backbone features of the same points (or colours: Table 6, row I).
            proposal_index: the proposal of each point, below n_proposals.
            n_proposals: how many proposals there are.

        Raises:
            ValueError: if lengths differ, or (on a CPU) an index is not in [0, n_proposals).
        """
        check_ids(0, n_proposals, proposal_index=proposal_index)
        encoded = self.encoder(points, features, proposal_index, n_proposals)
        return Recorrection(self.class_head(encoded), self.score_head(encoded).squeeze(1))


@checked
def recorrection_loss(
    class_logits: Float[Tensor, "m c"],
    score_logits: Float[Tensor, " m"],
    iou: Float[Tensor, " m"],
    target_labels: Int[Tensor, " m"],
    *,
    iou_threshold: float = 0.5,
) -> RecorrectionLoss:
    r"""L^Psi of TWIST: cross entropy of well-placed proposals, and Eq. 5 of all.

    .. math:: L_{sc} = -\frac{1}{M} \sum_j \left[ u_j \log \hat v_j
              + (1 - u_j) \log (1 - \hat v_j) \right]

    with u the raw IoU and v the sigmoid of the score logit. A proposal whose IoU does not exceed
    the threshold, or whose instance has no label (-1), has no class to learn. Without such a
    proposal, or without any, a term is 0 and still attached to its logits.

    Args:
        class_logits: from `ProposalRecorrector`.
        score_logits: from `ProposalRecorrector`.
        iou: best IoU with a true instance, in [0, 1]; see `proposal_iou`.
        target_labels: class of that instance, -1 = unlabeled; see `matched_labels`.
        iou_threshold: the class is learned strictly above it.

    Raises:
        ValueError: if lengths differ, an IoU is outside [0, 1], or (on a CPU) a label is outside
            [-1, c).

    Example:
        >>> import torch
        >>> iou, labels = torch.tensor([0.5, 1.0]), torch.tensor([1, 0])
        >>> recorrection_loss(torch.zeros(2, 2), torch.zeros(2), iou, labels).score
        tensor(0.6931)
    """
    if len(iou) and not ((iou >= 0) & (iou <= 1)).all():
        low, high = iou.aminmax()
        raise ValueError(f"iou must lie in [0, 1], got [{low:.3g}, {high:.3g}]")
    score = functional.binary_cross_entropy_with_logits(score_logits, iou, reduction="sum")
    score = score / max(len(iou), 1)
    check_ids(-1, class_logits.shape[1], target_labels=target_labels)
    is_clean = (iou > iou_threshold) & (target_labels >= 0)
    label = functional.cross_entropy(
        class_logits[is_clean], target_labels[is_clean].long(), reduction="sum"
    )
    label = label / is_clean.sum().clamp(min=1)
    return RecorrectionLoss(label, score, label + score)


def _mlp(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, out_channels))
