"""A trained detector as a function of a scene, and the card by which it is found again."""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from pcl_backbones import SparseDetector, load_weights
from pcl_backbones.box_coding import BoxCoding
from pcl_backbones.pointnet2 import PointNet2
from pcl_backbones.sparse_seeds import SparseSeeds
from pcl_backbones.votenet import VoteNet
from pcl_data import LabelSet, Scene
from pcl_methods.cards import MAX_WIDTH, read_label_set, reading_card, trained_card
from pcl_methods.checking import SceneNeeds
from pcl_methods.detection.detectors import (
    BoxDetector,
    SparseBoxDetector,
    VoteBoxDetector,
    find_boxes,
)
from pcl_methods.detection.found_boxes import FoundBoxes
from pcl_methods.detection.samples import BoxSampling
from pcl_methods.segmentation.features import FEATURES, FeatureKind
from pcl_methods.segmentation.network import BACKBONES
from pcl_methods.segmentation.weights import (
    InitialWeights,
    load_initial_weights,
    weights_file,
)

DetectorName = Literal["sparse", "votenet"]
SEED_CHANNELS = 256


class DetectorSizes(BaseModel):
    """What a detector is built of, as its card says it.

    Args:
        name: `sparse` (FCAF3D, TR3D) or `votenet`.
        backbone: of `BACKBONES`; VoteNet also has `pointnet2`.
        width: factor on the channels of the backbone and of the heads.
        bn_momentum: of the batch norms of a U-Net.
        strides: of the two levels of a sparse detector, in voxels.
        channels: of its head, at width 1.
        n_seeds: of VoteNet over a U-Net; PointNet++ has twice as many centers on its first level.
        n_proposals: of VoteNet.
        n_headings: bins of the heading; 1: boxes lie along the axes.
        mean_sizes: of each class, metres; VoteNet counts from them.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    name: DetectorName = "sparse"
    backbone: str = "res16unet34c"
    width: float = Field(1.0, gt=0, le=MAX_WIDTH)
    bn_momentum: float = Field(0.02, gt=0, le=1)
    strides: list[int] = [8, 16]
    channels: int = Field(128, ge=1, le=2**14)
    n_seeds: int = Field(1024, ge=16, le=2**20)
    n_proposals: int = Field(256, ge=1, le=2**16)
    n_headings: int = Field(1, ge=1, le=2**10)
    mean_sizes: list[list[float]] = []


def build_detector(
    sizes: DetectorSizes, classes: tuple[int, ...], sampling: BoxSampling
) -> BoxDetector:
    """A detector with weights drawn from torch's generator.

    Args:
        sizes: of what it is built.
        classes: train ids of its classes, ascending.
        sampling: what it sees of a scene.

    Raises:
        ValueError: if there is no such backbone, or not for this detector.
    """
    if sizes.name == "sparse":
        unet = _unet(sizes, sampling, None)
        detector = SparseDetector(
            unet,
            len(classes),
            voxel_size=sampling.voxel_size,
            strides=sizes.strides,
            channels=max(1, round(sizes.channels * sizes.width)),
            has_heading=sampling.oriented,
        )
        return SparseBoxDetector(detector, classes)
    channels = max(1, round(SEED_CHANNELS * sizes.width))
    if sizes.backbone == "pointnet2":
        n = sizes.n_seeds
        seeds: PointNet2 | SparseSeeds = PointNet2(
            FEATURES[sampling.features],
            out_channels=channels,
            width=sizes.width,
            counts=(2 * n, n, n // 2, n // 4),
        )
    else:
        seeds = SparseSeeds(_unet(sizes, sampling, channels), sizes.n_seeds)
    coding = BoxCoding(torch.tensor(sizes.mean_sizes), sizes.n_headings)
    network = VoteNet(
        seeds,
        coding,
        seed_channels=channels,
        width=sizes.width,
        n_proposals=sizes.n_proposals,
    )
    return VoteBoxDetector(network, classes)


def start_detector(detector: BoxDetector, init: Path, **expected: Any) -> InitialWeights:
    """Fill the U-Net of a detector from a run of any app, weights, or a published checkpoint.

    Args:
        detector: whose heads stay as they are.
        init: the weights.
        expected: what their card must say where it says it.

    Raises:
        ValueError: if the detector has no U-Net, or the weights are of another one.
    """
    if isinstance(detector, SparseBoxDetector):
        return load_initial_weights(detector.detector.backbone, init, expected=expected)
    assert isinstance(detector, VoteBoxDetector)  # there are no others
    seeds = detector.network.backbone_net
    if not isinstance(seeds, SparseSeeds):
        raise ValueError("init must be none for pointnet2, of which no weights are here yet")
    headless = copy.deepcopy(seeds.net)
    headless.register_module("final", None)
    found = load_initial_weights(headless, init, expected=expected)
    seeds.net.load_state_dict(headless.state_dict(), strict=False)
    return found


@dataclass(frozen=True, eq=False)
class BoxFinder:
    """The boxes of a scene.

    Args:
        detector: the network.
        label_set: its things are the classes of the detector.
        sampling: what the detector sees of a scene.
    """

    detector: BoxDetector
    label_set: LabelSet
    sampling: BoxSampling

    def check(self, scene: Scene) -> None:
        """Return quietly if the detector can read a scene.

        Raises:
            ValueError: if it lacks the features, or spans too many voxels.
        """
        SceneNeeds(self.sampling.voxel_size, self.sampling.features).check(scene)

    def __call__(self, scene: Scene) -> FoundBoxes:
        """The boxes of a scene, in its coordinates, most certain first."""
        device = next(self.detector.parameters()).device
        self.detector.eval()
        return find_boxes(self.detector, scene, self.sampling, device)

    def card(self, sizes: DetectorSizes) -> dict[str, Any]:
        """What `load_box_finder` needs to build it again, of JSON values."""
        sampling = self.sampling
        return {
            "detector": sizes.model_dump(mode="json"),
            "voxel_size": sampling.voxel_size,
            "n_points": sampling.n_points,
            "features": sampling.features,
            "oriented": sampling.oriented,
            "label_set": asdict(self.label_set),
        }


class FinderCard(BaseModel):
    """What it takes to use a detector on a scene."""

    model_config = ConfigDict(strict=True)

    detector: DetectorSizes
    voxel_size: float = Field(gt=0, allow_inf_nan=False)
    n_points: int | None = Field(ge=1, le=2**24)
    features: FeatureKind
    oriented: bool
    label_set: dict[str, Any]


def load_box_finder(model: Path, device: torch.device | str = "cpu") -> BoxFinder:
    """The detector of a finished run, or of its weights file, in evaluation mode.

    Raises:
        ValueError: if there is no such file, or it is of no detector.
    """
    path = weights_file(model)
    stored = trained_card(path)
    if "detector" not in stored:
        kind = stored.get("kind", "a file without a card")
        raise ValueError(f"model must be a detector, got {kind} in {path}")
    with reading_card(path):
        card = FinderCard.model_validate(stored)
        label_set = read_label_set(card.label_set)
        sampling = BoxSampling(
            card.voxel_size, card.n_points, features=card.features, oriented=card.oriented
        )
        detector = build_detector(card.detector, label_set.things, sampling)
    load_weights(detector, path)
    return BoxFinder(detector.to(device).eval(), label_set, sampling)


def _unet(sizes: DetectorSizes, sampling: BoxSampling, out_channels: int | None) -> nn.Module:
    if sizes.backbone not in BACKBONES:
        raise ValueError(
            f"backbone of the detector {sizes.name} must be one of {', '.join(BACKBONES)}, got "
            f"{sizes.backbone}"
        )
    return BACKBONES[sizes.backbone](
        FEATURES[sampling.features],
        out_channels,
        width=sizes.width,
        bn_momentum=sizes.bn_momentum,
    )
