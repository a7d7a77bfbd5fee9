"""Frame pairs and label budgets of real recordings; skipped where they are absent."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcl_data import SCANNET20, Frame, LazyFrames, Scene, voxelize
from pcl_data.pairs import correspondences, load_pairs, mine_pairs, save_pairs, unproject
from pcl_data.readers.records import read_depth, read_image, read_matrix
from pcl_data.splits import limited_boxes, read_split, reconstruction_budget

pytestmark = pytest.mark.real

RECORDINGS = ["scannet/frames/scene0000_00", "scannet/frames/scene0113_00", "seven_scenes"]


def open_frames(folder) -> LazyFrames:
    """Frames in the order of time, the colours at the size of the depth."""
    is_scannet = (folder / "depth").is_dir()
    if is_scannet:
        names = sorted((path.stem for path in (folder / "depth").glob("*.png")), key=int)
        intrinsics = read_matrix(next((folder / "intrinsic").glob("*.txt")), (4, 4))[:3, :3]
    else:
        names = sorted(path.name.split(".")[0] for path in folder.glob("*.depth.png"))
        intrinsics = read_matrix(folder / "camera-intrinsics.txt", (3, 3))

    def read(name: str) -> Frame:
        endings = {"depth": "png", "color": "jpg", "pose": "txt"}
        files = [
            folder / part / f"{name}.{ending}" if is_scannet else folder / f"{name}.{part}.{ending}"
            for part, ending in endings.items()
        ]
        depth, image = read_depth(files[0]), read_image(files[1])
        depth[depth > 10] = 0  # 65535 is no measurement in the 7-Scenes files
        height, width = depth.shape
        rows = (np.arange(height) + 0.5) * image.shape[0] // height
        columns = (np.arange(width) + 0.5) * image.shape[1] // width
        image = image[rows.astype(int)][:, columns.astype(int)]
        scale = np.diag([width / 1296, height / 968, 1]) if is_scannet else np.eye(3)
        return Frame(image, depth, scale @ intrinsics, read_matrix(files[2], (4, 4)))

    return LazyFrames(names, read)


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request, real_data):
    frames = open_frames(real_data / request.param)
    mined = mine_pairs(frames, min_overlap=1e-9)
    overlap = np.zeros((len(frames), len(frames)))
    overlap[tuple(mined.pairs.T)] = mined.overlap
    return frames, overlap


def test_neighbours_in_time_overlap_and_the_overlap_falls_with_time(recording):
    frames, overlap = recording
    assert len(frames) >= 25
    neighbours = np.diagonal(overlap, 1)
    assert np.median(neighbours) > 0.3
    if frames.names[1] != "6":  # 4 s apart in that recording, and the camera turns
        assert (neighbours > 0.3).all(), neighbours.round(2)
    # up to 6, since later the cameras come back to where they were
    means = [np.diagonal(overlap, gap).mean() for gap in (1, 3, 6)]
    assert means == sorted(means, reverse=True), means


def test_mined_overlap_is_that_of_a_search_in_trees(recording):
    frames, overlap = recording
    for a, b in ((0, 1), (0, 5), (3, 20)):
        clouds = []
        for number in (a, b):
            points = unproject(frames[number]).points
            inverse = voxelize(points, 0.05).inverse
            sums = np.zeros((inverse.max() + 1, 3))
            np.add.at(sums, inverse, points)
            clouds.append(sums / np.bincount(inverse)[:, None])
        shares = [
            np.mean([len(found) > 0 for found in cKDTree(one).query_ball_point(other, 0.075)])
            for one, other in (clouds, clouds[::-1])
        ]
        assert overlap[a, b] == max(shares)


def test_matching_points_of_neighbours_have_like_colours(recording):
    """The colours come from two images, the matches from geometry alone."""
    frames, _ = recording
    views = []
    for number in (0, 1):
        points, colors, _ = unproject(frames[number])
        index = voxelize(points, 0.025).index
        views.append((points[index], colors[index].astype(float)))
    matches = correspondences(views[0][0], views[1][0], max_matches=1)
    assert len(matches) > 0.3 * len(views[0][0])
    difference = np.abs(views[0][1][matches[:, 0]] - views[1][1][matches[:, 1]]).mean()
    shuffled = np.random.default_rng(0).permutation(matches[:, 1])
    chance = np.abs(views[0][1][matches[:, 0]] - views[1][1][shuffled]).mean()
    assert difference < 0.5 * chance, (difference, chance)


def test_pairs_of_a_recording_are_written_and_read(real_data, tmp_path):
    frames = open_frames(real_data / RECORDINGS[1])
    mined = mine_pairs(frames[number] for number in range(8))
    save_pairs(tmp_path / "pairs.txt", frames.names, mined)
    loaded = load_pairs(tmp_path / "pairs.txt", frames.names)
    np.testing.assert_array_equal(loaded.pairs, mined.pairs)
    np.testing.assert_array_equal(loaded.overlap, mined.overlap)


def test_the_parts_of_scannet_are_those_of_the_benchmark(real_data):
    names = read_split(real_data / "scannet" / "scannetv2_train.txt")
    sizes = [len(reconstruction_budget(names, percent / 100).scenes) for percent in (1, 5, 10, 20)]
    assert [len(names), *sizes] == [1201, 12, 60, 120, 240]


def test_each_box_of_a_real_room_keeps_one_object_of_its_class(real_data):
    """The boxes of these files bound whole objects, of which the 50,000 points are a part."""
    n_boxes = n_kept = 0
    for path in sorted((real_data / "scannet" / "points50k").glob("*.npz")):
        arrays = np.load(path)
        classes = SCANNET20.to_train(arrays["bbox"][:, 6].astype(np.int64))
        heading = np.zeros(len(classes))
        boxes = np.column_stack([arrays["bbox"][:, :6], heading, classes]).astype(np.float32)
        scene = Scene(
            path.stem,
            arrays["coord"].astype(np.float32),
            labels=SCANNET20.to_train(arrays["nyu40"].astype(np.int64)),
            instances=arrays["instance"].astype(np.int64) - 1,
            boxes=boxes[classes >= 0],
            label_set=SCANNET20,
        )
        limited = limited_boxes(scene, 4)
        things = np.unique(limited.instances[limited.instances >= 0])
        assert len(limited.boxes) == 4
        assert set(limited.labels[limited.labels >= 0]) == set(limited.boxes[:, 7])
        n_boxes, n_kept = n_boxes + 4, n_kept + len(things)
    assert n_kept == n_boxes, (n_kept, n_boxes)
