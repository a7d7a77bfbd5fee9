"""Cross-entropy with soft targets, for softmax heads and for federated sigmoid heads.

The soft targets are those of Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance
Segmentation", 2024, Eq. 3 and 5. Federated annotations (Gupta et al., "LVIS", CVPR 2019) say of an
image only for some classes whether they are there; the federated loss of Zhou et al.,
"Probabilistic two-stage detection", 2021, therefore looks at a few classes a step.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from pcl_calibration.argument_shapes import checked
from pcl_calibration.argument_values import check_finite, check_ids
from pcl_calibration.probability_values import (
    Head,
    at_least_single,
    check_head,
    check_range,
    check_row_sums,
)


@checked
def soft_target_loss(
    logits: Float[Tensor, "n c"],
    targets: Float[Tensor, "n c"],
    *,
    head: Head = "softmax",
    classes: Int[Tensor, " k"] | None = None,
) -> Float[Tensor, ""]:
    r"""Cross-entropy, summed over classes, mean over rows.

    .. math:: L_\text{softmax} &= -\frac{1}{n} \sum_{n,i} y_{ni} \log \operatorname{softmax}(z_n)_i

              L_\text{sigmoid} &= -\frac{1}{n} \sum_{n,i} y_{ni} \log \sigma(z_{ni})
                                  + (1 - y_{ni}) \log(1 - \sigma(z_{ni}))

    with logits z and targets y; i are all classes, or those of the federated loss. The mean of no
    rows is 0. Computed in single precision at least, also under autocast.

    Args:
        logits: of the student.
        targets: rows sum to one for softmax; any values in [0, 1] for sigmoid, where a row of zeros
            is background and counts as a row.
        head: "softmax" or "sigmoid".
        classes: the distinct classes of a sigmoid head that are looked at, as of
            `federated_classes`; all by default.

    Raises:
        ValueError: if there are too few classes (2 for softmax, 1 for sigmoid), head is none,
            classes are given for softmax or empty, or (on a CPU) not distinct or not in [0, c), a
            logit that is looked at is not finite, such a target is outside [0, 1] or a row of
            softmax targets does not sum to one.

    Example:
        >>> import torch
        >>> soft_target_loss(torch.zeros(2, 4), torch.full((2, 4), 0.25))  # log 4
        tensor(1.3863)
        >>> soft_target_loss(torch.zeros(1, 4), torch.eye(4)[:1], head="sigmoid")  # 4 log 2
        tensor(2.7726)
    """
    n_classes = logits.shape[1]
    check_head(head, n_classes)
    if classes is not None:
        _check_classes(classes, head, n_classes)
        logits, targets = logits[:, classes], targets[:, classes]
    check_finite(logits=logits)
    check_range(0, 1, targets=targets)
    if head == "softmax":
        check_row_sums(1, 1, targets=targets)
    n_rows = max(len(logits), 1)
    logits = at_least_single(logits)
    targets = targets.to(logits)
    if head == "softmax":
        return functional.cross_entropy(logits, targets, reduction="sum") / n_rows
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return loss / n_rows


@checked
def federated_classes(
    present: Int[Tensor, " p"],
    image_counts: Int[Tensor, " c"],
    n_classes_kept: int = 50,
    *,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " k"]:
    """The classes that a step of the federated loss looks at: the present ones, and some others.

    Others are drawn without replacement, with a chance proportional to the square root of the
    number of their images, until there are `n_classes_kept` classes or no class with an image is
    left. More present classes than that are all kept.

    Args:
        present: classes of the annotations of the batch, repeated or not; -1, none, is left out.
        image_counts: training images of each class.
        n_classes_kept: 50 for LVIS.
        generator: source of the random numbers, on the device of the tensors.

    Returns:
        Distinct classes, ascending.

    Raises:
        ValueError: if n_classes_kept < 1, or (on a CPU) a class is outside [-1, c) or a count is
            negative.

    Example:
        >>> import torch
        >>> federated_classes(torch.tensor([3, 1, 3]), torch.tensor([0, 9, 9, 9, 4]), 4)
        tensor([1, 2, 3, 4])
    """
    if n_classes_kept < 1:
        raise ValueError(f"n_classes_kept must be at least 1, got {n_classes_kept}")
    check_ids(-1, len(image_counts), present=present)
    check_range(0, torch.inf, image_counts=image_counts)
    present = present[present >= 0].long().unique()
    chances = image_counts.double().sqrt().index_fill(0, present, 0)
    n_drawn = min(n_classes_kept - len(present), int(chances.count_nonzero()))
    if n_drawn < 1:
        return present
    drawn = chances.multinomial(n_drawn, replacement=False, generator=generator)
    return torch.cat([present, drawn]).sort().values


def _check_classes(classes: Int[Tensor, " k"], head: str, n_classes: int) -> None:
    if head == "softmax":
        raise ValueError(f"classes must be None for a softmax head, got {len(classes)}")
    if len(classes) == 0:
        raise ValueError("classes must hold at least one class, got none")
    check_ids(0, n_classes, classes=classes)
    if classes.device.type == "cpu" and len(classes.unique()) < len(classes):
        raise ValueError(f"classes must be distinct, got {classes.tolist()}")
