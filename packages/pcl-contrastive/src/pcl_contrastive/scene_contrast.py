"""Objectives on one feature per scene or per volume: instance discrimination, and BYOL.

Zhang et al., "DepthContrast", ICCV 2021, sec. 3.2, after He et al., "MoCo", CVPR 2020, Eq. 1: a
scene recognises its other view among a queue of scenes. Grill et al., "BYOL", NeurIPS 2020, as
compared with in Zhang et al. (SSPL), NeurIPS 2022, Eq. 3: no negatives at all.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pcl_contrastive.argument_shapes import checked


@checked
def scene_info_nce(
    queries: Float[Tensor, "b d"],
    keys: Float[Tensor, "b d"],
    queue: Float[Tensor, "q d"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""InfoNCE of each query against its own key and the queue, averaged over queries.

    .. math:: L = -\frac{1}{b} \sum_i \log \frac{\exp(q_i \cdot k_i / \tau)}
              {\exp(q_i \cdot k_i / \tau) + \sum_j \exp(q_i \cdot F_j / \tau)}

    with all vectors normalised here. Gradients reach the queries alone. Enqueue the keys after
    the loss, or each is its own negative. Without queries the loss is 0.

    Args:
        queries: features of the encoder, one a scene.
        keys: features of the other views by the momentum encoder.
        queue: earlier keys, see `FeatureQueue.filled`; DepthContrast keeps 131,072.
        temperature: the divisor tau, positive.

    Raises:
        ValueError: if shapes do not agree, the queue is empty (there is nothing to discriminate
            from), or temperature is not positive.

    Example:
        >>> import torch
        >>> one = torch.tensor([[1.0, 0.0]])
        >>> scene_info_nce(one, one, one.repeat(3, 1))  # log 4: nothing tells them apart
        tensor(1.3863)
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if len(queue) == 0:
        raise ValueError(f"queue must hold a feature, got shape {tuple(queue.shape)}")
    queries = functional.normalize(queries, dim=1)
    keys = functional.normalize(keys.detach(), dim=1)
    queue = functional.normalize(queue.detach(), dim=1)
    positive = (queries * keys).sum(dim=1, keepdim=True)  # (b, 1)
    logits = torch.cat([positive, queries @ queue.T], dim=1) / temperature  # (b, 1 + q)
    losses = logits.logsumexp(dim=1) - logits[:, 0]
    return losses.sum() / max(len(losses), 1)


@checked
def byol_loss(
    predictions: Float[Tensor, "m d"], targets: Float[Tensor, "m d"]
) -> Float[Tensor, ""]:
    r"""Squared distance of normalised predictions and targets, averaged over rows (Eq. 3 of SSPL).

    .. math:: L = \frac{1}{m} \sum_j \| z(f^1_j) - f^2_j \|^2 = 2 - \frac{2}{m} \sum_j \cos_j

    The paper sums where this averages, so that the loss does not grow with the volumes of a scene.
    Gradients reach the predictions alone. Without rows the loss is 0.

    Args:
        predictions: of the predictor on top of the student; normalised here.
        targets: projections of the teacher; normalised here.

    Raises:
        ValueError: if shapes differ.

    Example:
        >>> import torch
        >>> byol_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
        tensor(2.)
    """
    predictions = functional.normalize(predictions, dim=1)
    targets = functional.normalize(targets.detach(), dim=1)
    return (predictions - targets).square().sum() / max(len(predictions), 1)
