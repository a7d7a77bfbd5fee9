from dataclasses import replace

import numpy as np
import pytest
import torch

from pcl_backbones import save_weights
from pcl_clip3d import CorrelationTransformer
from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.labelfree.geometric_sets import geometric_sets
from pcl_methods.labelfree.image_labels import label_images
from pcl_methods.labelfree.learning import (
    LabelFreeTraining,
    cosine_by_epoch,
    label_batches,
    learn_from_images,
    published_optimizer,
    published_transformer_optimizer,
)
from pcl_methods.labelfree.objective import Clip2Scene, HierarchicalCorrelation, OpenScene, Phases
from pcl_methods.labelfree.samples import SampleOptions
from pcl_methods.labelfree.scoring import score_parts
from pcl_methods.labelfree.testing import TEXT_SPACE, ColorEncoder, color_text, make_posed_room
from pcl_methods.labelfree.text_network import (
    OpenVocabulary,
    classifier,
    load_open_vocabulary,
    save_text_head,
    text_network,
)
from pcl_methods.segmentation.network import build_backbone
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_run.cli import make_fabric
from pcl_run.config import Config
from pcl_run.loop import LoopOptions, fit
from pcl_run.run import Run

ROOMS = {f"room{i}": make_posed_room(f"room{i}", i) for i in range(4)}
SAMPLE = SampleOptions(voxel_size=0.1, n_samples=64)


def adam(part):
    return torch.optim.AdamW(part.parameters(), 0.01)


@pytest.fixture(scope="module")
def labels():
    return {
        name: label_images(room, ColorEncoder(), color_text(), geometric_sets(room))
        for name, room in ROOMS.items()
    }


def batches(labels, **how):
    names = ["room0", "room1", "room2"]
    given = {"refine": True, "batch_size": 2, "sample": SAMPLE, **how}
    return label_batches(names, ROOMS.__getitem__, labels.__getitem__, 20, **given)


def train(folder, objective, labels, n_steps=30, **how):
    run = Run.open(folder, Config(), **how)
    training = LabelFreeTraining(n_steps, 2, adam, adam)
    learn_from_images(run, make_fabric(), objective, batches(labels), training)
    return run


def hicl(seed=0):
    torch.manual_seed(seed)
    network = text_network(build_backbone("res16unet14a", 3, width=0.25, bn_momentum=0.1), 20)
    parts = [CorrelationTransformer(20, n_layers=1, n_heads=2) for _ in range(2)]
    return HierarchicalCorrelation(
        network,
        color_text(),
        intra=parts[0],
        inter=parts[1],
        feedback=True,
        phases=Phases(3, 6),
    )


def vocabulary_of(objective):
    text = objective.text_features
    network = classifier(objective.network, text).eval()
    segmenter = Segmenter(network, SCANNET20, voxel_size=0.1)
    return OpenVocabulary(segmenter, objective.network.eval(), text, TEXT_SPACE, {"clip": "none"})


@pytest.fixture(scope="module")
def trained(labels, tmp_path_factory):
    objective = hicl()
    run = train(tmp_path_factory.mktemp("run") / "run", objective, labels)
    return run, objective


def test_a_network_learns_classes_that_nobody_annotated(trained, labels):
    split = SceneSplit(
        "rooms", SCANNET20, (), ("room3",), LabelBudget("none", ()), ROOMS.__getitem__
    )
    rows = score_parts(split, labels.__getitem__, vocabulary_of(trained[1]), trained_on="rooms")
    scores = {row["step"]: row["miou"] for row in rows}
    assert list(scores) == ["projected labels", "refined in sets", "network", "2D-3D ensemble"]
    assert scores["network"] > 0.8
    assert 0.2 < scores["projected labels"] < scores["network"]  # not all points are seen
    assert all(row["f_protocol"] == row["protocol"] + "/foreground" for row in rows)
    assert rows[0]["protocol"].endswith("none")


def test_the_classifier_is_the_network_times_the_text(trained):
    found = vocabulary_of(trained[1])
    room = ROOMS["room3"]
    logits = found.features(room) @ found.text_features.T
    assert (logits.argmax(dim=1).numpy() == found.segmenter(room).labels).all()


def test_a_model_is_found_again_from_its_folder(trained, tmp_path):
    found = vocabulary_of(trained[1])
    card = {"kind": "labelfree", **found.segmenter.card("res16unet14a", 0.25)}
    save_weights(found.segmenter.network, tmp_path / "model.safetensors", card)
    save_text_head(tmp_path, found)
    again = load_open_vocabulary(tmp_path)
    room = ROOMS["room3"]
    torch.testing.assert_close(again.features(room), found.features(room))
    assert (again.text_space, again.images) == (TEXT_SPACE, {"clip": "none"})
    (tmp_path / "text_head.safetensors").unlink()
    with pytest.raises(ValueError, match=r"got no text_head\.safetensors"):
        load_open_vocabulary(tmp_path)


def test_a_resumed_training_ends_with_the_same_bits(trained, labels, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stopping(*args, **kwargs):
        def between(step):
            if step == 14:
                raise StoppedError

        return fit(*args, **kwargs, between=between)

    training = LabelFreeTraining(30, 2, adam, adam, options=LoopOptions(checkpoint_every=10))
    with monkeypatch.context() as patch:
        patch.setattr("pcl_methods.labelfree.learning.fit", stopping)
        with pytest.raises(StoppedError):
            learn_from_images(
                Run.open(tmp_path / "run", Config()),
                make_fabric(),
                hicl(),
                batches(labels),
                training,
            )
    resumed = hicl(seed=7)  # whose own weights must not matter
    run = Run.open(tmp_path / "run", Config(), resume=True)
    learn_from_images(run, make_fabric(), resumed, batches(labels), training)
    for name, value in trained[1].state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("kind", [Clip2Scene, OpenScene])
def test_the_peers_train(kind, labels, tmp_path):
    torch.manual_seed(0)
    network = text_network(build_backbone("res16unet14a", 3, width=0.25, bn_momentum=0.1), 20)
    objective = kind(network, color_text())
    train(tmp_path / "run", objective, labels, n_steps=30)
    found = vocabulary_of(objective)
    accuracy = (found.segmenter(ROOMS["room3"]).labels == ROOMS["room3"].labels).mean()
    assert accuracy > 0.8


def test_defaults_are_those_of_the_paper():
    defaults = LabelFreeTraining()
    assert defaults.n_steps == 120 * 1201 // 8
    part = torch.nn.Linear(2, 2)
    group = published_optimizer(part).param_groups[0]
    assert (group["lr"], group["momentum"], group["dampening"]) == (0.2, 0.9, 0.1)
    assert published_transformer_optimizer(part).param_groups[0]["lr"] == 2e-4


def test_the_rate_falls_by_epochs_to_nothing():
    factor = cosine_by_epoch(10)
    assert [factor(step, 100) for step in (0, 9)] == [1, 1]
    assert factor(99, 100) == pytest.approx((1 + np.cos(np.pi * 0.9)) / 2)


def test_labels_of_other_points_are_refused(labels):
    few = replace(labels["room0"], sets=labels["room0"].sets[:-1])
    made = label_batches(
        ["room0"], ROOMS.__getitem__, lambda name: few, 20, refine=False, batch_size=1
    )
    with pytest.raises(ValueError, match="must be of the 3100 points of scene room0, got 3099"):
        made[0]


def test_processes_share_a_batch_evenly(labels):
    with pytest.raises(ValueError, match="batch_size must be a multiple of 3 processes, got 2"):
        batches(labels, n_ranks=3)
