"""Tests of pcl_synth.streets.dataset."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pcl_data import NUSCENES16, SEMANTICKITTI19, SEMANTICKITTI25
from pcl_data.testing import check_dataset
from pcl_synth.streets import SyntheticStreets, dataset, generate_sweep

ARRAYS = ("points", "labels", "instances", "boxes", "intensity", "times", "sensor_to_world")


@pytest.fixture(scope="module")
def sweeps():
    """Two sweeps of one street, a second apart, the first with images."""
    return generate_sweep(0, 0, 0, beams=32, cameras=True), generate_sweep(0, 0, 10, beams=32)


@pytest.fixture
def known(sweeps, monkeypatch):
    """Makes data sets take the sweeps above instead of making them again."""
    made = {(scene.name): scene for scene in sweeps}
    monkeypatch.setattr(
        dataset, "generate_sweep", lambda seed, i, tick, **_: made[dataset._name(i, tick)]
    )


def _same(scene, other):
    for name in ARRAYS:
        assert_array_equal(getattr(scene, name), getattr(other, name), strict=True)


def test_another_process_makes_the_same_bits(sweeps, tmp_path):
    data = SyntheticStreets(
        2, n_sweeps=1, beams=32, label_set=SEMANTICKITTI25, cache=tmp_path, stride=10
    )
    data.prepare(n_workers=2)
    _same(data[0], sweeps[0])  # and the points do not depend on the images
    assert not np.array_equal(data[0].points[:100], data[1].points[:100])


def test_sweeps_depend_on_the_beams_and_the_time(sweeps):
    first, later = sweeps
    assert len(first.points) != len(later.points)
    assert len(np.unique(first.times)) <= 1090
    assert not np.array_equal(first.sensor_to_world, later.sensor_to_world)


def test_images_do_not_depend_on_the_beams(sweeps):
    other = generate_sweep(0, 0, 0, beams=64, cameras=True)
    for frame, same in zip(sweeps[0].frames, other.frames, strict=True):
        assert_array_equal(frame.image, same.image)
        assert_array_equal(frame.depth, same.depth)


def test_names_tell_street_and_time():
    names = SyntheticStreets(2, n_sweeps=3, stride=5).names
    assert names[:2] == ["street_0000/000000", "street_0000/000005"]
    assert names[5] == "street_0001/000010"


def test_the_cache_gives_back_the_same_bits(known, sweeps, tmp_path):
    data = SyntheticStreets(
        1, n_sweeps=2, stride=10, beams=32, cameras=True, cache=tmp_path, label_set=SEMANTICKITTI25
    )
    data.prepare()
    for index, sweep in enumerate(sweeps):
        assert data[index].name == data.names[index] == sweep.name
        _same(data[index], sweep)
    frame, stored = sweeps[0].frames[3], data[0].frames[3]
    for name in ("image", "depth", "labels", "instances", "camera_to_world", "intrinsics"):
        assert_array_equal(getattr(stored, name), getattr(frame, name))


def test_keeps_the_promises_of_a_data_set(known, tmp_path):
    for label_set in (SEMANTICKITTI19, SEMANTICKITTI25):
        check_dataset(
            SyntheticStreets(
                1,
                n_sweeps=2,
                stride=10,
                beams=32,
                cameras=True,
                cache=tmp_path,
                label_set=label_set,
            )
        )


def test_a_cached_sweep_is_not_made_again(known, tmp_path, monkeypatch):
    data = SyntheticStreets(1, n_sweeps=2, stride=10, beams=32, cache=tmp_path)
    data.prepare()
    monkeypatch.setattr(dataset, "generate_sweep", None)
    data.prepare()
    assert len(list(data)) == 2
    assert SyntheticStreets(1, n_sweeps=1, beams=32, cache=tmp_path)[-1].name == data.names[0]


def test_losing_a_race_against_another_process_is_fine(sweeps, tmp_path, monkeypatch):
    data = SyntheticStreets(1, n_sweeps=1, cache=tmp_path)

    def slow(*_, **__):
        dataset.save_scene(sweeps[0], data.cache / data.names[0])
        return sweeps[0]

    monkeypatch.setattr(dataset, "generate_sweep", slow)
    assert data[0].name == sweeps[0].name


def test_nineteen_classes_forget_what_moves(known, sweeps, tmp_path):
    data = SyntheticStreets(1, n_sweeps=1, beams=32, cameras=True, cache=tmp_path)
    full = data.with_labels(SEMANTICKITTI25)[0]
    scene = data[0]
    for names, plain in (
        (SEMANTICKITTI25.names, "moving-car"),
        (SEMANTICKITTI25.names, "road"),
    ):
        here = full.labels == names.index(plain)
        expected = SEMANTICKITTI19.names.index(plain.removeprefix("moving-"))
        assert here.any()
        assert (scene.labels[here] == expected).all()
    assert_array_equal(scene.labels == -1, full.labels == -1)
    assert scene.boxes[:, 7].max() < 8
    assert_array_equal(scene.boxes[:, :7], full.boxes[:, :7])
    frame = scene.frames[0]
    raw = SEMANTICKITTI25.to_raw(full.frames[0].labels)
    assert_array_equal(frame.labels, SEMANTICKITTI19.to_train(raw))


def test_an_instance_has_one_label_and_stuff_has_none(sweeps):
    for scene in sweeps:
        pairs = np.unique(np.stack([scene.instances, scene.labels], 1), axis=0)
        pairs = pairs[pairs[:, 0] >= 0]
        assert len(np.unique(pairs[:, 0])) == len(pairs) > 10
        assert_array_equal(np.isin(scene.labels, SEMANTICKITTI25.things), scene.instances >= 0)


def _in_box(points, box, margin):
    cos, sin = np.cos(box[6]), np.sin(box[6])
    local = (points - box[:3]) @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return (np.abs(local) < box[3:6] / 2 + margin).all(axis=1)


def test_points_of_a_thing_lie_in_its_box(sweeps):
    for scene in sweeps:
        instances = np.unique(scene.instances[scene.instances >= 0])
        assert len(instances) == len(scene.boxes)
        for instance, box in zip(instances, scene.boxes, strict=True):
            mine = scene.instances == instance
            assert (scene.labels[mine] == box[7]).all()
            assert _in_box(scene.points[mine], box, 0.12).all()  # 6 times the noise of a range


def test_points_in_a_box_belong_to_its_thing(sweeps):
    for scene in sweeps:
        instances = np.unique(scene.instances[scene.instances >= 0])
        inside = others = 0
        for instance, box in zip(instances, scene.boxes, strict=True):
            upper = box.copy()
            upper[2] += 0.15  # not the ground under it
            upper[5] -= 0.3
            owner = scene.instances[_in_box(scene.points, upper, -0.05)]
            inside += len(owner)
            others += (owner != instance).sum()
        assert others < 0.02 * inside


def test_a_thing_that_stands_has_one_box_in_the_world_and_one_that_moves_moves(sweeps):
    where = []
    for scene in sweeps:
        instances = np.unique(scene.instances[scene.instances >= 0])
        pose = scene.sensor_to_world
        centers = scene.boxes[:, :3].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        labels = scene.boxes[:, 7].astype(int)
        where.append(dict(zip(instances, zip(centers, labels, strict=True), strict=True)))
    both = where[0].keys() & where[1].keys()
    assert len(both) > 5
    for instance in both:
        (before, label), (after, later) = (seen[instance] for seen in where)
        assert label == later
        moves = SEMANTICKITTI25.names[label].startswith("moving-")
        distance = np.linalg.norm(after - before)
        assert 0.5 < distance < 20 if moves else distance < 1e-3


def test_size_of_a_sweep_is_in_range(sweeps):
    for scene in sweeps:
        assert 20_000 < len(scene.points) <= 32 * 1090
        assert (scene.intensity >= 0).all()
        assert (scene.intensity <= 1).all()
        assert np.linalg.norm(scene.points, axis=1).max() < 90.2
        assert (scene.labels == -1).mean() < 0.1
        assert_allclose(np.linalg.det(scene.sensor_to_world[:3, :3]), 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_sequences": 0}, "n_sequences must be at least 1, got 0"),
        ({"n_sequences": 1, "seed": -1}, "seed must be at least 0, got -1"),
        ({"n_sequences": 1, "n_sweeps": 0}, "n_sweeps must be at least 1, got 0"),
        ({"n_sequences": 1, "stride": 0}, "stride must be at least 1, got 0"),
        ({"n_sequences": 1, "beams": 16}, "beams must be 32 or 64, got 16"),
        ({"n_sequences": 1, "n_sweeps": 41, "stride": 5}, "the 200 sweeps of a sequence, got 41"),
        ({"n_sequences": 1, "label_set": NUSCENES16}, "label_set must be .*, got nuscenes16"),
    ],
)
def test_rejects(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        SyntheticStreets(**arguments, cache=tmp_path)


def test_the_longest_sequence_is_taken():
    assert len(SyntheticStreets(1, n_sweeps=40, stride=5)) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 0), "seed must be at least 0, got -1"),
        ((0, -1, 0), "sequence must be at least 0, got -1"),
        ((0, 0, -1), "tick must be at least 0, got -1"),
        ((0, 0, 200), "tick must be below 200, got 200"),
    ],
)
def test_a_sweep_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_sweep(*arguments)


def test_rejects_no_workers_and_an_index_beyond_the_end(tmp_path):
    data = SyntheticStreets(1, n_sweeps=2, cache=tmp_path)
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        data.prepare(0)
    with pytest.raises(IndexError):
        data[2]


def test_a_missing_ray_caster_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(ImportError, match=r"pip install embreex"):
        dataset.tracer(np.zeros((1, 3, 3), np.float32))
