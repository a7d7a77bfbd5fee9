"""Points and words in one space: class logits, and how well a point fits a phrase."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from pcl_clip3d.argument_shapes import checked


@checked
def text_logits(
    features: Float[Tensor, "n d"], text_features: Float[Tensor, "c d"]
) -> Float[Tensor, "n c"]:
    r"""Class logits of points: :math:`\psi(f_m, \hat T_c) = \langle f_m, \hat T_c \rangle`.

    The inner product of Kang et al., "Hierarchical Intra-modal Correlation Learning", CVPR 2024,
    section 3.1: features are not normed, so their length is the sharpness of the softmax, which is
    learned; there is no temperature.

    Args:
        features: of points.
        text_features: of class names, unit rows (`encode_class_names`).

    Example:
        >>> import torch
        >>> text_logits(torch.tensor([[2.0, 0.0]]), torch.eye(2)).tolist()
        [[2.0, 0.0]]
    """
    return features @ text_features.T


@checked
def query_points(
    features: Float[Tensor, "n d"],
    query: Float[Tensor, " d"],
    negatives: Float[Tensor, "k d"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, " n"]:
    r"""How well each point fits a phrase, in [0, 1]: 0.5 where the nearest other phrase fits alike.

    .. math:: r = \min_k \frac{\exp(\langle f, q \rangle / t)}
        {\exp(\langle f, q \rangle / t) + \exp(\langle f, q_k \rangle / t)}

    of unit features :math:`f`, phrase :math:`q` and other phrases :math:`q_k`: the relevancy of
    Kerr et al., "LERF: Language Embedded Radiance Fields", ICCV 2023, section 3.5.

    Args:
        features: of points, in the space of the text; a point whose features are all 0 (nobody has
            seen it) fits nothing: 0.
        query: embedding of the phrase.
        negatives: embeddings of what it is not; at least one.
        temperature: of the softmax.

    Raises:
        ValueError: if there is no negative, or the temperature is not positive.

    Example:
        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> query, other = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0]])
        >>> query_points(points, query, other, temperature=0.25).round(decimals=2).tolist()
        [0.9800000190734863, 0.019999999552965164, 0.5]
    """
    if len(negatives) == 0:
        raise ValueError("negatives must hold at least one phrase, got 0")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    unit = normalize(features, dim=1)
    fits = unit @ normalize(query, dim=0)
    nearest = (unit @ normalize(negatives, dim=1).T).amax(dim=1)
    relevance = torch.sigmoid((fits - nearest) / temperature)
    return torch.where((features != 0).any(dim=1), relevance, 0)
