"""A trained network as a function of a scene, and the card by which it is found again."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from pcl_data import LabelSet, Scene
from pcl_methods.cards import SegmenterCard, read_label_set, reading_card, trained_card
from pcl_methods.checking import SceneNeeds
from pcl_methods.segmentation.features import FEATURES, FeatureKind
from pcl_methods.segmentation.inference import (
    Classes,
    find_classes,
    find_instances,
    predict_scene,
    propose,
)
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.weights import load_initial_weights, weights_file


@dataclass(frozen=True)
class Segmenter:
    """Classes of every point of a scene and, where the network predicts offsets, instances.

    Args:
        network: with a semantic head.
        label_set: of its classes.
        voxel_size: metres.
        features: what the network reads of a point.
        cluster_radius: of instances, voxels.
        min_points: voxels of an instance.
        views: of a scene, turned and tilted, that are averaged (`view_rotations`).

    Example:
        >>> from pcl_data import SCANNET20
        >>> from pcl_methods.segmentation.testing import make_room
        >>> network = SegmentationNetwork(build_backbone("res16unet14a", 3, width=0.25), 20)
        >>> segmenter = Segmenter(network, SCANNET20, voxel_size=0.1)
        >>> len(segmenter(make_room("room", 0)).labels)
        3100
    """

    network: SegmentationNetwork
    label_set: LabelSet
    voxel_size: float
    features: FeatureKind = "colors"
    cluster_radius: float = 1.5
    min_points: int = 50
    views: int = 1

    @property
    def stuff(self) -> tuple[int, ...]:
        """Classes without instances."""
        return self.label_set.stuff

    def check(self, scene: Scene) -> None:
        """Return quietly if the network can read a scene.

        Raises:
            ValueError: if it lacks the features, or spans too many voxels.
        """
        SceneNeeds(self.voxel_size, self.features).check(scene)

    def __call__(self, scene: Scene) -> Classes:
        """The classes of a scene, `Instances` where the network predicts offsets."""
        prediction = predict_scene(
            self.network,
            scene,
            voxel_size=self.voxel_size,
            features=self.features,
            device=next(self.network.parameters()).device,
            views=self.views,
        )
        voxels = prediction.voxels
        if voxels.offsets is None:
            return find_classes(prediction)
        proposals = propose(
            prediction.points,
            voxels.logits,
            voxels.offsets,
            prediction.batch_index,
            radius=self.cluster_radius * self.voxel_size,
            min_points=self.min_points,
            stuff=self.stuff,
        )
        return find_instances(prediction, proposals)

    def card(self, backbone: str, width: float, *, head_layers: int = 1) -> dict[str, Any]:
        """What `load_segmenter` needs to build it again, of JSON values.

        Args:
            backbone: its name in `BACKBONES`.
            width: factor on its channels.
            head_layers: of the semantic head.
        """
        return {
            "network": {
                "backbone": backbone,
                "width": width,
                "features": self.features,
                "head_layers": head_layers,
                "offsets": self.network.offset_head is not None,
            },
            "voxel_size": self.voxel_size,
            "cluster_radius": self.cluster_radius,
            "min_points": self.min_points,
            "views": self.views,
            "label_set": asdict(self.label_set),
        }


def load_segmenter(model: Path, device: torch.device | str = "cpu") -> Segmenter:
    """The network of a finished run of any app, or of its weights file, in evaluation mode.

    Raises:
        ValueError: if there is no such file, or it is of no network that labels points.
    """
    path = weights_file(model)
    stored = trained_card(path)
    if "network" not in stored or "label_set" not in stored:
        kind = stored.get("kind", "a file without a card")
        raise ValueError(f"model must be a network that labels points, got {kind} in {path}")
    with reading_card(path):
        card = SegmenterCard.model_validate(stored)
        label_set, settings = read_label_set(card.label_set), card.network
        network = SegmentationNetwork(
            build_backbone(settings.backbone, FEATURES[settings.features], width=settings.width),
            label_set.n_classes,
            offsets=settings.offsets,
            head_layers=settings.head_layers,
        )
    report = load_initial_weights(network, path)
    if report.fresh or any(not name.startswith("recorrector.") for name in report.unused):
        raise ValueError(f"model must be whole, got {report}")
    return Segmenter(
        network.to(device).eval(),
        label_set,
        voxel_size=card.voxel_size,
        features=settings.features,
        cluster_radius=card.cluster_radius,
        min_points=card.min_points,
        views=card.views,
    )
