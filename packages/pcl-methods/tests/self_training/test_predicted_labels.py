from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pcl_data import SCANNET20, SEMANTICKITTI19, LabelSet
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.segmentation.inference import Classes
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.testing import FLOOR, make_room
from pcl_methods.self_training.predicted_labels import (
    with_predicted_labels,
    write_predicted_labels,
)

ROOMS = {f"room{i}": make_room(f"room{i}", i) for i in range(3)}


@dataclass(frozen=True)
class Oracle(Segmenter):
    """Stands for a network that knows the classes, and counts its calls."""

    network: SegmentationNetwork = field(
        default_factory=lambda: SegmentationNetwork(
            build_backbone("res16unet14a", 3, width=0.25), 20
        )
    )
    label_set: LabelSet = SCANNET20
    voxel_size: float = 0.08
    cluster_radius: float = 2.0
    calls: list[str] = field(default_factory=list)

    def __call__(self, scene):
        self.calls.append(scene.name)
        truth = ROOMS[scene.name].labels
        return Classes(truth, np.ones(len(truth), np.float32))


def bare(name):
    """A room as its owner has it: without annotations."""
    return replace(ROOMS[name], labels=None, instances=None)


@pytest.fixture
def split():
    budget = LabelBudget("lr-2-first", ("room0", "room1"))
    return SceneSplit("folder:a", SCANNET20, ("room0", "room1", "room2"), (), budget, bare)


def test_connected_parts_of_a_class_are_its_instances(split, tmp_path):
    write_predicted_labels(split, Oracle(), tmp_path, min_points=5)
    found = with_predicted_labels(split, tmp_path)
    scene, truth = found.load_labeled("room0", instances=True), ROOMS["room0"]
    np.testing.assert_array_equal(scene.labels, truth.labels)
    assert (scene.instances[truth.labels == FLOOR] == -1).all()
    for one in range(4):  # each box is one part, and its own
        inside = scene.instances[truth.instances == one]
        (number,) = np.unique(inside[inside >= 0])
        assert (inside >= 0).mean() > 0.9  # voxels that also hold floor may be the floor's
        assert (truth.instances[scene.instances == number] == one).all()


def test_scenes_that_are_not_learned_from_stay_as_they_are(split, tmp_path):
    write_predicted_labels(split, Oracle(), tmp_path)
    found = with_predicted_labels(split, tmp_path)
    assert found.load("room2").labels is None
    assert found.budget.name == "labelfree-2"
    assert found.unlabeled == ("room2",)


def test_labels_that_are_there_are_kept(split, tmp_path):
    network = Oracle()
    write_predicted_labels(split, network, tmp_path)
    write_predicted_labels(split, network, tmp_path)
    assert network.calls == ["room0", "room1"]


def test_other_classes_are_refused(split, tmp_path):
    with pytest.raises(ValueError, match="labels must be of the classes of folder:a, got a net"):
        write_predicted_labels(split, Oracle(label_set=SEMANTICKITTI19), tmp_path)


def test_damaged_labels_are_one_error_that_names_the_file(split, tmp_path):
    write_predicted_labels(split, Oracle(), tmp_path)
    found = with_predicted_labels(split, tmp_path)
    (tmp_path / "room0.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"room0\.npz: must be a whole file of labels, instances"):
        found.load("room0")
    np.savez(tmp_path / "room1.npz", labels=np.zeros(3, int), instances=np.zeros(3, int))
    with pytest.raises(ValueError, match=r"room1\.npz: must be of 3100 points, got \(3,\)"):
        found.load("room1")
