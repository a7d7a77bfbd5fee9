"""Rooms with posed images for tests, and an encoder that knows their colours."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pcl_clip3d import DenseFeatures, depth_buffer, project_points
from pcl_data import SCANNET20, Frame, Scene
from pcl_methods.segmentation.testing import COLORS, make_room

SIZE = (72, 96)  # height and width of an image, pixels
INTRINSICS = np.array([[70.0, 0, 47.5], [0, 70.0, 35.5], [0, 0, 1]])
PLACES = ((1.5, 1.5, 4.0), (1.0, 1.7, 3.5), (2.0, 1.2, 3.7))  # of cameras that look down, metres
TEXT_SPACE = "colors of rooms"


def make_posed_room(name: str, seed: int, *, depth: bool = True) -> Scene:
    """`make_room` with three images from above, with depth unless it is left out.

    Example:
        >>> len(make_posed_room("room", 0).frames)
        3
    """
    room = make_room(name, seed)
    return replace(room, frames=tuple(_photograph(room, place, depth) for place in PLACES))


class ColorEncoder:
    """An encoder of images whose texts are the classes, one axis each: the nearest colour wins."""

    text_space = TEXT_SPACE
    dim = SCANNET20.n_classes

    def __call__(self, image: Tensor) -> DenseFeatures:
        """The class of each pixel (h, w, 3) as a unit vector."""
        known = torch.tensor(list(COLORS), dtype=torch.int64)
        colors = torch.tensor(list(COLORS.values()), dtype=torch.float32)
        nearest = torch.cdist(image.reshape(-1, 3).float(), colors).argmin(dim=1)
        grid = one_hot(known[nearest], self.dim).T.reshape(self.dim, *image.shape[:2])
        return DenseFeatures(grid.float(), (image.shape[0], image.shape[1]))


def color_text() -> Tensor:
    """The embeddings of the classes of `ColorEncoder`."""
    return torch.eye(SCANNET20.n_classes)


def _photograph(room: Scene, place: tuple[float, float, float], depth: bool) -> Frame:
    pose = np.diag([1.0, -1, -1, 1])  # looks down, with x to the right
    pose[:3, 3] = place
    points = torch.from_numpy(room.points)
    pixels, ranges = project_points(points, torch.from_numpy(INTRINSICS), torch.from_numpy(pose))
    buffer = depth_buffer(pixels, ranges, SIZE, splat=1).numpy()
    image = np.full((*SIZE, 3), COLORS[next(iter(COLORS))], np.uint8)
    order = np.argsort(-ranges.numpy(), kind="stable")  # the nearest is painted last
    columns, rows = np.rint(pixels.numpy()[order]).astype(int).T
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            y, x = rows + down, columns + right
            inside = (y >= 0) & (y < SIZE[0]) & (x >= 0) & (x < SIZE[1])
            assert room.colors is not None  # as make_room makes it
            image[y[inside], x[inside]] = room.colors[order][inside]
    return Frame(image, buffer if depth else None, INTRINSICS, pose)
