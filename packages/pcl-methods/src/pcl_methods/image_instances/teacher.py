"""A teacher that follows the student and gives the objects of unlabeled images.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, section
3.2; the loop is that of Berrada et al., "Guided Distillation", WACV 2024: an object is taken where
the probability of its class and the area of its mask are large enough.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot

from pcl_calibration import correct_pseudo_labels
from pcl_contrastive import MomentumEncoder
from pcl_methods.image_instances.network import InstanceNetwork, LayerOutputs
from pcl_methods.image_instances.objective import InstanceTargets
from pcl_methods.image_instances.views import flipped

PseudoLabelKind = Literal["one-hot", "soft", "corrected"]
SUPPORT = 0.02  # probability above which a class is corrected: others stay as unlikely as they are


@dataclass(frozen=True)
class Teaching:
    """How a student learns from its teacher, beside the labels.

    Args:
        kind: of the targets: the likeliest class (`one-hot`), what the teacher says (`soft`), or
            that, `corrected` by the calibration error of each class.
        strength: lambda of the correction (Eq. 5).
        score: least probability of the likeliest class, after the correction.
        area: least area of a mask, pixels of the network's image.
        momentum: share of itself that the teacher keeps in a step.
        weight: of the loss of unlabeled images.

    Raises:
        ValueError: if score lies outside [0, 1], or area or weight is negative.
    """

    kind: PseudoLabelKind = "corrected"
    strength: float | int = 2.0
    score: float | int = 0.3
    area: int = 5
    momentum: float | int = 0.99
    weight: float | int = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"score must lie in [0, 1], got {self.score}")
        for name in ("area", "weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")


class InstanceTeacher(nn.Module):
    """The moving average of a network, and the targets that it gives.

    Args:
        network: the student as the teaching begins.
        teaching: how.
        errors: accuracy minus confidence of each class, on images the network has not learned.
    """

    errors: Tensor

    def __init__(
        self, network: InstanceNetwork, teaching: Teaching, errors: Float[Tensor, " c"]
    ) -> None:
        super().__init__()
        self.encoder = MomentumEncoder(network, teaching.momentum)
        self.teaching = teaching
        self.register_buffer("errors", errors.clone())

    def follow(self, network: nn.Module) -> None:
        """Move towards the student; before each step."""
        self.encoder.update(network)

    @torch.no_grad()
    def forward(
        self, weak: UInt8[Tensor, "b 3 s s"], turned: Bool[Tensor, " b"]
    ) -> list[InstanceTargets]:
        """The targets of each image, for a student that sees it from right to left where turned."""
        self.encoder.eval()
        found = self.encoder(weak).last
        of_images = [
            pseudo_instances(LayerOutputs(*one), self.errors, self.teaching, weak.shape[-1])
            for one in zip(*found, strict=True)
        ]
        return [
            one._replace(masks=flipped(one.masks, bool(turn)))
            for one, turn in zip(of_images, turned, strict=True)
        ]


def pseudo_instances(
    outputs: LayerOutputs, errors: Float[Tensor, " c"], teaching: Teaching, image_size: int
) -> InstanceTargets:
    """The objects of one image that a teacher is sure enough of; it knows all classes.

    `no object` is a class whose error is 0 (Eq. 5): what is taken from a class of which the teacher
    is too sure goes to the other likely ones and to it.

    Args:
        outputs: of one image: logits (q, c + 1) of classes and (q, h, w) of masks.
        errors: of each class.
        teaching: how targets are made.
        image_size: pixels of the masks along each side.
    """
    targets = outputs.class_logits.float().softmax(dim=1)
    if teaching.kind == "corrected":
        targets = correct_pseudo_labels(
            targets,
            torch.cat([errors, errors.new_zeros(1)]),
            strength=teaching.strength,
            head="softmax",
            support=SUPPORT,
        )
    score, label = targets[:, :-1].max(dim=1)
    side = (image_size, image_size)
    masks = interpolate(outputs.mask_logits[None], side, mode="bilinear")[0] > 0
    kept = (score > teaching.score) & (masks.sum(dim=(1, 2)) > teaching.area)
    if teaching.kind == "one-hot":
        targets = one_hot(label, targets.shape[1]).to(targets)
    known = torch.ones_like(errors, dtype=torch.bool)
    return InstanceTargets(masks[kept], targets[kept], known, known)
