r"""Encoders that know classes, not texts: probabilities of classes times their text embeddings.

.. math:: f_p = u\Big(\sum_k P_{pk}\, t_k\Big), \qquad u(x) = x / |x|

with the probability P of class k at pixel p and the embedding t of its name. So any segmentation
network, and any stored prediction, answers the questions that CLIP answers, in its space or that of
any other encoder of sentences.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.dense_features import DenseFeatures
from pcl_clip3d.image_pixels import normalized_pixels


class SegmentationEncoder:
    """A 2D segmentation network times the texts of its classes: an `ImageEncoder`.

    Args:
        network: normalised pixels (1, 3, h, w) to logits (1, k, a, b) on a grid that covers them;
            in evaluation, on the device of the texts.
        text_features: the embedding of each class of the network.
        text_space: the name of the space of the texts.
        mean: of the pixels of each channel that the network was trained on, fractions.
        std: likewise.
        input_size: (height, width) that the network takes, pixels.

    Raises:
        ValueError: if the texts are not finite.

    Example:
        >>> import torch
        >>> def network(pixels):
        ...     return 1000 * pixels[:, :2]  # red, green
        >>> encoder = SegmentationEncoder(
        ...     network,
        ...     torch.eye(2),
        ...     text_space="colors",
        ...     mean=[0.0] * 3,
        ...     std=[1.0] * 3,
        ...     input_size=(1, 1),
        ... )
        >>> encoder(torch.tensor([[[255, 0, 0]]], dtype=torch.uint8)).grid.flatten()
        tensor([1., 0.])
    """

    def __init__(
        self,
        network: Callable[[Float[Tensor, "1 3 h w"]], Float[Tensor, "1 k a b"]],
        text_features: Float[Tensor, "k d"],
        *,
        text_space: str,
        mean: Sequence[float],
        std: Sequence[float],
        input_size: tuple[int, int],
    ) -> None:
        self._table = TableEncoder(text_features, text_space=text_space)
        self.network = network
        self.text_space = text_space
        self.dim = self._table.dim
        self.input_size = input_size
        self._mean, self._std = tuple(mean), tuple(std)

    @torch.no_grad()
    @checked
    def __call__(self, image: UInt8[Tensor, "h w 3"]) -> DenseFeatures:
        """The features of an RGB image.

        Raises:
            ValueError: if it is not of uint8, has other than 3 channels or no pixel, or the
                network has another number of classes than there are texts.
        """
        image = image.to(self._table.text_features.device)
        pixels = normalized_pixels(image, self.input_size, mean=self._mean, std=self._std)
        logits = self.network(pixels)
        n_texts = len(self._table.text_features)
        if logits.ndim != 4 or logits.shape[:2] != (1, n_texts):
            got = tuple(logits.shape)
            raise ValueError(f"network must return logits (1, {n_texts}, a, b), got {got}")
        grid = self._table.encode(logits[0].softmax(dim=0)).grid
        return DenseFeatures(grid, (image.shape[0], image.shape[1]))


class TableEncoder:
    """Tables of class probabilities times the texts of the classes.

    Args:
        text_features: the embedding of each class.
        text_space: the name of the space of the texts.

    Raises:
        ValueError: if the texts are not finite.

    Example:
        >>> import torch
        >>> encoder = TableEncoder(torch.eye(2), text_space="any")
        >>> encoder.encode(torch.tensor([[[0.8]], [[0.2]]])).grid.flatten()
        tensor([0.9701, 0.2425])
    """

    def __init__(self, text_features: Float[Tensor, "k d"], *, text_space: str) -> None:
        if text_features.ndim != 2 or not text_features.numel():
            shape = tuple(text_features.shape)
            raise ValueError(f"text_features must have shape (k, d), got {shape}")
        if not text_features.isfinite().all():
            raise ValueError("text_features must be finite, got NaN or infinity")
        self.text_features = text_features.float()
        self.text_space = text_space
        self.dim = text_features.shape[1]

    @checked
    def encode(self, probabilities: Float[Tensor, "k h w"]) -> DenseFeatures:
        """The features of an image, of whose pixels a table says the probabilities of the classes.

        Raises:
            ValueError: if there is another number of classes than of texts, or the probabilities
                of a pixel are negative or do not sum to 1.
        """
        if len(probabilities) != len(self.text_features):
            n_texts = len(self.text_features)
            raise ValueError(f"probabilities must have {n_texts} rows, got {len(probabilities)}")
        sums = probabilities.sum(dim=0)
        if not ((sums - 1).abs() < 1e-2).all() or (probabilities < 0).any():
            raise ValueError(
                "probabilities must sum to 1 at each pixel, got others or negative ones"
            )
        mixed = torch.einsum(
            "khw,kd->dhw", probabilities.to(self.text_features), self.text_features
        )
        size = (probabilities.shape[1], probabilities.shape[2])
        return DenseFeatures(functional.normalize(mixed, dim=0), size)
