"""Tests of twist_cli.samples."""

import numpy as np
import torch

from pcl_data import Scene
from pcl_pseudolabel import PseudoLabelRecord
from twist_cli.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from twist_cli.samples import StepBatches, training_sample
from twist_cli.scenes import open_split


def settings(scans, **train) -> RunConfig:
    return RunConfig(
        data=DataConfig(root=scans, labeled=("scene0", "scene1"), validation=("scene5",)),
        model=ModelConfig(voxel_size=0.08),
        train=TrainConfig(steps=10, labeled_scenes=1, unlabeled_scenes=1, **train),
    )


def true_record(scene: Scene) -> PseudoLabelRecord:
    """Pseudo-labels that equal the truth."""
    centers = np.stack(
        [scene.points[scene.instances == i].mean(0) for i in range(scene.instances.max() + 1)]
    ).astype(np.float32)
    return PseudoLabelRecord(
        labels=np.array(scene.labels),
        proposals=np.array(scene.instances),
        centers=centers,
        scores=np.ones(len(centers), np.float32),
        proposal_labels=np.zeros(len(centers), np.int64),
    )


def test_a_batch_depends_on_the_step_alone(scans):
    config = settings(scans)
    split = open_split(config.data, 0)
    record = {name: true_record(split.load(name)) for name in split.unlabeled}
    first, again = (StepBatches(config, split, 1, record.__getitem__) for _ in range(2))
    first[3]
    for key, value in first[7].items():
        assert torch.equal(value, again[7][key]), key
    assert not torch.equal(first[7]["points"], first[8]["points"])


def test_an_epoch_visits_every_scene_once(scans):
    split = open_split(settings(scans).data, 0)
    batches = StepBatches(settings(scans), split, 0, None)
    for epoch in range(3):
        names = [batches._names(split.unlabeled, 1, 3 * epoch + step)[0] for step in range(3)]
        assert sorted(names) == sorted(split.unlabeled)


def test_labeled_scenes_come_first(scans):
    config = settings(scans)
    split = open_split(config.data, 0)
    batch = StepBatches(config, split, 1, lambda name: true_record(split.load(name)))[0]
    assert torch.equal(batch["is_labeled"], batch["batch_index"] == 0)
    assert set(batch["batch_index"].tolist()) == {0, 1}


def test_targets_of_true_pseudo_centers_equal_those_of_instances(scans):
    """Rotation, scale and flip move a centre as they move its points."""
    config = settings(scans, elastic=False)
    scene = open_split(config.data, 0).load("scene2")
    record = true_record(scene)
    samples = [
        training_sample(
            scene, scene.labels, scene.instances, centers, config, np.random.default_rng(5)
        )
        for centers in (None, record.centers)
    ]
    assert np.array_equal(samples[0]["points"], samples[1]["points"])
    # Centres are means over all points in one, over thinned points in the other.
    assert np.allclose(samples[0]["centers"], samples[1]["centers"], atol=0.03)
    has_instance = samples[0]["instances"] >= 0
    assert has_instance.any()
    assert np.abs(samples[0]["centers"][has_instance]).max() > 0.1


def test_elastic_distortion_moves_a_center_with_its_points(scans):
    config = settings(scans)
    scene = open_split(config.data, 0).load("scene2")
    record = true_record(scene)
    for seed in range(4):
        sample = training_sample(
            scene,
            record.labels,
            record.proposals,
            record.centers,
            config,
            np.random.default_rng(seed),
        )
        for instance in range(4):
            rows = sample["instances"] == instance
            mean = sample["points"][rows].mean(0)
            assert np.abs(sample["centers"][rows] - mean).max() < 0.1


def test_colors_are_centred_and_voxels_distinct(scans):
    config = settings(scans)
    batch = StepBatches(config, open_split(config.data, 0), 0, None)[0]
    assert batch["colors"].abs().max() <= 0.5
    assert len(torch.unique(batch["coords"], dim=0)) == len(batch["coords"])
