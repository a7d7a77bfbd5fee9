"""CLIP as an encoder of every pixel of images of any size.

Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022, and the training-free
methods of `dense_attention`. Where their published code differs from CLIP, CLIP's own choice is
taken: mean and std of the pixels, activation and the epsilon of the norms are the model's.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked
from pcl_clip3d.clip_library import import_open_clip
from pcl_clip3d.clip_towers import image_tower
from pcl_clip3d.clip_weights import load_folder, load_named
from pcl_clip3d.dense_features import DenseFeatures
from pcl_clip3d.image_pixels import normalized_pixels
from pcl_clip3d.weight_files import check_finite


class DenseClip(nn.Module):
    """Features of every patch of an image in the space of the model's texts: an `ImageEncoder`.

    The image is resized so that whole patches cover it. With a window, the model sees squares of
    that size, one every `stride` pixels and the last ones flush with the border; where they
    overlap, their features of length 1 are averaged. The model is set to evaluation and gets no
    gradients.

    Args:
        model: of open_clip, with a vision transformer or a ResNet for images.
        tokenizer: texts to ids, as `open_clip.get_tokenizer` returns.
        name: of the text space; two encoders with one name share texts.
        attention: the last block: "identity" (MaskCLIP), "sclip", "clearclip", "naclip" or "own"
            (as CLIP has it).
        short_side: of the resized image, pixels; None: that of the image.
        window: pixels, a multiple of the patch; None: the whole image at once.
        stride: pixels from window to window, a multiple of the patch; None: the window.

    Raises:
        ValueError: if the model's image tower is of another kind or its weights are not finite,
            the attention is unknown, or the windows are no multiples of the patch or leave gaps.

    Example:
        >>> import torch
        >>> from pcl_clip3d.clip_library import import_open_clip
        >>> vision = {"layers": 2, "width": 64, "patch_size": 8, "image_size": 32}
        >>> text = {
        ...     "layers": 1,
        ...     "width": 64,
        ...     "heads": 1,
        ...     "vocab_size": 16,
        ...     "context_length": 8,
        ... }
        >>> model = import_open_clip().CLIP(16, vision, text)
        >>> encoder = DenseClip(model, tokenizer=None, name="tiny")
        >>> encoder(torch.zeros(40, 56, 3, dtype=torch.uint8)).grid.shape
        torch.Size([16, 5, 7])
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        name: str,
        attention: str = "identity",
        short_side: int | None = None,
        window: int | None = None,
        stride: int | None = None,
    ) -> None:
        super().__init__()
        visual: Any = model.visual
        self._tower, self.attention = image_tower(visual, attention), attention
        check_finite(model)
        _check_windows(self._tower.cell, short_side, window, stride)
        self.model: Any = model.requires_grad_(False)
        self.tokenizer = tokenizer
        self.text_space = name
        self.dim: int = visual.output_dim
        self.short_side, self.window, self.stride = short_side, window, stride or window
        library = import_open_clip()
        mean = getattr(visual, "image_mean", None) or library.OPENAI_DATASET_MEAN
        std = getattr(visual, "image_std", None) or library.OPENAI_DATASET_STD
        self._mean, self._std = tuple(map(float, mean)), tuple(map(float, std))
        self.eval()

    @classmethod
    def load(
        cls, name_or_folder: str | PathLike[str], weights: str | PathLike[str] | None = None, **how
    ) -> "DenseClip":
        """The encoder of a folder, or of a model that open_clip has by name.

        `load("FOLDER")`, `load("ViT-B-16", "file.safetensors")`, `load("ViT-B-16", "openai")`: the
        last one downloads. The name of the text space is made of that of the model and its tag, or
        a hash of the file.

        Args:
            name_or_folder: of the model; see `clip_weights.load_folder` for what a folder holds.
            weights: a file or a tag; None: those of the folder.
            **how: attention, short_side, window and stride, as in the constructor.

        Raises:
            FileNotFoundError: if the folder lacks a file.
            ValueError: if there is no such model, or a file does not fit it.
        """
        if weights is None and not Path(name_or_folder).is_dir():
            got = f"{str(name_or_folder)!r} without weights"
            raise ValueError(f"name_or_folder must be a folder, or a name with weights, got {got}")
        if weights is None:
            parts = load_folder(Path(name_or_folder))
        else:
            parts = load_named(str(name_or_folder), str(weights))
        return cls(parts.model, parts.tokenizer, name=parts.name, **how)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "t d"]:
        """The embeddings of texts, of length 1.

        Raises:
            ValueError: if there is no text.
        """
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f"texts must be a list of one text or more, got {texts!r}")
        ids = self.tokenizer(list(texts)).to(self._device)
        return functional.normalize(self.model.encode_text(ids).float(), dim=1)

    @torch.no_grad()
    @checked
    def forward(self, image: UInt8[Tensor, "h w 3"]) -> DenseFeatures:
        """The features of an RGB image.

        Raises:
            ValueError: if it is not of uint8, has other than 3 channels or no pixel.
        """
        grid = functional.normalize(self._over_windows(image, self._tower.features), dim=0)
        return DenseFeatures(grid, (image.shape[0], image.shape[1]))

    @torch.no_grad()
    @checked
    def keys(self, image: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "k a b"]:
        """The keys of the last attention on the grid of the features, for `smooth_by_keys`."""
        return self._over_windows(image, self._tower.keys)

    @property
    def _device(self) -> torch.device:
        return self.model.logit_scale.device

    def _over_windows(
        self, image: UInt8[Tensor, "h w 3"], encode: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "c a b"]:
        """What the windows say of the cells, on average."""
        size = self._resized(image)
        pixels = normalized_pixels(image.to(self._device), size, mean=self._mean, std=self._std)
        pixels = pixels.to(self.model.visual.conv1.weight.dtype)
        down, across = self._tower.cell
        height, width = size[0] // down, size[1] // across
        total, count = torch.zeros(()), torch.zeros(())
        for top, bottom in self._spans(height, down):
            band = pixels[:, :, top * down : bottom * down]
            for left, right in self._spans(width, across):
                part = encode(band[:, :, :, left * across : right * across])
                margins = (left, width - right, top, height - bottom)
                total = total.to(part) + functional.pad(part, margins)
                count = count.to(part) + functional.pad(torch.ones_like(part[:1]), margins)
        return total / count

    def _resized(self, image: UInt8[Tensor, "h w 3"]) -> tuple[int, int]:
        """The size of whole patches that is nearest to the wanted one."""
        sides = image.shape[0], image.shape[1]
        scale = self.short_side / max(1, min(sides)) if self.short_side else 1
        height, width = (
            max(1, round(side * scale / cell)) * cell
            for side, cell in zip(sides, self._tower.cell, strict=True)
        )
        return height, width

    def _spans(self, n_cells: int, cell: int) -> list[tuple[int, int]]:
        """First cell and end of the windows along an axis; the last ends with the axis."""
        window = min(self.window // cell if self.window else n_cells, n_cells)
        stride = self.stride // cell if self.stride else n_cells
        starts = [*range(0, n_cells - window, stride), n_cells - window]
        return [(start, start + window) for start in starts]


def _check_windows(
    cell: tuple[int, int], short_side: int | None, window: int | None, stride: int | None
) -> None:
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1, got {short_side}")
    for name, pixels in (("window", window), ("stride", stride)):
        if pixels is not None and (pixels < 1 or any(pixels % side for side in cell)):
            raise ValueError(f"{name} must be a multiple of the patch {cell}, got {pixels}")
    if stride is not None and (window is None or stride > window):
        raise ValueError(f"stride must be at most the window, {window}, got {stride}")
