"""What images and the 3D network say of a point, together."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from pcl_methods.labelfree.image_labels import ImageLabels


def image_features(found: ImageLabels) -> Tensor:
    """The feature of each point by the images of its set, (n, d); 0 where nobody saw it."""
    table = np.pad(found.set_features, ((0, 1), (0, 0)))  # -1 picks the last
    return torch.from_numpy(table[found.sets])


def chosen_by_cosine(
    image_features: Float[Tensor, "n d"],
    point_features: Float[Tensor, "n d"],
    text_features: Float[Tensor, "c d"],
) -> Float[Tensor, "n c"]:
    """The cosines to the classes of the feature that is nearer to any of them.

    The 2D-3D ensemble of Peng et al., "OpenScene", CVPR 2023, section 3.3.

    Args:
        image_features: of points, by their images; 0 where nobody saw them.
        point_features: of the same points, by the 3D network.
        text_features: of the classes.
    """
    unit = normalize(text_features, dim=1).T
    by_image, by_point = (
        normalize(features, dim=1) @ unit for features in (image_features, point_features)
    )
    seen = (image_features != 0).any(dim=1)
    nearer = seen & (by_image.amax(dim=1) > by_point.amax(dim=1))
    return torch.where(nearer[:, None], by_image, by_point)
