"""Features of every pixel of an image in a space of text embeddings, kept on a coarse grid."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked


@dataclass(frozen=True)
class DenseFeatures:
    """Features of an image: a grid that covers it, read between the cells bilinearly.

    The centre of cell (i, j) of an a x b grid lies at row (i + 0.5) h / a - 0.5 of the image, whose
    pixel centres are at whole numbers (`align_corners=False`); outside the outermost centres the
    features stay as they are there. An image in full resolution would hold h w / (a b) times as
    many numbers.

    Args:
        grid: a vector of length 1 a cell.
        image_size: (h, w), pixels.

    Raises:
        ValueError: if the grid or the image has no cell.

    Example:
        >>> import torch
        >>> features = DenseFeatures(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), (1, 4))
        >>> features.at(torch.tensor([[0, 0], [0, 1]]))
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500]])
    """

    grid: Float[Tensor, "d a b"]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.grid.ndim != 3 or not self.grid.numel():
            raise ValueError(f"grid must have shape (d, a, b), got {tuple(self.grid.shape)}")
        if min(self.image_size) < 1:
            raise ValueError(f"image_size must be at least (1, 1), got {self.image_size}")

    @checked
    def at(self, pixel_index: Int[Tensor, "m 2"]) -> Float[Tensor, "m d"]:
        """The features of pixels; not of length 1 between cells that differ.

        Args:
            pixel_index: (row, column) of each.

        Raises:
            ValueError: if a pixel lies outside the image.
        """
        size = torch.tensor(self.image_size, device=pixel_index.device)
        if ((pixel_index < 0) | (pixel_index >= size)).any():
            raise ValueError(f"pixel_index must lie in the image {self.image_size}, got others")
        spots = (2 * pixel_index + 1).to(self.grid.dtype) / size - 1  # (m, 2) of (row, column)
        found = functional.grid_sample(  # (1, d, 1, m)
            self.grid[None], spots.flip(1)[None, None], padding_mode="border", align_corners=False
        )
        return found[0, :, 0].T

    @checked
    def logits(self, text_features: Float[Tensor, "c d"]) -> Float[Tensor, "c h w"]:
        """The product with each text at each pixel: computed on the grid, then bilinear.

        Equal to `at(pixels) @ text_features.T`, for less. It is a cosine at the centres of cells
        where both have length 1; CLIP's probabilities are the softmax of 100 times it.

        Raises:
            ValueError: if the texts have another number of dimensions.
        """
        if text_features.shape[1] != len(self.grid):
            n_dims = text_features.shape[1]
            raise ValueError(f"text_features must have {len(self.grid)} columns, got {n_dims}")
        logits = torch.einsum("cd,dij->cij", text_features.to(self.grid), self.grid)
        return functional.interpolate(
            logits[None], self.image_size, mode="bilinear", align_corners=False
        )[0]


@runtime_checkable
class ImageEncoder(Protocol):
    """What turns an image into features of its pixels in a space of text embeddings.

    `text_space` names the space: texts whose embeddings were made for another name do not fit.
    """

    text_space: str
    dim: int

    def __call__(self, image: UInt8[Tensor, "h w 3"]) -> DenseFeatures:
        """The features of an RGB image; the vectors of the grid have length 1."""
        ...


def check_text(
    encoder: ImageEncoder, text_features: Float[Tensor, "c d"], text_space: str
) -> None:
    """Return quietly if the texts can be compared with what the encoder makes of images.

    Args:
        encoder: of the images.
        text_features: of the classes.
        text_space: the name of the space that they are of.

    Raises:
        ValueError: if the spaces have other names or other numbers of dimensions.

    Example:
        >>> import torch
        >>> from pcl_clip3d.class_encoders import TableEncoder
        >>> encoder = TableEncoder(torch.eye(3), text_space="ViT-B-16/openai")
        >>> check_text(encoder, torch.eye(3), "ViT-B-16/openai")
    """
    if text_space != encoder.text_space:
        raise ValueError(
            f"text_space must be that of the encoder, {encoder.text_space!r}, got {text_space!r}"
        )
    if text_features.ndim != 2 or text_features.shape[1] != encoder.dim:
        shape = tuple(text_features.shape)
        raise ValueError(f"text_features must have shape (c, {encoder.dim}), got {shape}")
