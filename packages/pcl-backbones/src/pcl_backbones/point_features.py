"""Features of points at listed ids, and between points, with gradients."""

from jaxtyping import Float, Int
from torch import Tensor

from pcl_backbones.argument_shapes import checked
from pcl_backbones.argument_values import check_ids


@checked
def gather_features(
    features: Float[Tensor, "b c n"], ids: Int[Tensor, "b ..."]
) -> Float[Tensor, "b c ..."]:
    """Features of the points with these ids in their scene.

    On a CPU the gradient is the same in every run, with any number of threads. On a GPU it adds
    in any order, unless `torch.use_deterministic_algorithms` forbids that.

    Args:
        features: of the points of each scene.
        ids: in [0, n), of any shape in each scene.

    Raises:
        ValueError: if the scenes differ in number, or an id is out of range (not checked on a
            GPU).

    Example:
        >>> import torch
        >>> gather_features(torch.tensor([[[5.0, 6, 7]]]), torch.tensor([[[2, 0], [1, 1]]]))
        tensor([[[[7., 5.],
                  [6., 6.]]]])
    """
    n_scenes, n_channels, n = features.shape
    if len(ids) != n_scenes:
        raise ValueError(f"ids must be of {n_scenes} scenes, got {len(ids)}")
    check_ids(0, n, ids=ids)
    listed = ids.reshape(n_scenes, 1, -1).long().expand(-1, n_channels, -1)
    return features.gather(2, listed).reshape(n_scenes, n_channels, *ids.shape[1:])


@checked
def interpolate_features(
    features: Float[Tensor, "b c m"], distances: Float[Tensor, "b n k"], ids: Int[Tensor, "b n k"]
) -> Float[Tensor, "b c n"]:
    """Means of the features of known points, weighted by the inverse of their distances.

    f(x) = sum_i w_i f_i / sum_i w_i with w_i = 1 / (d_i + 10^-8): Eq. 2 of Qi et al.,
    "PointNet++", NeurIPS 2017, with the power 1 of the published operator in place of the
    paper's 2. A known point at the very place gets nearly all the weight.

    Args:
        features: of the known points of each scene.
        distances: to known points, metres, as of `three_nearest`.
        ids: of these known points, in [0, m).

    Raises:
        ValueError: if the shapes do not fit, or an id is out of range (not checked on a GPU).

    Example:
        >>> import torch
        >>> distances, ids = torch.tensor([[[1.0, 1, 2]]]), torch.tensor([[[0, 1, 2]]])
        >>> interpolate_features(torch.tensor([[[1.0, 2, 4]]]), distances, ids)
        tensor([[[2.]]])
    """
    weights = 1 / (distances + 1e-8)
    weights = weights / weights.sum(dim=2, keepdim=True)
    return (gather_features(features, ids) * weights.unsqueeze(1)).sum(dim=3)
