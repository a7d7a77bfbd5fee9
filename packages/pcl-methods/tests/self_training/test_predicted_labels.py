from dataclasses import replace

import numpy as np
import pytest

from pcl_backbones import save_weights
from pcl_data import SCANNET20, SEMANTICKITTI19
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.labelfree.classes import class_texts
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.labelfree.label_store import LabelStore
from pcl_methods.segmentation.network import SegmentationNetwork, build_backbone
from pcl_methods.segmentation.segmenter import Segmenter
from pcl_methods.segmentation.testing import FLOOR, make_room
from pcl_methods.self_training.predicted_labels import (
    open_labeler,
    with_predicted_labels,
    write_predicted_labels,
)

ROOMS = {f"room{i}": make_room(f"room{i}", i) for i in range(3)}


CALLS = []


def truth_of(scene):
    """Stands for somebody who knows the classes; `CALLS` counts."""
    CALLS.append(scene.name)
    return ROOMS[scene.name].labels


def write(split, folder, find=truth_of, **how):
    write_predicted_labels(split, find, folder, voxel_size=0.08, cluster_radius=2.0, **how)


def bare(name):
    """A room as its owner has it: without annotations."""
    return replace(ROOMS[name], labels=None, instances=None)


@pytest.fixture
def split():
    budget = LabelBudget("lr-2-first", ("room0", "room1"))
    return SceneSplit("folder:a", SCANNET20, ("room0", "room1", "room2"), (), budget, bare)


def test_connected_parts_of_a_class_are_its_instances(split, tmp_path):
    write(split, tmp_path, min_points=5)
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
    write(split, tmp_path)
    found = with_predicted_labels(split, tmp_path)
    assert found.load("room2").labels is None
    assert found.budget.name == "labelfree-2"
    assert found.unlabeled == ("room2",)


def test_labels_that_are_there_are_kept(split, tmp_path):
    CALLS.clear()
    write(split, tmp_path)
    write(split, tmp_path)
    assert CALLS == ["room0", "room1"]


def save_network(path, label_set=SCANNET20):
    network = SegmentationNetwork(
        build_backbone("res16unet14a", 3, width=0.25), label_set.n_classes
    )
    segmenter = Segmenter(network.eval(), label_set, voxel_size=0.08)
    save_weights(network, path / "model.safetensors", card=segmenter.card("res16unet14a", 0.25))
    return segmenter


def test_a_network_tells_classes(split, tmp_path):
    segmenter, scene = save_network(tmp_path), bare("room0")
    np.testing.assert_array_equal(open_labeler(tmp_path, split)(scene), segmenter(scene).labels)


def save_images(folder, names=("room0", "room1"), label_set=SCANNET20):
    """Labels of the images of rooms, each point seen once; sets are the instances."""
    store = LabelStore(folder, {"classes": class_texts(label_set), "encoder": "any"})
    for name in names:
        room, n = ROOMS[name], len(ROOMS[name].points)
        rng, rows = np.random.default_rng(0), np.arange(n)
        labels = np.where(rng.random(n) < 0.3, 5, room.labels)
        features = np.zeros((room.instances.max() + 1, 4), np.float32)
        ones = np.ones(n, np.float32)
        store.save(name, ImageLabels(rows, 0 * rows, labels, ones, room.instances, features))


def test_images_vote_in_sets(split, tmp_path):
    save_images(tmp_path)
    found, room = open_labeler(tmp_path, split)(bare("room1")), ROOMS["room1"]
    in_set = room.instances >= 0
    np.testing.assert_array_equal(found[in_set], room.labels[in_set])
    assert 0.2 < (found[~in_set] == 5).mean() < 0.4  # of no set: as it was seen


def test_images_of_other_classes_or_points_are_refused(split, tmp_path):
    save_images(tmp_path)
    find = open_labeler(tmp_path, split)
    few = replace(bare("room0"), points=ROOMS["room0"].points[:9], colors=None, normals=None)
    with pytest.raises(ValueError, match="image labels must be of the 9 points of scene room0"):
        find(few)
    save_images(tmp_path, label_set=SEMANTICKITTI19)
    with pytest.raises(ValueError, match="holds labels made with classes"):
        find(bare("room0"))


def test_a_folder_that_lacks_a_scene_is_refused(split, tmp_path):
    save_images(tmp_path, ("room0",))
    with pytest.raises(ValueError, match="a file of each of the 2 labeled scenes, got none of roo"):
        open_labeler(tmp_path, split)


def test_other_classes_are_refused(split, tmp_path):
    save_network(tmp_path, SEMANTICKITTI19)
    with pytest.raises(ValueError, match="labels must be of the classes of folder:a, got a net"):
        open_labeler(tmp_path, split)


def test_damaged_labels_are_one_error_that_names_the_file(split, tmp_path):
    write(split, tmp_path)
    found = with_predicted_labels(split, tmp_path)
    (tmp_path / "room0.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"room0\.npz: must be a whole file of labels, instances"):
        found.load("room0")
    np.savez(tmp_path / "room1.npz", labels=np.zeros(3, int), instances=np.zeros(3, int))
    with pytest.raises(ValueError, match=r"room1\.npz: must be of 3100 points, got \(3,\)"):
        found.load("room1")
