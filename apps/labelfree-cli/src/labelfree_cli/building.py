"""The configuration as arguments of the method: the one place where it is taken apart."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import AdamW

from labelfree_cli.config import ImagesConfig, RunConfig
from pcl_clip3d import CorrelationTransformer, DenseClip
from pcl_data import LabelSet
from pcl_data.splits import SceneSplit
from pcl_methods.labelfree.classes import class_texts, own_classes
from pcl_methods.labelfree.image_labels import Visibility
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.labelfree.learning import LabelFreeTraining, Objective, label_batches
from pcl_methods.labelfree.objective import (
    Clip2Scene,
    HierarchicalCorrelation,
    OpenScene,
    Phases,
)
from pcl_methods.labelfree.samples import SampleOptions
from pcl_methods.labelfree.text_network import text_network
from pcl_methods.segmentation.batches import SceneBatches
from pcl_methods.settings import build_backbone
from pcl_run.training import make_optimizer


def classes_of(config: RunConfig, split: SceneSplit) -> LabelSet:
    """What is looked for: the names that are given, or the classes of the data.

    Raises:
        ValueError: if there are neither.
    """
    if config.classes.names:
        return own_classes(config.classes.names)
    if split.label_set is None:
        raise ValueError(
            f"classes.names must name what to look for, as {split.data} has no classes of its own"
        )
    return split.label_set


def visibility_of(images: ImagesConfig) -> Visibility:
    """When a point is seen."""
    return Visibility(
        images.absolute_tolerance, images.relative_tolerance, images.border, images.near
    )


def store_of(config: RunConfig, root: Path, clip: DenseClip, label_set: LabelSet) -> LabelStore:
    """The image labels in a folder, of these settings."""
    made_by = {
        "encoder": clip.text_space,
        "classes": class_texts(label_set),
        "synonyms": config.classes.model_dump(mode="json")["synonyms"],
        "templates": list(config.classes.templates),
        "images": config.images.model_dump(mode="json", exclude={"clip", "labels", "attention"}),
        "attention": clip.attention,
    }
    return LabelStore(root, made_by)


def objective_of(config: RunConfig, text_features: Tensor) -> Objective:
    """Network and transformers with weights drawn from the seed."""
    torch.manual_seed(config.seed)
    method, dim = config.method, text_features.shape[1]
    network = text_network(build_backbone(config.model, config.data.features), dim)
    if method.name == "openscene":
        return OpenScene(network, text_features)
    if method.name == "clip2scene":
        return Clip2Scene(
            network,
            text_features,
            spatial=method.spatial,
            self_training_from=method.self_training_epoch,
        )
    layers = {"n_layers": method.n_layers, "n_heads": method.n_heads, "block": method.block}
    make: Any = partial(CorrelationTransformer, dim, **layers)
    return HierarchicalCorrelation(
        network,
        text_features,
        intra=make() if method.intra_scene else None,
        inter=make() if method.inter_scene else None,
        feedback=method.feedback,
        phases=Phases(method.correlation_epoch, method.feedback_epoch),
    )


def batches_of(
    config: RunConfig, split: SceneSplit, store: LabelStore, n_classes: int, fabric: Fabric
) -> SceneBatches:
    """The batches of this process."""
    method = config.method
    return label_batches(
        split.training,
        split.load,
        store.load,
        n_classes,
        refine=method.intra_set and method.name == "hicl",
        batch_size=config.train.batch_size,
        sample=SampleOptions(
            config.model.voxel_size,
            config.data.features,
            config.train.elastic,
            method.max_views,
            method.n_samples,
        ),
        seed=config.seed,
        rank=fabric.global_rank,
        n_ranks=fabric.world_size,
    )


def training_of(config: RunConfig) -> LabelFreeTraining:
    """How the network learns."""
    settings = config.train
    return LabelFreeTraining(
        settings.steps,
        settings.batch_size,
        partial(make_optimizer, settings=settings),
        lambda part: AdamW(part.parameters(), settings.transformer_learning_rate),
        config.seed,
        settings.loop_options(),
    )
