"""Tests of pcl_data.splits.budgets."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_data import Scene
from pcl_data.splits import (
    annotation_budget,
    box_budget,
    every_nth_sequence_budget,
    every_nth_sweep_budget,
    limited_annotations,
    limited_boxes,
    limited_reconstructions,
    listed_annotation_budget,
    listed_budget,
    random_sweep_budget,
    reconstruction_budget,
)

SCANNET = [f"scene{i:04d}_00" for i in range(1201)]
# Frames of the training sequences 00-07, 09, 10 of the KITTI odometry benchmark.
KITTI_SEQUENCES = {
    **{"00": 4541, "01": 1101, "02": 4661, "03": 801, "04": 271},
    **{"05": 2761, "06": 1101, "07": 1101, "09": 1591, "10": 1201},
}


def make_scene(name="room") -> Scene:
    boxes = np.array([[i, 0, 0, 0.5, 0.5, 0.5, 0, 1] for i in range(5)], np.float32)
    points = boxes[np.arange(40) // 8, :3]
    return Scene(name, points, labels=np.ones(40, int), instances=np.arange(40) // 8, boxes=boxes)


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (reconstruction_budget(SCANNET, 0.01), "lr-1%-seed0"),
        (reconstruction_budget(SCANNET, 0.2, seed=2), "lr-20%-seed2"),
        (reconstruction_budget(SCANNET, 0.07), "lr-7%-seed0"),  # 100 * 0.07 is 7.000000000000001
        (annotation_budget(SCANNET, 20), "la-20pts-seed0"),
        (box_budget(SCANNET, 4, seed=1), "boxes-4-seed1"),
        (random_sweep_budget(SCANNET, 0.001), "lidar-0.1%-random-seed0"),
        (random_sweep_budget(SCANNET, 0.01), "lidar-1%-random-seed0"),
        (every_nth_sweep_budget(SCANNET, 100), "lidar-1%-every-100th"),
        (
            every_nth_sequence_budget({str(i): ["a"] for i in range(10)}, 10),
            "lidar-10%-every-10th-sequence",
        ),
    ],
)
def test_names_say_protocol_amount_and_seed(budget, name):
    assert budget.name == name


@pytest.mark.parametrize(
    ("count", "percent"),
    [
        (12, "1%"),
        (150, "12%"),
        (60, "5%"),
        (120, "10%"),
        (240, "20%"),
        (480, "40%"),
        (960, "80%"),
        (1201, "100%"),
    ],
)
def test_lists_are_named_by_their_part_and_file(tmp_path, count, percent):
    (tmp_path / "list.txt").write_text("\n".join(SCANNET[::-1][:count]))
    budget = listed_budget(tmp_path / "list.txt", SCANNET, "lr")
    assert budget.name == f"lr-{percent}-list:list.txt"
    assert budget.scenes == tuple(SCANNET[::-1][:count])
    budget = listed_budget(tmp_path / "list.txt", SCANNET, "lidar")
    assert budget.name == f"lidar-{percent}-list:list.txt"


def test_random_budgets_are_the_random_subsets():
    for make in (reconstruction_budget, random_sweep_budget):
        budget = make(SCANNET, 0.05, seed=3)
        assert budget.scenes == limited_reconstructions(SCANNET, fraction=0.05, seed=3)
        scene = make_scene(budget.scenes[0])
        assert budget.limit(scene) is scene


def test_points_and_boxes_are_limited_in_every_scene():
    scene = make_scene()
    budget = annotation_budget(["hall", "room"], 5, seed=3)
    assert budget.scenes == ("hall", "room")
    expected = limited_annotations(scene, 5, seed=3)
    np.testing.assert_array_equal(budget.limit(scene).labels, expected.labels)
    limited = box_budget(["room"], 2, seed=3).limit(scene)
    np.testing.assert_array_equal(limited.boxes, limited_boxes(scene, 2, seed=3).boxes)


def test_listed_points_are_kept(tmp_path):
    path = tmp_path / "points20.npz"
    np.savez(path, hall=np.arange(20), room=np.array([3, 8]))
    budget = listed_annotation_budget(path, ["hall", "room", "attic"])
    assert budget.name == "la-20pts-list:points20.npz"
    assert budget.scenes == ("hall", "room")
    assert np.flatnonzero(budget.limit(make_scene()).labels != -1).tolist() == [3, 8]


@pytest.mark.parametrize(
    "make",
    [lambda names: reconstruction_budget(names, 0.5), lambda names: annotation_budget(names, 5)],
)
def test_scenes_outside_the_budget_are_refused(make):
    budget = make(["attic", "hall"])
    with pytest.raises(
        ValueError, match=rf"scene must be one of the \d of {budget.name}, got 'room'"
    ):
        budget.limit(make_scene())


def test_budgets_go_to_worker_processes(tmp_path):
    np.savez(tmp_path / "points.npz", room=np.array([1]))
    for budget in (
        annotation_budget(["room"], 3),
        box_budget(["room"], 3),
        listed_annotation_budget(tmp_path / "points.npz", ["room"]),
    ):
        copy = pickle.loads(pickle.dumps(budget))
        expected = budget.limit(make_scene()).labels
        np.testing.assert_array_equal(copy.limit(make_scene()).labels, expected)


def test_every_hundredth_sweep_of_semantickitti():
    """The published loader sorts all files and takes 0, 100, 200 ... across the sequences."""
    names = [
        f"{sequence}/{frame:06d}" for sequence, n in KITTI_SEQUENCES.items() for frame in range(n)
    ]
    assert len(names) == 19_130
    scenes = every_nth_sweep_budget(names, 100).scenes
    assert len(scenes) == 192
    assert scenes[:2] == ("00/000000", "00/000100")
    assert scenes[46] == "01/000059"  # 4600 - 4541


def test_every_hundredth_sequence_of_nuscenes():
    """The published loader counts the scenes from 1 and takes those that 100 divides, whole."""
    sequences = {f"scene-{i}": [f"{i}/{k}" for k in range(1 + i % 3)] for i in range(1, 701)}
    scenes = every_nth_sequence_budget(sequences, 100).scenes
    assert scenes == tuple(
        name for i in (100, 200, 300, 400, 500, 600, 700) for name in sequences[f"scene-{i}"]
    )


@given(st.integers(1, 60), st.integers(1, 60))
def test_every_nth_is_the_nth_part(n, step):
    names = [str(i) for i in range(n)]
    scenes = every_nth_sweep_budget(names, min(step, n)).scenes
    assert [int(name) % min(step, n) for name in scenes] == [0] * len(scenes)
    assert len(scenes) == -(-n // min(step, n))


@pytest.mark.parametrize("step", [0, -1, 4])
def test_impossible_steps_are_rejected(step):
    with pytest.raises(
        ValueError, match=rf"step must lie in \[1, 3\], the names given, got {step}"
    ):
        every_nth_sweep_budget(["a", "b", "c"], step)
    sequences = {"a": ["1"], "b": ["2"], "c": ["3"]}
    with pytest.raises(
        ValueError, match=rf"step must lie in \[1, 3\], the sequences given, got {step}"
    ):
        every_nth_sequence_budget(sequences, step)
    with pytest.raises(ValueError, match=r"step must lie in \[1, 0\], the names given, got 1"):
        every_nth_sweep_budget([], 1)
