"""What a network learns from image labels: the hierarchy of correlations, and its peers.

Kang et al., "Hierarchical Intra-modal Correlation Learning for Label-free 3D Semantic
Segmentation", CVPR 2024; Chen et al., "CLIP2Scene", CVPR 2023; Peng et al., "OpenScene", CVPR 2023.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax

from pcl_clip3d import CorrelationTransformer, feedback_distillation, gather_rows, text_logits
from pcl_methods.segmentation.network import SegmentationNetwork

Batch = Mapping[str, Tensor]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Phases:
    """First epochs, counted from 1, of what begins later (section 3.4 of the paper)."""

    correlation: int = 11
    feedback: int = 21


def vote_loss(logits: Float[Tensor, "v c"], votes: Float[Tensor, "v c"]) -> Float[Tensor, ""]:
    r"""Cross-entropy of the class logits over all pairs of a point and a view (Eq. 1), a scalar.

    .. math:: L_{ce} = -\frac1m \sum_m \log \mathrm{softmax}(\psi(f_m, \hat T))_{l_m}

    Args:
        logits: of voxels.
        votes: how many of the m pairs in a voxel have each label. Without any the loss is 0.
    """
    return -(votes * log_softmax(logits, dim=1)).sum() / votes.sum().clamp(min=1)


class HierarchicalCorrelation(nn.Module):
    """The paper's objective: label loss, correlation by transformers, feedback to the network.

    Each part is left out by giving none: without transformers it is the base model of Table 2. The
    first level, labels refined in sets, is in the batches (`refine_in_sets`).

    Args:
        network: gives features in the space of the text as `logits`.
        text_features: (c, d) of the classes.
        intra: over the sampled points of one scene.
        inter: over those of all scenes of a step, of all processes.
        feedback: whether the network learns from what the transformers gather.
        phases: when the parts begin.

    Raises:
        ValueError: if there is feedback without a transformer.
    """

    text_features: Tensor

    def __init__(
        self,
        network: SegmentationNetwork,
        text_features: Tensor,
        *,
        intra: CorrelationTransformer | None = None,
        inter: CorrelationTransformer | None = None,
        feedback: bool = False,
        phases: Phases = Phases(),
    ) -> None:
        super().__init__()
        if feedback and intra is None and inter is None:
            raise ValueError("feedback must have a transformer to learn from, got none")
        self.network, self.intra, self.inter = network, intra, inter
        self.feedback, self.phases = feedback, phases
        self.register_buffer("text_features", text_features.clone())

    @property
    def transformers(self) -> nn.ModuleList:
        """What is dropped after training."""
        return nn.ModuleList(part for part in (self.intra, self.inter) if part is not None)

    def forward(self, batch: Batch, epoch: int) -> Losses:
        """The mean of the losses that are active in an epoch, and each of them."""
        text = self.text_features
        features = self.network(batch["coords"], batch["features"]).logits
        # 1. Every pair of a point and a view pulls the point to the text of its label (Eq. 1).
        losses = {"label": vote_loss(text_logits(features, text), batch["votes"])}
        rows = (batch["sampled"] >= 0).nonzero()[:, 0]
        has_rows = _anywhere(len(rows), features)
        if len(self.transformers) and epoch >= self.phases.correlation and has_rows:
            # 2. Sampled points gather from points like them, and what they gather pulls as well.
            gathered = self.gather(features[rows], batch["coords"][rows, 0].long())
            if len(rows):
                logits = text_logits(gathered, text)
                losses["correlation"] = cross_entropy(logits, batch["sampled"][rows])
                # 3. The network learns to say at once what they gather (Eq. 8).
                if self.feedback and epoch >= self.phases.feedback:
                    losses["feedback"] = feedback_distillation(features[rows], gathered)
        return {"loss": torch.stack(list(losses.values())).mean(), **losses}

    def gather(self, features: Tensor, scenes: Tensor) -> Tensor:
        """Features of sampled points after both transformers (Eq. 3 and 7)."""
        if self.intra is not None:
            features = self.intra(features, scenes)
        if self.inter is not None:
            rows, own = gather_rows(features)
            features = self.inter(rows)[own]
        return features


class Clip2Scene(nn.Module):
    """The objective of CLIP2Scene without time: labels, and features of the image.

    Its spatial term compares a second head with the features of the image; here with their mean in
    each geometric set, as features of pixels are not kept. From an epoch on, the network's own
    labels take the place of those of the image in every other step, at random (switchable
    self-training).

    Args:
        network: gives features in the space of the text as `logits`.
        text_features: (c, d) of the classes.
        spatial: whether there is the spatial term.
        self_training_from: epoch, counted from 1; None never.
    """

    text_features: Tensor

    def __init__(
        self,
        network: SegmentationNetwork,
        text_features: Tensor,
        *,
        spatial: bool = True,
        self_training_from: int | None = 11,
    ) -> None:
        super().__init__()
        self.network, self.self_training_from = network, self_training_from
        channels, dim = network.backbone.feature_channels, text_features.shape[1]
        self.local_head = nn.Linear(channels, dim) if spatial else None
        self.transformers = nn.ModuleList()
        self.register_buffer("text_features", text_features.clone())

    def forward(self, batch: Batch, epoch: int) -> Losses:
        """The mean of the losses, and each of them."""
        found = self.network(batch["coords"], batch["features"])
        logits, votes = text_logits(found.logits, self.text_features), batch["votes"]
        starts = self.self_training_from
        if starts is not None and epoch >= starts and torch.rand(()) < 0.5:
            own = logits.detach().argmax(dim=1, keepdim=True)
            votes = torch.zeros_like(votes).scatter_(1, own, votes.sum(dim=1, keepdim=True))
        losses = {"label": vote_loss(logits, votes)}
        if self.local_head is not None:
            losses["spatial"] = _feature_loss(self.local_head(found.features), batch)
        return {"loss": torch.stack(list(losses.values())).mean(), **losses}


class OpenScene(nn.Module):
    """The objective of OpenScene: one minus the cosine to the fused features of the images.

    Those of a point are the mean over the views of its geometric set. Classes play no part until
    the network is used.

    Args:
        network: gives features in the space of the text as `logits`.
        text_features: (c, d) of the classes; not learned from.
    """

    text_features: Tensor

    def __init__(self, network: SegmentationNetwork, text_features: Tensor) -> None:
        super().__init__()
        self.network = network
        self.transformers = nn.ModuleList()
        self.register_buffer("text_features", text_features.clone())

    def forward(self, batch: Batch, epoch: int) -> Losses:
        """The loss."""
        features = self.network(batch["coords"], batch["features"]).logits
        return {"loss": _feature_loss(features, batch)}


def _feature_loss(features: Tensor, batch: Batch) -> Tensor:
    """Mean of 1 - cosine over the voxels whose set was seen; 0 where none was."""
    sets = batch["instances"]
    targets = batch["set_features"][sets.clamp(min=0)]
    seen = ((sets >= 0) & (targets != 0).any(dim=1)).to(features.dtype)
    return ((1 - cosine_similarity(features, targets)) * seen).sum() / seen.sum().clamp(min=1)


def _anywhere(count: int, like: Tensor) -> bool:
    """Whether any process has rows: all take part in the gathering, or none."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count > 0
    total = torch.tensor(float(count), device=like.device)
    torch.distributed.all_reduce(total)
    return bool(total > 0)
