"""A scene through a network: classes and instances for every input point."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from pcl_backbones import SparseTensor, predict_tiled
from pcl_data import Scene, VoxelGrid
from pcl_methods.segmentation.features import FeatureKind, point_features
from pcl_methods.segmentation.network import VoxelPrediction
from pcl_methods.segmentation.scene_grid import scene_grid
from pcl_pseudolabel import cluster_proposals, proposal_confidence, vote_proposal_labels

MAX_VOXELS = 1_000_000  # of a scene that is seen whole
TILE, BLEND, CONTEXT = 384, 32, 32  # voxels, of larger ones


@dataclass(frozen=True)
class ScenePrediction:
    """What a network says of the voxels of one scene, without augmentation."""

    points: Tensor  # (v, 3) the point that represents each voxel
    features: Tensor  # (v, c) what the network read
    inverse: Tensor  # (n,) the voxel of each input point
    voxels: VoxelPrediction

    @property
    def batch_index(self) -> Tensor:
        """The scene of each voxel, (v,): there is one."""
        return self.points.new_zeros(len(self.points), dtype=torch.int64)


@dataclass(frozen=True)
class Classes:
    """The class of every input point."""

    labels: np.ndarray  # (n,) train ids
    confidence: np.ndarray  # (n,) softmax of the class


@dataclass(frozen=True)
class Instances(Classes):
    """A class and an instance for every input point."""

    instances: np.ndarray  # (n,) -1 none
    instance_labels: np.ndarray  # (m,)
    scores: np.ndarray  # (m,) mean softmax of the class over the instance

    def masks(self) -> list[np.ndarray]:
        """The input points of each instance."""
        order = np.argsort(self.instances, kind="stable")
        edges = np.searchsorted(self.instances[order], np.arange(len(self.scores) + 1))
        return [order[first:last] for first, last in pairwise(edges)]


@torch.inference_mode()
def predict_scene(
    network: nn.Module,
    scene: Scene,
    *,
    voxel_size: float,
    features: FeatureKind,
    device: torch.device,
    views: int = 1,
    max_voxels: int = MAX_VOXELS,
) -> ScenePrediction:
    """The network in evaluation mode on one scene; a voxel reads its first point.

    A scene that stands upright along the axes is one that training hardly shows: with several views
    it is turned and tilted (`view_rotations`), and a voxel has the mean of what the network says of
    its first point. A scene of more than `max_voxels` is seen in overlapping tiles, whose results
    are blended (`predict_tiled`), so that memory does not grow with it.

    Args:
        network: called with coords and features, gives a `VoxelPrediction`; stays in evaluation
            mode.
        scene: points in metres, with the features that are asked for.
        voxel_size: metres.
        features: what the network reads (`point_features`).
        device: of the network.
        views: of the scene.
        max_voxels: of a scene that is seen whole.
    """
    network.eval()
    values = point_features(scene, features)
    grid = scene_grid(scene.points, voxel_size)
    arrays = (
        np.ascontiguousarray(scene.points[grid.index]),
        values[grid.index],
        grid.inverse,
    )
    points, of_voxels, inverse = (torch.from_numpy(array).to(device) for array in arrays)
    if views == 1:
        voxels = _predict_voxels(network, grid, values, device, max_voxels)
        return ScenePrediction(points, of_voxels, inverse, voxels)
    found = []
    for rotation in view_rotations(views):
        turned = scene_grid(scene.points @ rotation.T, voxel_size)
        seen = _predict_voxels(network, turned, values, device, max_voxels)
        rows = torch.from_numpy(turned.inverse[grid.index]).to(device)
        offsets = seen.offsets
        if offsets is not None:  # back into the scene
            offsets = offsets[rows] @ torch.from_numpy(rotation).to(offsets)
        found.append(VoxelPrediction(seen.features[rows], seen.logits[rows], offsets))
    return ScenePrediction(points, of_voxels, inverse, _mean_prediction(found))


def view_rotations(count: int) -> list[Float[np.ndarray, "3 3"]]:
    """How a scene is turned for each of its views: once, as it stands.

    Several views are spread over a full turn about the vertical axis, from 20 degrees on, and are
    tilted by 1 and 2 degrees in turn, so that no wall and no floor lies along voxels.

    Raises:
        ValueError: if there is no view.

    Example:
        >>> view_rotations(1)[0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if count == 1:
        return [np.eye(3, dtype=np.float32)]
    angles = [(20 + 360 * view / count, 1 + view % 2) for view in range(count)]
    return [
        Rotation.from_euler("zx", pair, degrees=True).as_matrix().astype(np.float32)
        for pair in angles
    ]


def _mean_prediction(views: list[VoxelPrediction]) -> VoxelPrediction:
    features = torch.stack([view.features for view in views]).mean(dim=0)
    logits = torch.stack([view.logits for view in views]).mean(dim=0)
    offsets = [view.offsets for view in views if view.offsets is not None]
    return VoxelPrediction(features, logits, torch.stack(offsets).mean(dim=0) if offsets else None)


def _predict_voxels(
    network: nn.Module,
    grid: VoxelGrid,
    values: np.ndarray,
    device: torch.device,
    max_voxels: int,
) -> VoxelPrediction:
    """What a network says of the voxels of a scene, in tiles if they are many."""
    arrays = (np.insert(grid.coords, 0, 0, axis=1), values[grid.index])
    coords, features = (torch.from_numpy(array).to(device) for array in arrays)
    if len(coords) > max_voxels:
        return _predict_in_tiles(network, coords, features)
    return network(coords, features)


def _predict_in_tiles(network: nn.Module, coords: Tensor, features: Tensor) -> VoxelPrediction:
    """What the network says of a scene too large for it."""
    widths: list[int] = []

    def joined(x: SparseTensor) -> SparseTensor:
        parts = [part for part in network(x.coords, x.features) if part is not None]
        widths[:] = [part.shape[1] for part in parts]
        return SparseTensor(x.coords, torch.cat(parts, dim=1))

    found = predict_tiled(
        joined, coords, features, tile=TILE, blend=BLEND, context=CONTEXT, device=coords.device
    )
    parts = found.split(widths, dim=1)
    return VoxelPrediction(parts[0], parts[1], parts[2] if len(parts) == 3 else None)


def propose(
    points: Tensor,
    logits: Tensor,
    offsets: Tensor,
    batch_index: Tensor,
    *,
    radius: float,
    min_points: int,
    stuff: Collection[int] = (),
) -> Tensor:
    """The proposal of each voxel, -1 none: voxels of one class whose moved points lie close.

    Args:
        points: (v, 3) metres.
        logits: (v, n_classes).
        offsets: (v, 3) predicted, metres.
        batch_index: (v,) the scene of each voxel.
        radius: metres; 1.5 voxels in the published work.
        min_points: voxels; smaller proposals are dropped.
        stuff: classes without instances, such as wall and floor.
    """
    return cluster_proposals(
        points + offsets,
        logits.argmax(dim=1),
        batch_index,
        radius=radius,
        min_points=min_points,
        ignore=stuff,
    )


@torch.inference_mode()
def find_classes(prediction: ScenePrediction) -> Classes:
    """The likeliest class of every input point."""
    return Classes(*_classes(prediction))


@torch.inference_mode()
def find_instances(
    prediction: ScenePrediction, proposals: Tensor, proposal_labels: Tensor | None = None
) -> Instances:
    """The instances of a scene as they are scored: disjoint, one class each (2.5 of CSC's code).

    An instance keeps its points of every input point; `min_region` is the evaluator's rule.

    Args:
        prediction: of the scene.
        proposals: (v,) of each voxel, -1 none (`propose`).
        proposal_labels: (m,) class of each; none: the commonest of its voxels.
    """
    logits = prediction.voxels.logits
    if proposal_labels is None:
        proposal_labels = vote_labels(logits, proposals)
    scores = proposal_confidence(logits.softmax(dim=1), proposals, proposal_labels)
    return Instances(
        *_classes(prediction),
        proposals[prediction.inverse].cpu().numpy(),
        proposal_labels.cpu().numpy(),
        scores.cpu().numpy(),
    )


def vote_labels(logits: Tensor, proposals: Tensor) -> Tensor:
    """The commonest class of each proposal's voxels, (m,)."""
    n_proposals = int(proposals.max()) + 1 if len(proposals) else 0
    return vote_proposal_labels(logits.argmax(dim=1), proposals, n_proposals)


def _classes(prediction: ScenePrediction) -> tuple[np.ndarray, np.ndarray]:
    """The class of every input point and its softmax."""
    confidence, labels = prediction.voxels.logits.softmax(dim=1).max(dim=1)
    inverse = prediction.inverse
    return labels[inverse].cpu().numpy(), confidence[inverse].cpu().numpy()
