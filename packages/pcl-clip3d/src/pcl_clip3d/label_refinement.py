"""Two refinements of the logits of an image that need no training.

Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022, sec. 3.3: key smoothing
and prompt denoising.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pcl_clip3d.argument_shapes import checked

LOGIT_SCALE = 100.0
"""The highest scale of CLIP's cosines, which its released models have."""
ABSENT = -100.0
"""The logit of a class that is not in the image."""


@checked
def smooth_by_keys(
    logits: Float[Tensor, "c a b"], keys: Float[Tensor, "k a b"], *, threshold: float | int = 1.0
) -> Float[Tensor, "c a b"]:
    r"""Evidence for each class at each cell, gathered from all cells whose keys are alike.

    .. math:: P'_i = \sum_j \hat k_i \cdot \hat k_j \, P_j, \qquad P = \mathrm{softmax}(100\, l)

    with the logits l and the keys of length 1, at cells whose highest probability is below the
    threshold; the others keep P. Rows of P' do not sum to 1: their highest entry is the class. The
    published code normalises the keys of a vision transformer over the tokens instead of the
    channels; here they are normalised over the channels, as the paper has it.

    Args:
        logits: cosines on the grid.
        keys: such as `DenseClip.keys` returns.
        threshold: a fraction; 1 changes every cell that is not certain.

    Raises:
        ValueError: if the grids differ or the threshold lies outside [0, 1].

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[0.01, 0.0]], [[0.0, 0.0]]])
        >>> smooth_by_keys(logits, torch.ones(3, 1, 2))  # one thing: the cells agree
        tensor([[[1.2311, 1.2311]],
        <BLANKLINE>
                [[0.7689, 0.7689]]])
    """
    _check_threshold(threshold)
    probabilities = (LOGIT_SCALE * logits).softmax(dim=0).flatten(1)  # (c, cells)
    units = functional.normalize(keys.flatten(1), dim=0)  # (k, cells)
    smoothed = probabilities @ (units.T @ units)
    unsure = probabilities.amax(dim=0) < threshold
    return torch.where(unsure, smoothed, probabilities).view_as(logits)


@checked
def denoise_prompts(
    logits: Float[Tensor, "c a b"], *, threshold: float | int = 0.5
) -> Float[Tensor, "c a b"]:
    """The logits, with -100 for classes that no cell of the image is likely to show.

    A class is taken to be absent if its probability, of the softmax of 100 times the logits over
    the classes, is below the threshold everywhere. Where that would leave no class, all stay.

    Args:
        logits: cosines, on the grid or on the pixels.
        threshold: a fraction.

    Raises:
        ValueError: if the threshold lies outside [0, 1].

    Example:
        >>> import torch
        >>> denoise_prompts(torch.tensor([[[0.3]], [[0.2]]])).flatten()
        tensor([   0.3000, -100.0000])
    """
    _check_threshold(threshold)
    highest = (LOGIT_SCALE * logits).softmax(dim=0).flatten(1).amax(dim=1)  # (c,)
    absent = highest < threshold
    if absent.all():
        return logits
    return logits.masked_fill(absent[:, None, None], ABSENT)


def _check_threshold(threshold: float | int) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
