"""How far true labels of an image are right on the points that it shows.

    python benchmarks/label_transfer.py [--data ../shared/data]

On the frame of RELLIS-3D (Jiang et al., "RELLIS-3D Dataset: Data, Benchmarks and Analysis", ICRA
2021) image and sweep are both labeled, by the same classes. What is lost between them is lost to
calibration, time, lens and occlusion: no labels that are projected can be better. Points that hide
others are told by a z-buffer, with several sizes of its squares and tolerances.

On the frames of ScanNet's scene0000_00 there are no labels in the images. There the z-buffer is
compared with the depth that the camera measured.

One line of JSON. "accuracy" is the share of right ones among points that are seen and labeled,
"points" their number.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch

from pcl_clip3d.pixel_pairs import PixelPairs
from pcl_clip3d.projection import depth_buffer, nearest_pixels, project_points, visible_points
from pcl_data.datasets import ScanNet
from pcl_data.plain_yaml import load_yaml
from pcl_data.readers.posed_frames import read_ids
from pcl_data.rigid import quaternion_rotation, rigid

BUFFERS = ((2, 0.05), (4, 0.05), (8, 0.05), (8, 0.1), (16, 0.1))  # squares, relative tolerances


class RellisFrame:
    """Points and labels of a sweep, labels and camera of the image.

    Args:
        folder: the example of the data set's own tools.
    """

    def __init__(self, folder: Path) -> None:
        sweep = np.fromfile(folder / "000104.bin", "<f4").reshape(-1, 4)
        self.points = torch.from_numpy(sweep[:, :3].copy())
        self.labels = np.fromfile(folder / "000104.label", "<u4").astype(np.int64)
        self.image_labels = read_ids(next(folder.glob("frame*.png")))
        fx, fy, cx, cy = np.loadtxt(folder / "camera_info.txt")
        self.intrinsics = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        (given,) = load_yaml((folder / "transforms.yaml").read_text()).values()
        rotation = quaternion_rotation(np.array([given["q"][axis] for axis in "wxyz"]))
        # The transform is the pose of the camera in the frame of the LiDAR.
        pose = rigid(rotation, np.array([given["t"][axis] for axis in "xyz"]))
        self.camera_to_world = torch.from_numpy(pose)

    def accuracy(self, pairs: PixelPairs) -> dict[str, float]:
        """Share of the pairs that are labeled on both sides and have the same label."""
        on_point = self.labels[pairs.point_index.numpy()]
        on_pixel = self.image_labels[tuple(pairs.pixel_index.numpy().T)]
        is_known = (on_point > 0) & (on_pixel > 0)  # 0 is void
        right = on_point == on_pixel
        return {"accuracy": round(float(right[is_known].mean()), 4), "points": int(is_known.sum())}


def transfer(frame: RellisFrame) -> dict[str, dict[str, float]]:
    """Accuracy without occlusion, and with each z-buffer."""
    size = frame.image_labels.shape
    pixels, depth = project_points(frame.points, frame.intrinsics, frame.camera_to_world)
    tests: dict[str, dict] = {"no occlusion": {}}
    for splat, share in BUFFERS:
        buffer = depth_buffer(pixels, depth, size, splat=splat)
        tests[f"splat {splat}, {share:.0%}"] = {"depth_image": buffer, "relative_tolerance": share}
    found = {}
    for name, options in tests.items():
        rows = visible_points(pixels, depth, size, **options).nonzero().squeeze(1)
        found[name] = frame.accuracy(PixelPairs(rows, nearest_pixels(pixels[rows])))
    return found


def buffer_agreement(root: Path, splats: tuple[int, ...] = (0, 1, 2, 3, 4)) -> dict[str, dict]:
    """Points that the z-buffer of a scan sees, among those that a depth image sees, and back."""
    scene = ScanNet(root, ["scene0000_00"], frames="folders")[0]
    points = torch.from_numpy(np.array(scene.points))
    counts = np.zeros((len(splats), 3))
    for frame in scene.frames:
        matrices = torch.from_numpy(frame.intrinsics), torch.from_numpy(frame.camera_to_world)
        pixels, depth = project_points(points, *matrices)
        size, measured = frame.depth.shape, torch.from_numpy(frame.depth)
        seen = visible_points(pixels, depth, size, depth_image=measured)
        # Where nothing was measured nobody knows.
        place = visible_points(pixels, depth, size)
        place[place.clone()] = measured[nearest_pixels(pixels[place]).unbind(1)] > 0
        for i, splat in enumerate(splats):
            buffer = depth_buffer(pixels, depth, size, splat=splat)
            by_buffer = visible_points(pixels, depth, size, depth_image=buffer) & place
            counts[i] += [int(x.sum()) for x in (seen & by_buffer, seen, by_buffer)]
    both, seen, by_buffer = counts.T
    return {
        f"splat {splat}": {"recall": round(r, 4), "precision": round(p, 4)}
        for splat, r, p in zip(splats, both / seen, both / by_buffer, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("PCL_REAL_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default), help="the real recordings")
    data = parser.parse_args().data
    found = {
        "rellis3d": transfer(RellisFrame(data / "rellis3d")),
        "scene0000_00": buffer_agreement(data / "scannet"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
