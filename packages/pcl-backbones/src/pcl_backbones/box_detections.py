"""Boxes, confidences and class probabilities from the proposals of VoteNet.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019, sec. 4.2, and its
evaluation: parts of a box are those with the highest logit. Of boxes that overlap, suppression by
objectness keeps one a class; then each box is entered once for every class, with the probability of
the class times the objectness as its score.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pcl_backbones.box_coding import BoxCode, BoxCoding
from pcl_backbones.votenet import Proposals


class Detections(NamedTuple):
    """Boxes found in a scene.

    Attributes:
        boxes: centre x, y, z, length, width, height (metres, full), heading (radians about z,
            counter-clockwise).
        objectness: confidence that there is an object, in [0, 1].
        probabilities: of each class, rows sum to 1.
    """

    boxes: Float[Tensor, "p 7"]
    objectness: Float[Tensor, " p"]
    probabilities: Float[Tensor, "p c"]

    def __getitem__(self, rows):
        raise NotImplementedError


def decode_proposals(proposals: Proposals, coding: BoxCoding) -> list[Detections]:
    """The boxes of each scene, without suppression; see `Detections`."""
