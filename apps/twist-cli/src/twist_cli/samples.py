"""Training batches: labelled scenes first, then scenes with their pseudo-labels."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from pcl_data import Scene
from pcl_methods.segmentation.batches import Sample, SceneBatches, SceneSource
from pcl_methods.segmentation.samples import training_sample
from pcl_pseudolabel import PseudoLabelRecord
from twist_cli.config import RunConfig
from twist_cli.scenes import Split

Load = Callable[[str], Scene]
LoadPseudo = Callable[[str], PseudoLabelRecord]


def step_batches(
    config: RunConfig,
    split: Split,
    round_: int,
    pseudo: LoadPseudo | None,
    *,
    rank: int = 0,
    n_ranks: int = 1,
) -> SceneBatches:
    """The batches of a round, functions of (seed, round, step) alone.

    `is_labeled` tells the voxels of labelled scenes from those of pseudo-labelled ones.
    """
    train, load = config.train, lru_cache(maxsize=64)(split.load)
    make = partial(_labeled_sample, config, load)
    sources = [SceneSource(split.labeled, train.labeled_scenes, make)]
    if pseudo is not None:
        make = partial(_pseudo_sample, config, load, pseudo)
        sources.append(SceneSource(split.unlabeled, train.unlabeled_scenes, make))
    return SceneBatches(sources, (config.seed, round_), rank=rank, n_ranks=n_ranks)


def _labeled_sample(config: RunConfig, load: Load, name: str, rng: np.random.Generator) -> Sample:
    scene = load(name)
    assert scene.labels is not None  # Split.load has checked
    sample = _sample(config, scene, scene.labels, scene.instances, None, rng)
    return sample | {"is_labeled": np.ones(len(sample["labels"]), bool)}


def _pseudo_sample(
    config: RunConfig, load: Load, pseudo: LoadPseudo, name: str, rng: np.random.Generator
) -> Sample:
    record = pseudo(name)
    sample = _sample(config, load(name), record.labels, record.proposals, record.centers, rng)
    return sample | {"is_labeled": np.zeros(len(sample["labels"]), bool)}


def _sample(
    config: RunConfig,
    scene: Scene,
    labels: np.ndarray,
    groups: np.ndarray | None,
    centers: np.ndarray | None,
    rng: np.random.Generator,
) -> Sample:
    return training_sample(
        scene,
        labels,
        groups,
        centers,
        rng,
        voxel_size=config.model.voxel_size,
        elastic=config.train.elastic,
        annotated_first=False,  # -1 is a decision here: no class of the set, or none to trust
    )
