"""The indoor data sets on real recordings in their native layout; skipped where they are absent."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import rq
from scipy.spatial import cKDTree

from pcl_data import NYU40, SCANNET20, SCANNET200, SUNRGBD10
from pcl_data.datasets import S3DIS, ScanNet, SevenScenes, SunRgbd
from pcl_data.datasets.scannet_annotation import read_label_table
from pcl_data.pairs import unproject
from pcl_data.readers.ply import read_ply
from pcl_data.testing import check_dataset

pytestmark = pytest.mark.real

NAME = "scene0000_00"


@pytest.mark.parametrize("label_set", [SCANNET20, NYU40, SCANNET200], ids=lambda s: s.name)
def test_a_scan_of_scannet_has_the_labels_of_its_label_mesh(real_data, label_set):
    dataset = ScanNet(real_data / "scannet", [NAME], label_set=label_set)
    check_dataset(dataset)
    scene = dataset[0]
    assert len(scene.points) == 81_369
    assert len(np.unique(scene.superpoints)) == 668
    if label_set is not SCANNET200:
        mesh = read_ply(real_data / "scannet" / "scans" / NAME / f"{NAME}_vh_clean_2.labels.ply")
        np.testing.assert_array_equal(scene.labels, label_set.to_train(mesh.labels.astype(int)))


def test_the_label_table_holds_known_ids_alone(real_data):
    table = real_data / "scannet" / "scannetv2-labels.combined.tsv"
    for label_set, column in ((SCANNET20, "nyu40id"), (NYU40, "nyu40id"), (SCANNET200, "id")):
        ids = read_label_table(table, column)
        assert len(ids) == 607
        assert len(np.unique(label_set.to_train(np.array(list(ids.values()))))) > 20


def test_boxes_are_those_that_were_published(real_data):
    scene = ScanNet(real_data / "scannet", [NAME])[0]
    content = json.loads((real_data / "scannet" / "boxes" / f"{NAME}.json").read_text())
    # The 18 detection classes end with garbage bins, which are among other furniture here.
    names = {"showercurtrain": "shower curtain", "garbagebin": "otherfurniture"}
    classes = [names.get(name, name) for name in content["classes"]]
    published = np.array(
        [[*box["bbox_3d"], SCANNET20.names.index(classes[box["label"]])]
         for box in content["instances"]]
    )  # fmt: skip
    assert len(scene.boxes) == len(published) == 27
    for box in published:
        distance = np.abs(scene.boxes[:, [0, 1, 2, 3, 4, 5, 7]] - box).max(axis=1)
        assert distance.min() < 1e-5  # the label counts 1 and more


def test_frames_lie_on_the_mesh(real_data):
    dataset = ScanNet(real_data / "scannet", [NAME], frames="folders")
    check_dataset(dataset)
    scene = dataset[0]
    assert len(scene.frames) == 50
    tree = cKDTree(scene.points)
    for i in range(0, 50, 10):
        points, colors, _ = unproject(scene.frames[i])
        distance, vertex = tree.query(points[::50])
        assert np.mean(distance < 0.1) > 0.9
        difference = np.abs(colors[::50].astype(int) - scene.colors[vertex]).mean(axis=1)
        assert np.median(difference[distance < 0.02]) < 30  # of 255


def test_a_stream_gives_the_frames_of_the_folders(real_data, tmp_path):
    source = real_data / "scannet"
    (tmp_path / "scans").mkdir()
    scan = tmp_path / "scans" / NAME
    scan.mkdir()
    for file in (source / "scans" / NAME).iterdir():
        (scan / file.name).symlink_to(file)
    (tmp_path / "scannetv2-labels.combined.tsv").symlink_to(
        source / "scannetv2-labels.combined.tsv"
    )
    folders = ScanNet(source, [NAME], frames="folders")[0].frames
    folder, matrices = source / "frames" / NAME, np.tile(np.eye(4), (4, 1, 1))
    matrices[2, :3, :3] = folders[0].intrinsics
    content = struct.pack("<IQ", 4, 0) + matrices.astype("<f4").tobytes()
    content += struct.pack("<iiIIIIfQ", 2, 1, 1296, 968, 640, 480, 1000.0, 3)
    for name in folders.names[:3]:
        color = (folder / "color" / f"{name}.jpg").read_bytes()
        depth = np.array(Image.open(folder / "depth" / f"{name}.png")).astype("<u2")
        packed = zlib.compress(depth.tobytes())
        content += np.loadtxt(folder / "pose" / f"{name}.txt").astype("<f4").tobytes()
        content += struct.pack("<QQQQ", 0, 0, len(color), len(packed)) + color + packed
    (scan / f"{NAME}.sens").write_bytes(content)
    stream = ScanNet(tmp_path, [NAME], frames="sens", frame_step=2)[0].frames
    assert stream.names == ("0", "2")
    for ours, exported in zip(stream, (folders[0], folders[2]), strict=True):
        np.testing.assert_array_equal(ours.image, exported.image)
        np.testing.assert_array_equal(ours.depth, exported.depth)
        np.testing.assert_allclose(ours.intrinsics, exported.intrinsics, rtol=1e-6)
        np.testing.assert_allclose(ours.camera_to_world, exported.camera_to_world, atol=1e-5)


def test_a_room_of_s3dis_has_the_labels_of_another_copy(real_data):
    root = real_data / "s3dis" / "Stanford3dDataset_v1.2_Aligned_Version"
    dataset = S3DIS(root, "Area_6")
    check_dataset(dataset)
    scene = dataset[0]
    copy = np.load(real_data / "s3dis" / "Area_6_copyRoom_1.npz")
    order, copy_order = np.lexsort(scene.points.T), np.lexsort(copy["coord"].astype("f4").T)
    np.testing.assert_allclose(
        scene.points[order], copy["coord"][copy_order].astype("f4"), atol=1e-6
    )
    agreement = scene.labels[order] == copy["label"][copy_order]
    assert agreement.mean() > 0.999  # points in the same place may come in another order
    np.testing.assert_allclose(
        scene.colors[order].mean(axis=0), copy["color"].mean(axis=0), atol=0.01
    )


def points_in(box, points):
    """How many points lie in a box of full sizes and a counter-clockwise heading."""
    offset = points - box[:3]
    cosine, sine = np.cos(box[6]), np.sin(box[6])
    x, y = offset[:, 0] * cosine + offset[:, 1] * sine, offset[:, 1] * cosine - offset[:, 0] * sine
    inside = np.abs(np.stack([x, y, offset[:, 2]], axis=1)) <= box[3:6] / 2
    return int(inside.all(axis=1).sum())


def test_boxes_of_sun_rgbd_hold_the_points_of_their_objects(real_data):
    counts = np.zeros(4, int)
    for split, n_scenes in (("train", 3), ("val", 5)):
        dataset = SunRgbd(real_data / "sunrgbd" / "votenet", split)
        check_dataset(dataset)
        assert len(dataset) == n_scenes
        for scene in dataset:
            for box in scene.boxes:
                mirrored, half = box.copy(), box.copy()
                mirrored[6] *= -1
                half[3:6] /= 2
                turned = box[[0, 1, 2, 4, 3, 5, 6, 7]]
                counts += [points_in(b, scene.points) for b in (box, mirrored, half, turned)]
                assert points_in(box, scene.points) > 50
    assert counts[0] > 1.2 * counts[1:].max()


def test_a_photograph_of_sun_rgbd_has_the_colours_of_its_points(real_data, tmp_path):
    source = real_data / "sunrgbd" / "mmdet3d"
    (info,) = json.loads((source / "sunrgbd_000017_infos.json").read_text())["data_list"]
    intrinsics, world_to_camera = rq(np.array(info["images"]["CAM0"]["depth2img"]))
    tilt = world_to_camera.T @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    table = np.fromfile(source / "000017.bin", "<f4").reshape(-1, 6)
    np.savez(tmp_path / "000017_pc.npz", pc=table)
    boxes = [[*box["bbox_3d"], box["bbox_label_3d"]] for box in info["instances"]]
    np.save(tmp_path / "000017_bbox.npy", np.array(boxes) * [1, 1, 1, 0.5, 0.5, 0.5, -1, 1])
    for kind in ("image", "calib"):
        (tmp_path / "sunrgbd_trainval" / kind).mkdir(parents=True)
    (tmp_path / "sunrgbd_trainval" / "image" / "000017.jpg").symlink_to(source / "000017.jpg")
    lines = [" ".join(map(str, matrix.T.ravel())) for matrix in (tilt, intrinsics)]
    (tmp_path / "sunrgbd_trainval" / "calib" / "000017.txt").write_text("\n".join(lines))

    dataset = SunRgbd(tmp_path, ["000017"])
    check_dataset(dataset)
    scene = dataset[0]
    assert [SUNRGBD10.names[int(label)] for label in scene.boxes[:, 7]] == ["night_stand", "bed"]
    (frame,) = scene.frames
    points, colors, _ = unproject(frame)
    distance, row = cKDTree(scene.points).query(points)
    assert distance.max() < 0.005  # 530 pixels a radian, rounded, and 1/1000 of a pixel
    np.testing.assert_array_equal(colors, scene.colors[row])  # bit for bit
    assert len(points) > 0.99 * len(scene.points)


def test_a_sequence_of_seven_scenes_fits_together(real_data):
    dataset = SevenScenes(real_data, ["seven_scenes"], frame_step=5)
    check_dataset(dataset)
    scene = dataset[0]
    assert len(scene.frames) == 5
    # What one frame sees, the others see in the same place, where they look there at all.
    clouds = [unproject(frame)[0][::20] for frame in scene.frames]
    distances = [
        cKDTree(np.concatenate(clouds[:i] + clouds[i + 1 :])).query(cloud)[0]
        for i, cloud in enumerate(clouds)
    ]
    assert np.mean(np.concatenate(distances) < 0.1) > 0.7
    assert np.ptp(scene.points, axis=0).max() < 8
    assert scene.colors.std() > 20
