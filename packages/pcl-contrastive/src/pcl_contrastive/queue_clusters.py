"""The clusters of a feature queue: prototypes, labels of its rows, and their refresh.

SSPL (Zhang et al., NeurIPS 2022), sec. 3.3, with the assignment of `sinkhorn`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from pcl_contrastive.argument_shapes import checked
from pcl_contrastive.sinkhorn import sinkhorn_assignment

# Mean of the criterion over rows at which `QueueClusters` stops: 98 to 99.5 % of the labels are
# final (20,000 rows of 40 kinds, 64 clusters) after some 100 iterations, where a sum of 0.1 over
# 300,000 rows takes 400 to 2,300.
REFRESH_TOLERANCE = 0.01


class QueueClusters(nn.Module):
    """The clusters of a `FeatureQueue`: a label for each row, and a prototype for each cluster.

    The head h_g of SSPL, sec. 3.3, is linear without bias, its rows of unit norm: P is the softmax
    of the cosines to the prototypes. The paper does not say how the head learns. Here every
    `refresh` sets a prototype to the direction of the mean of its features, which is k-means on
    the sphere with clusters of equal size. It has no learning rate and no optimiser to resume, and
    `state_dict` holds all there is. Nothing has gradients.

    Args:
        dim: channels of a feature.
        n_clusters: K; 64 is best for SemanticKITTI (SSPL, sec. 5.5).
        queue_size: rows of the queue.
        seed: of the first prototypes, random directions. Processes must agree on it.

    Raises:
        ValueError: if dim, n_clusters or queue_size is below 1.

    Example:
        >>> import torch
        >>> from pcl_contrastive.feature_queue import FeatureQueue
        >>> queue, clusters = FeatureQueue(8, 2), QueueClusters(2, 2, queue_size=8)
        >>> _ = queue.enqueue(torch.eye(2).repeat(4, 1))
        >>> clusters.refresh(queue.filled)
        >>> clusters.labels
        tensor([0, 1, 0, 1, 0, 1, 0, 1])
        >>> slots = queue.enqueue(torch.eye(2).flip(0))  # between two refreshes
        >>> clusters.labels[slots] = clusters.assign(queue.features[slots])
        >>> clusters.labels
        tensor([1, 0, 0, 1, 0, 1, 0, 1])
    """

    prototypes: Float[Tensor, "k dim"]
    labels: Int[Tensor, " queue_size"]
    """The cluster of each row of the queue, -1 before the first refresh."""

    def __init__(self, dim: int, n_clusters: int, *, queue_size: int, seed: int = 0) -> None:
        super().__init__()
        if min(dim, n_clusters, queue_size) < 1:
            raise ValueError(
                "dim, n_clusters and queue_size must be at least 1, "
                f"got {dim}, {n_clusters} and {queue_size}"
            )
        directions = torch.randn(n_clusters, dim, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("prototypes", functional.normalize(directions, dim=1))
        self.register_buffer("labels", torch.full((queue_size,), -1))

    @checked
    @torch.no_grad()
    def refresh(self, queue: Float[Tensor, "q dim"]) -> None:
        """Label the queue by `sinkhorn_assignment`, then move the prototypes to their features.

        The tolerance of the assignment grows with the queue, as the sum it bounds does; see
        `REFRESH_TOLERANCE`. A cluster that received nothing keeps its prototype. SSPL does not say
        how often to do this; every 100 steps is our choice. Processes compute the same from equal
        queues and do not communicate.

        Args:
            queue: all features held, `FeatureQueue.filled`.

        Raises:
            ValueError: if the queue is empty or larger than queue_size, or has other channels.
        """
        if not 1 <= len(queue) <= len(self.labels):
            raise ValueError(f"queue must hold 1 to {len(self.labels)} rows, got {len(queue)}")
        self._check_width("queue", queue)
        features = functional.normalize(queue.to(self.prototypes), dim=1)
        scores = features @ self.prototypes.T
        labels = sinkhorn_assignment(scores, tolerance=REFRESH_TOLERANCE * len(scores))
        self.labels[: len(queue)] = labels
        # A product with indicators rather than index_add_, whose order of summation varies on GPUs.
        members = functional.one_hot(labels, len(self.prototypes)).to(features)  # (q, k)
        sums = members.T @ features
        is_used = members.any(dim=0)[:, None]
        self.prototypes.copy_(
            torch.where(is_used, functional.normalize(sums, dim=1), self.prototypes)
        )

    @checked
    def assign(self, features: Float[Tensor, "m dim"]) -> Int[Tensor, " m"]:
        """The argmax of P for each feature, for those that arrive between two refreshes.

        Sizes are not balanced here: that takes the whole queue.

        Args:
            features: of any length.

        Raises:
            ValueError: if they have other channels than the prototypes.
        """
        self._check_width("features", features)
        return (features.to(self.prototypes) @ self.prototypes.T).argmax(dim=1)

    def _check_width(self, name: str, rows: Tensor) -> None:
        dim = self.prototypes.shape[1]
        if rows.shape[1] != dim:
            raise ValueError(f"{name} must have shape (m, {dim}), got {tuple(rows.shape)}")
