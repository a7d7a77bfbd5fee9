"""Detectors as a training and a scene see them: losses of a batch, boxes of a scene."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pcl_backbones import SparseDetector, SparseTensor, box_candidates, detection_loss
from pcl_backbones.box_detections import decode_proposals
from pcl_backbones.box_points import boxes_with_points
from pcl_backbones.sparse_detector import LocationPredictions
from pcl_backbones.sparse_seeds import SparseSeeds
from pcl_backbones.votenet import VoteNet, VoteNetOutput
from pcl_backbones.votenet_losses import votenet_loss
from pcl_backbones.votenet_targets import (
    N_VOTES,
    SceneTargets,
    batch_targets,
    targets_from_boxes,
)
from pcl_data import Scene
from pcl_methods.detection.found_boxes import (
    FoundBoxes,
    boxes_of_each_class,
    boxes_with_every_class,
)
from pcl_methods.detection.samples import BoxSampling, seen_points

Batch = Mapping[str, Tensor]


class BoxDetector(nn.Module, ABC):
    """A network that learns boxes and finds them."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss of a batch of `detection_sample`, and `loss`, what is minimised."""

    @abstractmethod
    def find(self, batch: Batch) -> FoundBoxes:
        """The boxes of a batch of one scene; the network is in evaluation mode."""


class VoteBoxDetector(BoxDetector):
    """VoteNet on points, or on voxels whose furthest points vote.

    Args:
        network: `SparseSeeds` or a network of points such as `PointNet2` is its backbone.
        classes: train id of each of its classes.
    """

    def __init__(self, network: VoteNet, classes: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """As `BoxDetector.losses`."""
        output = self._predict(batch)
        counts = batch["batch_index"].bincount().tolist()
        points = batch["points"].split(counts)
        owners = batch["of_point"].split(counts) if "of_point" in batch else [None] * len(counts)
        boxes = [rows[:, :7] for rows in batch["boxes"].split(batch["n_boxes"].tolist())]
        scenes = zip(points, owners, boxes, columns_of(batch, self.classes), strict=True)
        targets = [_scene_targets(*scene, n_classes=len(self.classes)) for scene in scenes]
        found = votenet_loss(output, batch_targets(targets, output.index), self.network.coding)
        parts = found._asdict()
        return {"loss": parts.pop("total"), **parts}

    def find(self, batch: Batch) -> FoundBoxes:
        """As `BoxDetector.find`; a box must hold five of the points."""
        [found] = decode_proposals(self._predict(batch).proposals, self.network.coding)
        kept = found.at(boxes_with_points(found.boxes, batch["points"]))
        boxes, objectness, probabilities = (part.cpu().numpy() for part in kept)
        return boxes_with_every_class(boxes, objectness, probabilities, self.classes)

    def _predict(self, batch: Batch) -> VoteNetOutput:
        points, features = batch["points"], batch["features"]
        if isinstance(self.network.backbone_net, SparseSeeds):
            return self.network(SparseTensor(batch["coords"], features), points)
        n_scenes = int(batch["coords"][-1, 0]) + 1
        columns = features.unflatten(0, (n_scenes, -1)).transpose(1, 2)
        return self.network(points.unflatten(0, (n_scenes, -1)), columns)


def columns_of(batch: Batch, classes: tuple[int, ...]) -> list[Tensor]:
    """The class of each box of a scene, as its place among ascending train ids."""
    ids = torch.tensor(classes, device=batch["boxes"].device)
    labels = torch.searchsorted(ids, batch["boxes"][:, 7].long())
    return list(labels.split(batch["n_boxes"].tolist()))


def _scene_targets(
    points: Tensor, owners: Tensor | None, boxes: Tensor, labels: Tensor, *, n_classes: int
) -> SceneTargets:
    """A point votes for the box of its instance, or for those it lies in where nobody knows."""
    if owners is None:
        return targets_from_boxes(points, boxes, labels, n_classes=n_classes)
    on_object = owners >= 0
    votes = torch.zeros_like(points)
    votes[on_object] = boxes[owners[on_object], :3] - points[on_object]
    return SceneTargets(votes[:, None].repeat(1, N_VOTES, 1), on_object, boxes, labels)


class SparseBoxDetector(BoxDetector):
    """The one-stage detector on voxels (FCAF3D, TR3D).

    Args:
        detector: the network.
        classes: train id of each of its classes.
    """

    def __init__(self, detector: SparseDetector, classes: tuple[int, ...]) -> None:
        super().__init__()
        self.detector, self.classes = detector, classes

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """As `BoxDetector.losses`."""
        boxes = [rows[:, :7] for rows in batch["boxes"].split(batch["n_boxes"].tolist())]
        found = detection_loss(self._predict(batch), boxes, columns_of(batch, self.classes))
        return {"loss": found.total, **found._asdict()}

    def find(self, batch: Batch) -> FoundBoxes:
        """As `BoxDetector.find`."""
        [found] = box_candidates(self._predict(batch))
        boxes, probabilities = (part.cpu().numpy() for part in found)
        return boxes_of_each_class(boxes, probabilities, self.classes)

    def _predict(self, batch: Batch) -> LocationPredictions:
        return self.detector(SparseTensor(batch["coords"], batch["features"]))


@torch.inference_mode()
def find_boxes(
    detector: BoxDetector, scene: Scene, sampling: BoxSampling, device: torch.device | str = "cpu"
) -> FoundBoxes:
    """The boxes of a scene, in its own coordinates.

    Args:
        detector: in evaluation mode.
        scene: with the features that it reads.
        sampling: what the detector sees of a scene.
        device: of the detector.
    """
    seen = seen_points(scene, sampling, np.random.default_rng(0))
    coords = torch.from_numpy(np.insert(seen.coords, 0, 0, axis=1))
    arrays = {"coords": coords, "points": seen.points, "features": seen.features}
    found = detector.find({k: torch.as_tensor(v).to(device) for k, v in arrays.items()})
    boxes = found.boxes.copy()
    boxes[:, :3] += seen.origin
    return FoundBoxes(boxes, found.scores)
