"""Soft targets: what a teacher's class probabilities of unlabeled voxels become for the student.

Each kind is a module that is called with probabilities (v, k) of one step. What it keeps from step
to step are buffers, so that a run that was interrupted goes on with them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pcl_calibration import correct_pseudo_labels

TargetKind = Literal["one-hot", "soft", "corrected", "aligned", "adjusted", "freematch"]
SUPPORT = 0.02  # probability above which a class is corrected: others stay as unlikely as they are


class SoftTargets(NamedTuple):
    """What the student learns of each voxel."""

    probabilities: Tensor  # (v, k) rows that sum to one
    trusted: Tensor  # (v,) bool, whether it is learned at all


@dataclass(frozen=True)
class TargetOptions:
    """How probabilities become targets.

    Args:
        kind: `soft`, as the teacher says; `corrected` by the calibration error of each class;
            `aligned` with the class frequencies of labeled voxels; `adjusted` by their logarithm;
            `one-hot` where the teacher is sure; `freematch`, the same with thresholds of each class
            that follow the training.
        threshold: of `one-hot`.
        strength: lambda of the correction (Eq. 5).
        momentum: of the moving averages of `aligned` and `freematch`.
    """

    kind: TargetKind = "corrected"
    threshold: float = 0.7
    strength: float = 2.0
    momentum: float = 0.99


class ClassFacts(NamedTuple):
    """What labeled scenes tell of the k classes."""

    frequencies: Tensor  # (k,) share of the labeled points
    errors: Tensor  # (k,) accuracy minus confidence of the teacher, on scenes it has not learned


def make_targets(options: TargetOptions, facts: ClassFacts) -> nn.Module:
    """The module of a kind, called with probabilities (v, k); it gives `SoftTargets`."""
    match options.kind:
        case "one-hot":
            return OneHot(options.threshold)
        case "soft":
            return AsTheyAre()
        case "corrected":
            return Corrected(facts.errors, options.strength)
        case "aligned":
            return Aligned(facts.frequencies, options.momentum)
        case "adjusted":
            return Adjusted(facts.frequencies)
        case "freematch":
            return FreeMatch(len(facts.frequencies), options.momentum)


class AsTheyAre(nn.Module):
    """The probabilities of the teacher."""

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k), all trusted."""
        return _all_trusted(probabilities)


class OneHot(nn.Module):
    """The likeliest class, where its probability is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k) of the voxels that are sure."""
        return _likeliest(probabilities, probabilities.new_full((1,), self.threshold))


class Corrected(nn.Module):
    """Probabilities shifted by the calibration error of each class.

    Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, Eq. 5,
    of the classes with a probability above `SUPPORT`.
    """

    errors: Tensor

    def __init__(self, errors: Tensor, strength: float) -> None:
        super().__init__()
        self.register_buffer("errors", errors.clone())
        self.strength = strength

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k), all trusted."""
        corrected = correct_pseudo_labels(
            probabilities, self.errors, strength=self.strength, head="softmax", support=SUPPORT
        )
        return _all_trusted(corrected)


class Aligned(nn.Module):
    r"""Distribution alignment: on average, the class frequencies of the labeled voxels.

    .. math:: \tilde q \propto q \, p / \bar q

    Berthelot et al., "ReMixMatch", ICLR 2020. The mean of the teacher is a moving
    average that begins with that of the first step.
    """

    mean: Tensor
    frequencies: Tensor

    def __init__(self, frequencies: Tensor, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("frequencies", frequencies.clone())
        self.register_buffer("mean", torch.zeros_like(frequencies))

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k), all trusted."""
        if len(probabilities):
            momentum = self.momentum if self.mean.any() else 0.0
            self.mean.mul_(momentum).add_(probabilities.mean(dim=0), alpha=1 - momentum)
        return _rescaled(probabilities, self.frequencies / self.mean.clamp(min=1e-12))


class Adjusted(nn.Module):
    r"""Logit adjustment: the teacher as if all classes were equally frequent.

    .. math:: \tilde q \propto q / p

    Menon et al., "Long-tail Learning via Logit Adjustment", ICLR 2021, with tau 1. A
    class without a labeled voxel is not adjusted.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies.clone())

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k), all trusted."""
        seen = self.frequencies > 0
        return _rescaled(probabilities, torch.where(seen, 1 / self.frequencies, 1))


class FreeMatch(nn.Module):
    r"""The likeliest class above a threshold of its own, which follows the training.

    .. math:: \tau_t &= m \tau_{t-1} + (1 - m) \, \mathrm{mean} \max_c q_c, \quad
              \bar q_t = m \bar q_{t-1} + (1 - m) \, \mathrm{mean}\, q

              \tau_t(c) &= \tau_t \, \bar q_t(c) / \max_i \bar q_t(i)

    Wang et al., "FreeMatch", ICLR 2023 (self-adaptive thresholding); its fairness
    penalty is not here. Both averages begin with 1 / k.
    """

    threshold: Tensor
    mean: Tensor

    def __init__(self, n_classes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("threshold", torch.tensor(1 / n_classes))
        self.register_buffer("mean", torch.full((n_classes,), 1 / n_classes))

    def forward(self, probabilities: Tensor) -> SoftTargets:
        """Targets (v, k) of the voxels that are sure."""
        if len(probabilities):
            rest = 1 - self.momentum
            self.threshold.mul_(self.momentum).add_(probabilities.amax(dim=1).mean(), alpha=rest)
            self.mean.mul_(self.momentum).add_(probabilities.mean(dim=0), alpha=rest)
        return _likeliest(probabilities, self.threshold * self.mean / self.mean.max())


def _all_trusted(probabilities: Tensor) -> SoftTargets:
    return SoftTargets(probabilities, torch.ones_like(probabilities[:, 0], dtype=torch.bool))


def _rescaled(probabilities: Tensor, factors: Tensor) -> SoftTargets:
    scaled = probabilities * factors
    total = scaled.sum(dim=1, keepdim=True)
    return _all_trusted(torch.where(total > 0, scaled / total, probabilities))


def _likeliest(probabilities: Tensor, thresholds: Tensor) -> SoftTargets:
    confidence, labels = probabilities.max(dim=1)
    targets = torch.zeros_like(probabilities).scatter_(1, labels[:, None], 1)
    of_class = thresholds.expand(probabilities.shape[1])
    return SoftTargets(targets, confidence > of_class[labels])
