"""Tests of pcl_synth.rooms."""

import inspect
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pcl_data import SCANNET20
from pcl_synth.materials import Material
from pcl_synth.mesh import bounds, box, cushion, cylinder, rod, turned
from pcl_synth.ray_casting import Hits
from pcl_synth.rooms import (
    SyntheticRooms,
    dataset,
    generate_room,
    layout,
    scanner,
)
from pcl_synth.rooms.dataset import rooms_name
from pcl_synth.rooms.long_tail import LONG_TAIL
from pcl_synth.rooms.style import Style

ARRAYS = ("points", "colors", "normals", "labels", "instances")
PLAIN = Material("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1.0, 0.0)


@pytest.fixture(scope="module")
def rooms():
    return [generate_room(0, i, frames=True) for i in range(2)]


def test_same_seed_and_index_give_the_same_bits(rooms):
    again = generate_room(0, 1)
    for name in ARRAYS:
        assert_array_equal(getattr(again, name), getattr(rooms[1], name), strict=True)


def test_the_cache_gives_back_the_same_bits(rooms, tmp_path):
    data = SyntheticRooms(2, cache=tmp_path)
    for scene in (data[1], data[-1], SyntheticRooms(5, cache=tmp_path)[1]):
        assert scene.name == data.names[1] == rooms[1].name
        for name in ARRAYS:
            assert_array_equal(getattr(scene, name), getattr(rooms[1], name), strict=True)


def test_rooms_of_the_long_tail_are_cached_apart(tmp_path):
    data = SyntheticRooms(2, cache=tmp_path, vocabulary="long-tail", n_flat_rooms=1)
    assert [name[:9] for name in data.names] == ["flat_0000", "room_0001"]
    assert data.label_set is LONG_TAIL
    first = data[0]
    path = tmp_path / "synthetic-rooms-longtail-v1" / "seed-0" / data.names[0]
    assert path.is_dir()
    other = SyntheticRooms(1, cache=tmp_path, vocabulary="long-tail", n_flat_rooms=0)
    assert other.names[0] == data.names[0].replace("flat", "room")
    again = generate_room(0, 0, vocabulary="long-tail", flat=True)
    for name in ARRAYS:
        assert_array_equal(getattr(again, name), getattr(first, name), strict=True)
    is_thing = np.isin(first.labels, LONG_TAIL.things)
    assert_array_equal(first.instances >= 0, is_thing)
    assert len(np.unique(first.labels)) > 15
    sizes = np.bincount(first.instances[is_thing])
    assert np.mean(sizes[sizes > 0] >= 30) > 0.9


def test_flat_rooms_are_of_the_long_tail_alone(tmp_path):
    assert SyntheticRooms(1, cache=tmp_path).names[0].startswith("room_0000")


def test_names_of_rooms_in_a_score():
    assert rooms_name() == "rooms-v5"
    assert rooms_name("long-tail") == "rooms-longtail-v1"
    assert rooms_name("long-tail", 0) == "rooms-longtail-v1-flat0"
    for call in (rooms_name, inspect.unwrap(generate_room)):
        words = ("tail",) if call is rooms_name else (0, 0)
        named = {} if call is rooms_name else {"vocabulary": "tail"}
        with pytest.raises(
            ValueError, match="vocabulary must be scannet20 or long-tail, got 'tail'"
        ):
            call(*words, **named)


def test_a_cached_room_is_not_made_again(rooms, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "generate_room", lambda *_, **__: rooms[0])
    data = SyntheticRooms(1, cache=tmp_path)
    data.prepare()
    monkeypatch.setattr(dataset, "generate_room", None)
    data.prepare()
    assert len(list(data)) == 1


def test_losing_a_race_against_another_process_is_fine(rooms, tmp_path, monkeypatch):
    data = SyntheticRooms(1, cache=tmp_path)

    def slow(*_, **__):
        dataset.save_scene(rooms[0], data.cache / data.names[0])
        return rooms[0]

    monkeypatch.setattr(dataset, "generate_room", slow)
    assert data[0].name == rooms[0].name


def test_workers_make_the_same_rooms(rooms, tmp_path):
    data = SyntheticRooms(2, cache=tmp_path)
    data.prepare(n_workers=2)
    assert sorted(path.name for path in data.cache.iterdir()) == sorted(data.names)
    assert_array_equal(data[1].points, rooms[1].points)


def test_frames_are_kept_when_asked_for(rooms, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "generate_room", lambda *_, **__: rooms[0])
    scene = SyntheticRooms(1, cache=tmp_path, frames=True)[0]
    assert len(scene.frames) == scanner.N_FRAMES
    assert_array_equal(scene.frames[3].labels, rooms[0].frames[3].labels)
    assert generate_room(0, 1).frames == ()


def test_seeds_and_indices_differ(rooms):
    first, second = (
        layout.furnished_room("office", np.random.default_rng([dataset.VERSION, seed, 0]))
        for seed in (0, 1)
    )
    assert first.width != second.width
    assert not np.array_equal(rooms[1].points[:100], rooms[0].points[:100])


def test_five_rooms_in_a_row_hold_each_kind(tmp_path):
    names = SyntheticRooms(10, seed=3, cache=tmp_path).names
    for block in (names[:5], names[5:]):
        assert sorted(name.split("_")[2] for name in block) == sorted(layout.ROOM_KINDS)


def test_all_classes_are_furnished_in_ten_rooms():
    seen = set()
    for index in range(10):
        room = layout.furnished_room(layout.ROOM_KINDS[index % 5], np.random.default_rng(index))
        seen |= {item.label for item in room.items}
    assert seen == {*SCANNET20.names, None}


def test_size_of_a_room_is_in_range(rooms):
    for scene in rooms:
        assert 50_000 <= len(scene.points) <= 150_000
        assert 0.02 < (scene.labels == -1).mean() < 0.3
        assert np.ptp(scene.points[:, 2]) < 4
        assert_array_equal(np.linalg.norm(scene.normals, axis=1).round(4), 1)


def test_an_instance_has_one_label_and_stuff_has_none(rooms):
    for scene in rooms:
        pairs = np.unique(
            np.stack([scene.instances, scene.labels], 1)[scene.instances >= 0], axis=0
        )
        assert len(np.unique(pairs[:, 0])) == len(pairs) > 5
        is_thing = np.isin(scene.labels, SCANNET20.things)
        assert_array_equal(scene.instances >= 0, is_thing)


def test_the_floor_is_flat_and_faces_up(rooms):
    for scene in rooms:
        floor = scene.labels == SCANNET20.names.index("floor")
        assert abs(np.median(scene.points[floor, 2])) < 0.02
        assert np.quantile(np.abs(scene.points[floor, 2]), 0.9) < 0.08  # noise, thresholds
        assert np.median(scene.normals[floor, 2]) > 0.95
        wall = scene.labels == SCANNET20.names.index("wall")
        assert np.median(np.abs(scene.normals[wall, 2])) < 0.15


def test_a_frame_projected_back_lies_on_the_cloud(rooms):
    from scipy.spatial import cKDTree

    tree = cKDTree(rooms[0].points)
    for frame in rooms[0].frames[::8]:
        rows, columns = np.nonzero(frame.depth)
        pixels = np.stack([columns, rows, np.ones_like(rows)], axis=1)
        camera = pixels @ np.linalg.inv(frame.intrinsics).T * frame.depth[rows, columns, None]
        world = camera @ frame.camera_to_world[:3, :3].T + frame.camera_to_world[:3, 3]
        distance, nearest = tree.query(world)
        # half a voxel's diagonal, and depth noise at two metres of 6 mm
        assert np.median(distance) < 0.025
        assert np.quantile(distance, 0.9) < 0.08
        labels = frame.labels[rows, columns]
        assert (labels == rooms[0].labels[nearest]).mean() > 0.9


def test_depth_noise_grows_with_range_and_grazing_rays_are_lost():
    rng, n = np.random.default_rng(0), scanner.IMAGE_SIZE[0] * scanner.IMAGE_SIZE[1]

    def measure(depth, cosine):
        flat = np.full(n, depth, np.float32)
        hits = Hits(
            np.zeros(n, np.int64),
            flat,
            np.zeros((n, 3), np.float32),
            np.zeros((n, 3), np.float32),
            np.full(n, cosine, np.float32),
        )
        return scanner._measure(hits, np.zeros(n, np.float32), rng)

    near, far = measure(1.0, 1.0), measure(4.0, 1.0)
    assert np.std(near[near > 0]) == pytest.approx(0.0012 + 0.0019 * 0.36, rel=0.05)
    assert np.std(far[far > 0]) == pytest.approx(0.0012 + 0.0019 * 12.96, rel=0.05)
    assert (near == 0).mean() < 0.02
    assert (measure(1.0, 0.05) == 0).mean() > 0.7
    assert (measure(7.0, 1.0) == 0).all()


def test_objects_of_different_groups_do_not_overlap():
    for seed in range(3):
        room = layout.furnished_room("living", np.random.default_rng(seed))
        low, high = np.array(room.occupied).transpose(1, 0, 2)
        meets = (low[:, None] < high[None] - 0.011) & (high[:, None] > low[None] + 0.011)
        np.fill_diagonal(meets := meets.all(axis=2), False)
        assert not meets.any()


def test_primitives_fill_their_bounds():
    for part in (box((-1, 2), (0, 1), (3, 4), PLAIN), cushion((-1, 2), (0, 1), (3, 4), PLAIN)):
        np.testing.assert_allclose(bounds([part]), [[-1, 0, 3], [2, 1, 4]], atol=1e-9)
    disc = cylinder((1, 1), 0.5, (0, 2), PLAIN)
    np.testing.assert_allclose(bounds([disc]), [[0.5, 0.5, 0], [1.5, 1.5, 2]], atol=1e-9)
    bar = rod((0, 0, 0), (0, 0, 2), 0.1, PLAIN)
    np.testing.assert_allclose(bounds([bar])[:, 2], [0, 2], atol=1e-9)
    quarter = turned([box((0, 2), (0, 1), (0, 1), PLAIN)], np.pi / 2)
    np.testing.assert_allclose(bounds(quarter), [[-1, 0, 0], [0, 2, 1]], atol=1e-9)


def test_chairs_vary():
    from pcl_synth.rooms.seating import chair

    style = Style(np.random.default_rng(0))
    sizes = np.array([np.ptp(bounds(chair(style)), axis=0) for _ in range(50)])
    assert (sizes.std(axis=0) > 0.03).all()
    assert sizes.max() < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rooms": 0}, "n_rooms must be at least 1, got 0"),
        ({"n_rooms": 1, "seed": -1}, "seed must be at least 0, got -1"),
        ({"n_rooms": 1, "n_flat_rooms": -1}, "n_flat_rooms must be at least 0, got -1"),
    ],
)
def test_rejects(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        SyntheticRooms(**arguments, cache=tmp_path)


def test_rejects_no_workers_and_an_index_beyond_the_end(tmp_path):
    data = SyntheticRooms(2, cache=tmp_path)
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        data.prepare(0)
    with pytest.raises(IndexError):
        data[2]


def test_a_missing_ray_caster_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(ImportError, match=r"pip install embreex"):
        generate_room(0, 0)
