"""Labels of the points of a scene by what an image encoder sees in its frames.

Kang et al., "Hierarchical Intra-modal Correlation Learning for Label-free 3D Semantic
Segmentation", CVPR 2024, section 3.1: a pixel has the class whose text is nearest to its feature,
and gives it to the point that is seen there. Features of pixels are never kept: of each geometric
set there is the mean.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from pcl_clip3d import ImageEncoder, PixelPairs, pair_pixels, view_agreement, vote_in_sets
from pcl_data import Frame, Scene
from pcl_methods.labelfree.pixel_labels import PixelLabeling


@dataclass(frozen=True)
class Visibility:
    """When a point is seen in a frame (`pcl_clip3d.visible_points`).

    Args:
        absolute_tolerance: metres between the depth of a point and the one measured.
        relative_tolerance: share of the depth that is added to it; None is 0 for a measured depth
            and 0.05 where the points hide each other.
        border: pixels at the rim of an image that see nothing.
        near: metres in front of the camera that see nothing.
    """

    absolute_tolerance: float = 0.05
    relative_tolerance: float | None = None
    border: int = 0
    near: float = 0.0


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """What images say of one scene: a row for each point in each view that sees it.

    Args:
        point_index: (m,) int64 row in the scene.
        views: (m,) int64 number of the frame, ascending.
        labels: (m,) int64 class of the pixel.
        confidence: (m,) float32 softmax of the class, in [0, 1].
        sets: (n,) int64 geometric set of each point of the scene, -1 none.
        set_features: (s, d) float32 mean image feature of each set, unit; 0 where nobody saw it.
    """

    point_index: np.ndarray
    views: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    sets: np.ndarray
    set_features: np.ndarray

    def fused(self, labels: np.ndarray, n_classes: int) -> np.ndarray:
        """The class of each point by a vote of its views, (n,) int64; -1 where nobody saw it.

        Args:
            labels: (m,) of each row, those of the images or refined ones.
            n_classes: of the labels.
        """
        index = torch.from_numpy(self.point_index)
        fused = torch.full((len(self.sets),), -1)
        fused[index] = vote_in_sets(torch.from_numpy(labels), index, n_classes=n_classes)
        return fused.numpy()

    def voted(self, n_classes: int) -> np.ndarray:
        """The class of each point by a vote of all views of its set, (n,) int64, -1 none.

        A point of a set that somebody saw has a class; one of no set has that of its own views.

        Args:
            n_classes: of the labels.
        """
        of_row = self.sets[self.point_index]
        in_set, n_sets = of_row >= 0, len(self.set_features)
        places = of_row[in_set] * n_classes + self.labels[in_set]
        votes = np.bincount(places, minlength=n_sets * n_classes).reshape(n_sets, n_classes)
        classes = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
        table = np.append(classes, -1)  # -1 picks the last
        return np.where(self.sets >= 0, table[self.sets], self.fused(self.labels, n_classes))

    def check_points(self, scene: Scene) -> None:
        """Raise a ValueError unless the labels are of as many points as the scene has."""
        if len(self.sets) != len(scene.points):
            raise ValueError(
                f"image labels must be of the {len(scene.points)} points of scene {scene.name}, "
                f"got {len(self.sets)}: has the scene changed since?"
            )

    def agreeing(self, share: float, n_classes: int) -> "ImageLabels":
        """The rows of the points of whose views at least this share has one label.

        Args:
            share: in [0, 1].
            n_classes: of the labels.
        """
        index, labels = torch.from_numpy(self.point_index), torch.from_numpy(self.labels)
        agreement = view_agreement(index, labels, len(self.sets), n_classes=n_classes)
        kept = (agreement[index] >= share).numpy()
        names = ("point_index", "views", "labels", "confidence")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def dense_bytes(self, dim: int) -> int:
        """What the features of all rows would take in half precision."""
        return 2 * dim * len(self.labels)


@torch.inference_mode()
def label_images(
    scene: Scene,
    encoder: ImageEncoder,
    text_features: Tensor,
    sets: np.ndarray,
    *,
    visibility: Visibility = Visibility(),
    labeling: PixelLabeling = PixelLabeling(),
    agreement: float = 0.0,
) -> ImageLabels:
    """What the frames of a scene say of its points.

    Args:
        scene: with frames; where a frame has no depth, the points themselves hide each other, but
            those of a LiDAR sweep, without colours, are too sparse for that.
        encoder: of images.
        text_features: (c, d) of the classes, in the same space.
        sets: (n,) geometric set of each point, -1 none.
        visibility: when a point is seen.
        labeling: how a pixel gets its class.
        agreement: least share of the views of a point that must have one label; the rows of other
            points are left out.

    Raises:
        ValueError: if the scene has no frames, no frame sees a point, nothing agrees, or a frame's
            intrinsics do not fit its image.
    """
    if not len(scene.frames):
        raise ValueError(f"scene {scene.name} must have frames to be labeled, got none")
    points = torch.from_numpy(np.array(scene.points))
    occlusion = "none" if scene.colors is None else "buffer"
    means = _SetMeans(torch.from_numpy(np.array(sets)), text_features.shape[1])
    rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for number, frame in enumerate(scene.frames):
        pairs = frame_pairs(points, frame, visibility, occlusion)
        if len(pairs.point_index) == 0:
            continue
        image = torch.from_numpy(np.array(frame.image))
        told = labeling(encoder, image, pairs, text_features)
        means.add(pairs.point_index, told.features)
        index = pairs.point_index[told.kept]
        views = torch.full_like(index, number)
        rows.append((index, views, told.labels[told.kept], told.confidence[told.kept]))
    if not rows:
        raise ValueError(
            f"scene {scene.name} must have frames that see its points, got {len(scene.frames)} "
            "that see none: do their poses belong to these points?"
        )
    columns = [torch.cat(column).numpy() for column in zip(*rows, strict=True)]
    index, views, labels, confidence = columns
    set_features = means.compute().numpy()
    found = ImageLabels(index, views, labels, confidence, np.asarray(sets), set_features)
    if agreement:
        found = found.agreeing(agreement, len(text_features))
    if not len(found.labels):
        raise ValueError(
            f"scene {scene.name} must have labels that agree, got none: mirrored and agreement "
            "left all of them out"
        )
    return found


def frame_pairs(
    points: Tensor, frame: Frame, visibility: Visibility, occlusion: Literal["none", "buffer"]
) -> PixelPairs:
    """The points (n, 3) that a frame sees, and where; `occlusion` is of frames without depth."""
    depth = None if frame.depth is None else torch.from_numpy(np.array(frame.depth))
    return pair_pixels(
        points,
        torch.from_numpy(np.array(frame.intrinsics, np.float64)),
        torch.from_numpy(np.array(frame.camera_to_world, np.float64)),
        (frame.image.shape[0], frame.image.shape[1]),
        depth_image=depth,
        occlusion=occlusion,
        absolute_tolerance=visibility.absolute_tolerance,
        relative_tolerance=visibility.relative_tolerance,
        border=visibility.border,
        near=visibility.near,
    )


class _SetMeans:
    """Mean of the features of the points of each set, over all views."""

    def __init__(self, sets: Tensor, dim: int) -> None:
        self.sets = sets
        self.sums = torch.zeros(int(sets.max()) + 1 if len(sets) else 0, dim)

    def add(self, point_index: Tensor, features: Tensor) -> None:
        of_set = self.sets[point_index]
        self.sums.index_add_(0, of_set[of_set >= 0], normalize(features[of_set >= 0], dim=1))

    def compute(self) -> Tensor:
        return normalize(self.sums, dim=1)
