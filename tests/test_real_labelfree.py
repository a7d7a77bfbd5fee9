"""Points and pixels of real recordings are paired right; skipped where these are absent."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pcl_clip3d.pixel_pairs import pair_pixels
from pcl_clip3d.projection import project_points
from pcl_clip3d.view_fusion import ViewMean
from pcl_data import SEMANTICKITTI19
from pcl_data.datasets import NuScenes, ScanNet, SemanticKitti, SevenScenes
from pcl_methods.labelfree.image_labels import label_images
from pcl_methods.labelfree.samples import refine_in_sets

pytestmark = pytest.mark.real


def tensors(scene, frame):
    """Points, intrinsics, pose and size of the image, as `pair_pixels` takes them."""
    arrays = (np.array(scene.points), frame.intrinsics, frame.camera_to_world)
    return (*(torch.from_numpy(array) for array in arrays), frame.image.shape[:2])


def pairs_of(scene, frame, **options):
    if frame.depth is not None:
        options["depth_image"] = torch.from_numpy(frame.depth)
    return pair_pixels(*tensors(scene, frame), **options)


def colour_difference(scene, frame, pairs):
    """Median difference of a point's colour and its pixel's, and that of pairs mixed up."""
    colors = scene.colors[pairs.point_index.numpy()].astype(float)
    pixels = frame.image[tuple(pairs.pixel_index.numpy().T)].astype(float)
    mixed = np.random.default_rng(0).permutation(pixels)
    return [np.median(np.abs(colors - each).mean(axis=1)) for each in (pixels, mixed)]


def check_pairs(scene, frames, *, max_residual):
    """Colours and depths agree; the share of points that is seen at all."""
    mean, ratios = ViewMean(len(scene.points), 1), []
    for frame in frames:
        pairs = pairs_of(scene, frame)
        _, depth = project_points(*tensors(scene, frame)[:3])
        measured = torch.from_numpy(frame.depth)[pairs.pixel_index.unbind(1)]
        residual = (depth[pairs.point_index] - measured).abs()[:, None]
        mean.update(pairs.point_index, residual)
        ours, mixed = colour_difference(scene, frame, pairs)
        ratios.append(ours / mixed)
    assert np.median(ratios) < 0.4, ratios
    seen = mean.n_views > 0
    assert mean.compute()[seen].median() < max_residual
    return float(seen.float().mean())


def test_fifty_frames_of_a_scan_see_most_of_it(real_data):
    scene = ScanNet(real_data / "scannet", ["scene0000_00"], frames="folders")[0]
    assert len(scene.frames) == 50
    share = check_pairs(scene, scene.frames, max_residual=0.02)
    assert 0.6 < share < 0.7, share


def test_frames_see_the_points_that_were_fused_from_them(real_data):
    scene = SevenScenes(real_data, ["seven_scenes"], frame_step=1)[0]
    assert len(scene.frames) == 25
    share = check_pairs(scene, scene.frames, max_residual=0.02)
    assert share > 0.95, share


def test_six_cameras_are_reached_through_both_poses_of_the_vehicle(real_data):
    """Another toolbox gives the chain from LiDAR to camera as one matrix."""
    (path,) = (real_data / "nuscenes").glob("*.infos.json")
    info = json.loads(path.read_text())["data_list"][0]
    dataset = NuScenes(real_data / "nuscenes", [info["token"]], version="v1.0-test", cameras=True)
    scene = dataset[0]
    n_views = torch.zeros(len(scene.points), dtype=torch.int64)
    for name, frame in zip(scene.frames.names, scene.frames, strict=True):
        pairs = pairs_of(scene, frame, occlusion="none", near=1.0, border=1)
        camera = info["images"][name]
        lidar_to_camera, matrix = np.array(camera["lidar2cam"]), np.array(camera["cam2img"])
        chain = scene.points.astype(np.float64) @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
        u, v, w = matrix @ chain.T
        with np.errstate(divide="ignore", invalid="ignore"):
            row, column = np.floor(v / w + 0.5), np.floor(u / w + 0.5)
        seen = (w > 1) & (row >= 1) & (row < 899) & (column >= 1) & (column < 1599)
        both = np.intersect1d(np.flatnonzero(seen), pairs.point_index.numpy())
        assert len(both) > 0.999 * max(seen.sum(), len(pairs.point_index))
        ours = pairs.pixel_index[np.searchsorted(pairs.point_index.numpy(), both)].numpy()
        theirs = np.stack([row, column], axis=1)[both]
        assert (np.abs(ours - theirs).max(axis=1) <= 1).all()
        assert (ours == theirs).all(axis=1).mean() > 0.95
        n_views[pairs.point_index] += 1
    assert 0.5 < (n_views > 0).float().mean() < 0.7


def test_a_camera_beside_the_lidar_sees_the_front_of_a_sweep(real_data, tmp_path):
    """The recordings have no images: a grey one of the size of the first sequence stands in."""
    source, folder = (root / "sequences" / "00" for root in (real_data / "semantickitti", tmp_path))
    shutil.copytree(source, folder, copy_function=os.symlink)
    (folder / "image_2").mkdir()
    Image.new("RGB", (1241, 376)).save(folder / "image_2" / "000000.png")
    scene = SemanticKitti(tmp_path, ["00/000000"], cameras=True)[0]
    pairs = pairs_of(scene, scene.frames[0], occlusion="none")
    assert 0.1 < len(pairs.point_index) / len(scene.points) < 0.25  # 80 of 360 degrees
    points, row = scene.points[pairs.point_index.numpy()], pairs.pixel_index[:, 0].numpy()
    assert (points[:, 0] > 0).all()
    angle = np.arctan2(points[:, 1], points[:, 0])
    column = pairs.pixel_index[:, 1].numpy()
    assert np.corrcoef(angle, column)[0, 1] < -0.98  # left is left
    labels = scene.labels[pairs.point_index.numpy()]
    road, building = (SEMANTICKITTI19.names.index(name) for name in ("road", "building"))
    assert row[labels == road].mean() > row[labels == building].mean() + 40


def test_true_labels_of_an_image_are_right_on_three_quarters_of_its_points(real_data, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import label_transfer

    found = label_transfer.transfer(label_transfer.RellisFrame(real_data / "rellis3d"))
    plain = found.pop("no occlusion")
    assert 0.76 < plain["accuracy"] < 0.79, plain
    assert plain["points"] == 7429
    assert plain["points"] * 0.98 < found["buffer, 0.02 m"]["points"] < plain["points"]


def test_votes_in_sets_correct_the_labels_of_real_frames(real_data, monkeypatch):
    """Of ENet times CLIP's texts, in two of fifty frames: the pairs of `label_images`."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import enet_text
    from labelfree_frames import share_right
    from room_pairs import open_room

    room = open_room(real_data, step=25)
    truth, before = room.of_pairs(), share_right(room.of_pairs(), room.pairs.labels)
    assert before > 0.5
    for sets in room.sets.values():
        assert share_right(truth, room.refine(sets)) > before

    texts = enet_text.text_features(real_data)
    encoder = enet_text.text_encoder(enet_text.open_network(real_data), texts)
    sets = room.sets["segs.json"]
    found = label_images(enet_text.open_scene(real_data, 25), encoder, texts, sets.numpy())
    np.testing.assert_array_equal(found.point_index, room.pairs.vertices)
    np.testing.assert_array_equal(found.labels, room.pairs.labels)
    refined = refine_in_sets(found, enet_text.NAMED.n_classes)
    np.testing.assert_array_equal(refined, room.refine(sets))
