"""Tests of pcl_synth.streets.cameras."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pcl_synth.streets import cameras, dataset, generate_sweep
from pcl_synth.streets.street import LABELS


@pytest.fixture(scope="module")
def scene():
    return generate_sweep(0, 0, 20, beams=64, cameras=True)


def _projected(scene, frame):
    """Rows of the points in the image, their pixels and their depths."""
    world_to_camera = np.linalg.inv(frame.camera_to_world)
    camera = scene.points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    rows = np.flatnonzero(camera[:, 2] > 0.5)
    pixels = np.round((camera[rows] @ frame.intrinsics.T)[:, :2] / camera[rows, 2:]).astype(int)
    inside = (pixels >= 0).all(axis=1) & (pixels < cameras.IMAGE_SIZE).all(axis=1)
    return rows[inside], pixels[inside], camera[rows[inside], 2]


def test_points_lie_at_the_depth_of_their_pixels(scene):
    for frame in scene.frames:
        rows, (x, y), depth = (a.T for a in _projected(scene, frame))
        seen = frame.depth[y, x]
        tolerance = 0.1 + 0.03 * depth  # noise, and half a pixel on slanted ground
        assert len(rows) > 2000
        assert (np.abs(seen - depth) < tolerance).mean() > 0.7  # the rest is hidden from the camera
        assert ((seen > 0) & (depth < seen - tolerance)).mean() < 0.05  # no camera sees through


def test_points_have_the_label_and_instance_of_their_pixels(scene):
    for frame in scene.frames:
        rows, (x, y), depth = (a.T for a in _projected(scene, frame))
        visible = np.abs(frame.depth[y, x] - depth) < 0.15
        rows, x, y = rows[visible], x[visible], y[visible]
        assert (frame.labels[y, x] == scene.labels[rows]).mean() > 0.95
        assert (frame.instances[y, x] == scene.instances[rows]).mean() > 0.95


def test_the_sky_has_no_depth_and_no_label(scene):
    for frame in scene.frames:
        sky = frame.depth == 0
        assert (frame.labels[sky] == -1).all()
        assert (frame.instances[sky] == -1).all()
    assert (scene.frames[0].depth[0] == 0).any()
    road = scene.frames[0].labels[-1] == LABELS.names.index("road")
    assert road.mean() > 0.3


def test_the_cameras_look_all_around_when_the_lidar_does():
    yaws = [camera.yaw for camera in cameras.CAMERAS]
    assert [camera.delay for camera in cameras.CAMERAS[:2]] == pytest.approx(
        [0.0, 0.0155556], abs=1e-6
    )
    for degrees in range(-180, 180, 5):
        covered = [
            abs((np.radians(degrees) - camera.yaw + np.pi) % (2 * np.pi) - np.pi) < camera.width / 2
            for camera in cameras.CAMERAS
        ]
        assert any(covered)
    assert len(set(yaws)) == 6


def test_a_mount_looks_where_its_camera_does():
    for camera in cameras.CAMERAS:
        rotation = camera.mount[:3, :3]
        assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        ahead, down = rotation[:, 2], rotation[:, 1]
        assert np.arctan2(ahead[1], ahead[0]) == pytest.approx(camera.yaw)
        assert down[2] < -0.99
        focal = camera.intrinsics[0, 0]
        assert 2 * np.arctan(cameras.IMAGE_SIZE[0] / 2 / focal) == pytest.approx(camera.width)


def test_images_of_a_moment_are_taken_where_the_car_is_then(scene):
    drive = dataset.drive_of(0, 0)
    for camera, frame in zip(cameras.CAMERAS, scene.frames, strict=True):
        (car,) = drive.poses(np.array([2.0 + camera.delay]))
        assert_allclose(
            scene.sensor_to_world @ frame.camera_to_world, car @ camera.mount, atol=1e-9
        )


def test_images_are_lit_and_not_flat(scene):
    for frame in scene.frames:
        assert 50 < frame.image.mean() < 220
        assert frame.image.std() > 15
        assert len(np.unique(frame.image.reshape(-1, 3), axis=0)) > 2000


def test_what_the_sun_does_not_reach_is_in_shadow():
    light = cameras._Light(np.random.default_rng(0))

    class Roof:
        def cast(self, origins, directions):
            assert_allclose(directions, np.broadcast_to(light.sun, directions.shape))
            assert (origins[:, 2] > 0).all()  # off the surface, so that it does not shade itself
            face = np.where(origins[:, 0] > 0, 0, -1)
            return type("Hit", (), {"face": face})

    points = np.array([[1, 0, 0], [-1, 0, 0], [2, 0, 0]], np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (3, 1))
    asked = np.array([True, True, False])
    in_shadow = getattr(cameras._Light._in_shadow, "__wrapped__", cameras._Light._in_shadow)
    assert in_shadow(light, Roof(), points, normals, asked).tolist() == [True, False, False]
