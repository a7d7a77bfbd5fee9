"""What every frame of a labeled room says of every vertex that it sees, with all probabilities."""

from pathlib import Path
from typing import NamedTuple

import torch
from enet_text import NAMED, named_labels, open_network, open_scene, text_encoder, text_features
from torch import Tensor

from pcl_clip3d import (
    DenseFeatures,
    FusedViews,
    ImageEncoder,
    PixelPairs,
    flip_pairs,
    fuse_views,
    vote_in_views,
)
from pcl_clip3d.view_fusion import FusionRule
from pcl_data import Scene
from pcl_methods.labelfree.geometric_sets import geometric_sets
from pcl_methods.labelfree.image_labels import Visibility, frame_pairs
from pcl_methods.labelfree.pixel_labels import class_probabilities

SETS = {"segment_mesh": "mesh", "segs.json": "given"}


class Pairs(NamedTuple):
    """A row for each vertex in each frame that sees it, frame after frame.

    `mirrored` is the class of the pixel in the mirrored image.
    """

    vertices: Tensor  # (m,)
    frames: Tensor  # (m,)
    probabilities: Tensor  # (m, c)
    mirrored: Tensor  # (m,)

    @property
    def labels(self) -> Tensor:
        """The class of the pixel of each row."""
        return self.probabilities.argmax(dim=1)


class Room(NamedTuple):
    """The pairs of the room, the truth (n,) and the sets (n,) of its vertices."""

    pairs: Pairs
    truth: Tensor
    sets: dict[str, Tensor]

    def only(self, rows: Tensor) -> "Room":
        """The room with some of the pairs, by a mask (m,)."""
        return self._replace(pairs=Pairs(*(column[rows] for column in self.pairs)))

    def fuse(self, rule: FusionRule) -> FusedViews:
        """The label of each vertex by all its views."""
        return fuse_views(self.pairs.vertices, self.pairs.probabilities, len(self.truth), rule=rule)

    def refine(self, sets: Tensor) -> Tensor:
        """The labels of the pairs after the vote in each set of each frame."""
        vertices, frames = self.pairs.vertices, self.pairs.frames
        labels, n_classes = self.pairs.labels, NAMED.n_classes
        return vote_in_views(labels, sets[vertices], frames, n_classes=n_classes)

    def of_pairs(self) -> Tensor:
        """The truth of each pair."""
        return self.truth[self.pairs.vertices]

    def n_views(self) -> Tensor:
        """In how many frames each vertex is seen."""
        return torch.bincount(self.pairs.vertices, minlength=len(self.truth))


@torch.inference_mode()
def project(scene: Scene, encoder: ImageEncoder, texts: Tensor) -> Pairs:
    """The class probabilities of all pairs, as `label_images` has them, and of mirrored images."""
    points, rows = torch.from_numpy(scene.points), []
    for number, frame in enumerate(scene.frames):
        pairs, image = frame_pairs(points, frame, Visibility(), "buffer"), frame.image
        pixels = torch.from_numpy(image)
        mirrored = flip_pairs(pairs, image.shape[1])
        found = probabilities(encoder(pixels), pairs, texts)
        other = probabilities(encoder(pixels.flip(1)), mirrored, texts).argmax(dim=1)
        frames = torch.full_like(pairs.point_index, number)
        rows.append((pairs.point_index, frames, found, other))
    return Pairs(*(torch.cat(column) for column in zip(*rows, strict=True)))


def probabilities(features: DenseFeatures, pairs: PixelPairs, texts: Tensor) -> Tensor:
    """Of the classes at the pixel of each pair, (m, c)."""
    return class_probabilities(features.at(pairs.pixel_index), texts)


def open_room(data: Path, step: int = 1) -> Room:
    """The room by every step-th frame; the encoder runs on each and on its mirror image."""
    scene, texts = open_scene(data, step), text_features(data)
    encoder = text_encoder(open_network(data), texts)
    sets = {name: torch.from_numpy(geometric_sets(scene, kind)) for name, kind in SETS.items()}
    return Room(project(scene, encoder, texts), named_labels(scene), sets)
