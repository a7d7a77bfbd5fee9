"""Outdoor data sets and exports on real LiDAR sweeps; skipped where the recordings are absent."""

import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcl_data import SEMANTICKITTI19
from pcl_data.datasets import KittiObject, NuScenes, SemanticKitti
from pcl_data.export import write_nuscenes_submission, write_semantickitti_submission
from pcl_data.readers import read_nuscenes_lidarseg, read_semantickitti_labels
from pcl_data.rigid import transform_points
from pcl_data.testing import check_dataset

pytestmark = pytest.mark.real

SWEEPS = ["00/000000", "00/000001", "00/000002"]


@pytest.fixture(scope="module")
def kitti_sweeps(real_data):
    dataset = SemanticKitti(real_data / "semantickitti", SWEEPS)
    check_dataset(dataset)
    return list(dataset)


@pytest.fixture(scope="module")
def nuscenes_info(real_data):
    (path,) = (real_data / "nuscenes").glob("*.infos.json")
    return json.loads(path.read_text())["data_list"][0]


@pytest.fixture(scope="module")
def nuscenes(real_data, nuscenes_info):
    root, token = real_data / "nuscenes", nuscenes_info["token"]
    return NuScenes(root, [token], version="v1.0-test", cameras=True)


def of_class(scene, *names):
    return scene.points[np.isin(scene.labels, [SEMANTICKITTI19.names.index(n) for n in names])]


def inside(points, box):
    """Whether points lie in a box of `Scene.boxes`."""
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y, z = (points - box[:3]).T
    along = np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=1)
    return (np.abs(along) <= box[3:6] / 2).all(axis=1)


def test_the_road_is_flat_and_below_what_stands_on_it(kitti_sweeps):
    for scene in kitti_sweeps:
        road = of_class(scene, "road")
        road = road[np.linalg.norm(road[:, :2], axis=1) < 20]
        assert -2.1 < road[:, 2].mean() < -1.5  # the LiDAR is mounted at 1.73 m
        assert road[:, 2].std() < 0.25
        for name, margin in (("car", 0.4), ("building", 1.0), ("sidewalk", 0.03)):
            assert of_class(scene, name)[:, 2].mean() > road[:, 2].mean() + margin
        assert scene.intensity.min() >= 0
        assert 0.5 < scene.intensity.max() <= 1


def test_objects_are_as_large_as_cars(kitti_sweeps):
    scene = kitti_sweeps[0]
    sizes = []
    for instance in np.unique(scene.instances[scene.instances >= 0]):
        points = scene.points[scene.instances == instance]
        if len(points) >= 50:
            sizes.append(np.ptp(points, axis=0))
            assert len(np.unique(scene.labels[scene.instances == instance])) == 1
    assert len(sizes) >= 5
    assert np.linalg.norm(np.array(sizes)[:, :2], axis=1).max() < 7  # metres


def test_poses_bring_what_stands_still_together(kitti_sweeps):
    """1.7 m lie between the sweeps; the median gap shrinks several times with the poses."""
    first, last = kitti_sweeps[0], kitti_sweeps[2]
    for names, gain in ((("pole", "trunk"), 3), (("building",), 1.8)):
        before, after = of_class(first, *names), of_class(last, *names)
        unmoved = np.median(cKDTree(before).query(after)[0])
        before = transform_points(first.sensor_to_world, before)
        after = transform_points(last.sensor_to_world, after)
        assert np.median(cKDTree(before).query(after)[0]) < unmoved / gain
    step = last.sensor_to_world[:3, 3]
    assert step[0] == pytest.approx(1.72, abs=0.02)  # forwards
    assert abs(step[1:]).max() < 0.15


def test_a_sweep_without_labels_is_missed(real_data):
    with pytest.raises(FileNotFoundError, match=r"labels/000005\.label missing"):
        SemanticKitti(real_data / "semantickitti", ["00/000005"])


def test_true_labels_return_from_a_submission(kitti_sweeps, tmp_path):
    predictions = ((scene.name, scene.labels, scene.instances) for scene in kitti_sweeps)
    write_semantickitti_submission(tmp_path, predictions)
    for scene in kitti_sweeps:
        sequence, number = scene.name.split("/")
        path = tmp_path / "sequences" / sequence / "predictions" / f"{number}.label"
        labels, instances = read_semantickitti_labels(path)
        assert np.array_equal(labels, scene.labels)
        pairs = np.unique(np.stack([instances, scene.instances]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def test_kitti_boxes_hold_points_and_stand_on_the_ground(real_data, tmp_path):
    (tmp_path / "training").symlink_to(real_data / "kitti_object" / "training")
    (tmp_path / "ImageSets").mkdir()
    numbers = [path.stem for path in (tmp_path / "training" / "velodyne").iterdir()]
    (tmp_path / "ImageSets" / "val.txt").write_text("\n".join(sorted(numbers)))
    dataset = KittiObject(tmp_path, "val", cameras=True)
    check_dataset(dataset)
    assert [len(scene.boxes) for scene in dataset] == [3, 2]
    for scene in dataset:
        for box in scene.boxes:
            assert inside(scene.points, box).sum() >= 9
            assert -2.3 < box[2] - box[5] / 2 < -0.7  # bottom; the road rises with distance
            assert 0.4 < box[3:6].min() <= box[3:6].max() < 14


def test_kitti_boxes_are_where_the_image_shows_them(real_data):
    """The eight corners span the box that people drew into the image."""
    dataset = KittiObject(real_data / "kitti_object", cameras=True)
    for scene in dataset:
        path = real_data / "kitti_object" / "training" / "label_2" / f"{scene.name[-6:]}.txt"
        drawn = [line.split() for line in path.read_text().splitlines()]
        drawn = [row for row in drawn if row[0] != "DontCare"]
        (frame,) = scene.frames
        for box, row in zip(scene.boxes.astype(np.float64), drawn, strict=True):
            signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
            cos, sin = np.cos(box[6]), np.sin(box[6])
            turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
            corners = (signs * box[3:6]) @ turn.T + box[:3]
            camera = transform_points(np.linalg.inv(frame.camera_to_world), corners)
            u, v, w = frame.intrinsics @ camera.T
            spanned = [(u / w).min(), (v / w).min(), (u / w).max(), (v / w).max()]
            np.testing.assert_allclose(spanned, np.array(row[4:8], float), atol=5)  # pixels


def test_nuscenes_cameras_agree_with_those_of_another_toolbox(nuscenes, nuscenes_info):
    check_dataset(nuscenes)
    scene = nuscenes[0]
    for name, frame in zip(scene.frames.names, scene.frames, strict=True):
        camera = nuscenes_info["images"][name]
        np.testing.assert_allclose(
            np.linalg.inv(frame.camera_to_world), camera["lidar2cam"], atol=1e-4
        )
        np.testing.assert_allclose(frame.intrinsics, camera["cam2img"], atol=1e-9)
        assert frame.image.shape == (900, 1600, 3)


def test_nuscenes_points_lie_in_the_boxes_that_counted_them(nuscenes, nuscenes_info):
    scene = nuscenes[0]
    counts = [
        (inside(scene.points, np.array([*box["bbox_3d"], 0])).sum(), box["num_lidar_pts"])
        for box in nuscenes_info["instances"]
    ]
    found, counted = np.array(counts).T
    assert counted.sum() > 1000
    assert np.abs(found - counted).sum() < 0.05 * counted.sum()


def test_six_cameras_see_half_of_a_sweep_each_its_part(nuscenes):
    scene = nuscenes[0]
    n_views = np.zeros(len(scene.points), int)
    for frame in scene.frames:
        camera = transform_points(np.linalg.inv(frame.camera_to_world), scene.points)
        before = camera[:, 2] > 1
        u, v, w = frame.intrinsics @ camera[before].T
        height, width = frame.image.shape[:2]
        n_views[before] += (u > 0) & (u < width * w) & (v > 0) & (v < height * w)
    assert 0.5 < (n_views > 0).mean() < 0.7
    assert (n_views > 1).mean() < 0.08  # neighbours overlap a little
    assert n_views.max() == 2


def test_nuscenes_predictions_are_named_by_the_sweep(nuscenes, tmp_path):
    scene = nuscenes[0]
    labels = np.arange(len(scene.points)) % 16
    token = nuscenes.lidar_token(scene.name)
    write_nuscenes_submission(tmp_path, [(token, labels)])
    path = tmp_path / "lidarseg" / "test" / f"{token}_lidarseg.bin"
    assert np.array_equal(read_nuscenes_lidarseg(path, challenge_ids=True), labels)
