"""How much of the classes a backbone knows as it stands: probes on its features."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pcl_contrastive import fit_linear_probe, knn_probe
from pcl_data import LabelSet, Scene
from pcl_data.evaluation import ScoreProtocol, SemanticEvaluator
from pcl_methods.segmentation.encoding import EncodedScene

Encode = Callable[[Scene], EncodedScene]
Classify = Callable[[Tensor], Tensor]
Probe = Callable[[Tensor, Tensor], Classify]


def neighbors(features: Tensor, labels: Tensor, *, n_neighbors: int = 20) -> Classify:
    """A probe: what the nearest voxels vote for."""
    return partial(knn_probe, features, labels, n_neighbours=n_neighbors)


PROBES: dict[str, Probe] = {"knn": neighbors, "linear": fit_linear_probe}


def probe_scores(
    encode: Encode,
    probes: Mapping[str, Probe],
    labeled: Iterable[Scene],
    held_out: Iterable[Scene],
    label_set: LabelSet,
    *,
    max_voxels: int = 50_000,
    protocol: ScoreProtocol = ScoreProtocol(views=1),
) -> dict[str, dict[str, Any]]:
    """mIoU and mAcc of each probe on every point of held-out scenes; each scene is encoded once.

    Args:
        encode: features of a scene, such as `partial(encode_scene, backbone, voxel_size=0.02)`.
        probes: (features, labels) -> a function from other features to labels, by name (`PROBES`).
        labeled: scenes that they learn from.
        held_out: scenes with labels.
        label_set: of the labels.
        max_voxels: labeled voxels that they learn from; of more, so many are drawn, always the
            same.
        protocol: how the scores were made, for their name.

    Raises:
        ValueError: if a held-out scene has no labels, or no labeled one has any.
    """
    known = [encode(scene) for scene in labeled]
    rows = torch.cat([one.features for one in known])
    labels = torch.cat([one.labels for one in known]).to(rows.device)
    kept = _drawn(labels, max_voxels)
    fitted = {name: probe(rows[kept], labels[kept]) for name, probe in probes.items()}
    evaluators = {name: SemanticEvaluator(label_set, protocol=protocol) for name in probes}
    for scene in held_out:
        if scene.labels is None:
            raise ValueError(f"scene {scene.name} must have labels to be scored, got none")
        encoded = encode(scene)
        for name, classify in fitted.items():
            found = classify(encoded.features).cpu()
            evaluators[name].update(scene.labels, found[encoded.inverse].numpy())
    results = {name: evaluator.compute() for name, evaluator in evaluators.items()}
    return {
        name: {"miou": result.miou, "macc": result.macc, "protocol": result.protocol}
        for name, result in results.items()
    }


def _drawn(labels: Tensor, count: int) -> Tensor:
    """At most so many of the labeled rows, always the same."""
    kept = torch.nonzero(labels >= 0).flatten().cpu()
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))
    return kept[order[:count]].to(labels.device)
