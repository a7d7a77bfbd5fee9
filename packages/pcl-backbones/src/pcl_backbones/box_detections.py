"""Boxes, confidences and class probabilities from the proposals of VoteNet.

Qi et al., "Deep Hough Voting for 3D Object Detection in Point Clouds", ICCV 2019, sec. 4.2. Its
evaluation goes on: drop boxes of fewer than 5 points (`boxes_with_points`); suppress those that
overlap one of the same most probable class with more objectness, at an IoU of 0.25; keep an
objectness above 0.05; and enter each box once for every class, with its probability times the
objectness.
"""

from typing import NamedTuple

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
        probabilities: of each class; rows sum to 1.
    """

    boxes: Float[Tensor, "p 7"]
    objectness: Float[Tensor, " p"]
    probabilities: Float[Tensor, "p c"]

    def at(self, rows: Tensor) -> "Detections":
        """Those of some rows: their numbers, or a mask."""
        return Detections(*(part[rows] for part in self))


def decode_proposals(proposals: Proposals, coding: BoxCoding) -> list[Detections]:
    """The boxes of each scene, all of them; a size that is predicted below 0 is 0.

    The bin of the heading and the class of the size are the most probable ones.

    Args:
        proposals: of a network.
        coding: that of the network.

    Example:
        >>> import torch
        >>> coding = BoxCoding(torch.tensor([[1.0, 1, 2]]))
        >>> zeros = (torch.zeros(1, 4, size) for size in (3, 2, 3, 1, 1, 1))
        >>> proposals = Proposals(*zeros, torch.zeros(1, 4, 1, 3), torch.zeros(1, 4, 1))
        >>> (found,) = decode_proposals(proposals, coding)
        >>> found.boxes[0], found.objectness[0]
        (tensor([0., 0., 0., 1., 1., 2., 0.]), tensor(0.5000))
    """
    heading_class, size_class = proposals.headings.argmax(dim=2), proposals.sizes.argmax(dim=2)
    turn, change = proposals.residuals_of(heading_class, size_class)
    boxes = coding.decode(BoxCode(proposals.centers, heading_class, turn, size_class, change))
    boxes[..., 3:6] = boxes[..., 3:6].clamp(min=0)
    objectness = proposals.objectness.softmax(dim=2)[..., 1]
    scenes = zip(boxes, objectness, proposals.classes.softmax(dim=2), strict=True)
    return [Detections(*scene) for scene in scenes]
