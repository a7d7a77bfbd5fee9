"""Detectors as a training and a scene see them: losses of a batch, boxes of a scene."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pcl_backbones import SparseDetector, SparseTensor, box_candidates, detection_loss
from pcl_backbones.sparse_detector import LocationPredictions
from pcl_data import Scene
from pcl_methods.detection.found_boxes import FoundBoxes, boxes_of_each_class
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
        boxes = batch["boxes"].split(batch["n_boxes"].tolist())
        ids = torch.tensor(self.classes, device=batch["boxes"].device)
        labels = [torch.searchsorted(ids, rows[:, 7].long()) for rows in boxes]
        found = detection_loss(self._predict(batch), [rows[:, :7] for rows in boxes], labels)
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
