"""How far true labels of an image are right on the points that it shows.

    python benchmarks/label_transfer.py [--data ../shared/data]

On the frame of RELLIS-3D (Jiang et al., "RELLIS-3D Dataset: Data, Benchmarks and Analysis", ICRA
2021) image and sweep are both labeled, by the same classes. What is lost between them is lost to
calibration, time, lens and occlusion: labels that are projected cannot be better. Points that hide
others are told by the z-buffer of `pair_pixels`, for several sizes of a point.

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

from pcl_clip3d.pixel_pairs import PixelPairs, pair_pixels
from pcl_clip3d.projection import nearest_pixels, project_points, visible_points
from pcl_data.datasets import ScanNet
from pcl_data.plain_yaml import load_yaml
from pcl_data.readers.posed_frames import read_ids
from pcl_data.rigid import quaternion_rotation, rigid

SIZES = (0.0, 0.01, 0.02, 0.03, 0.04)  # half width of what a point hides, metres


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
    """Accuracy without occlusion, and with points of each size."""
    camera = (frame.points, frame.intrinsics, frame.camera_to_world, frame.image_labels.shape)
    found = {"no occlusion": frame.accuracy(pair_pixels(*camera, occlusion="none"))}
    for size in SIZES:
        found[f"buffer, {size} m"] = frame.accuracy(pair_pixels(*camera, point_size=size))
    return found


def buffer_agreement(root: Path) -> dict[str, dict[str, float]]:
    """How the z-buffer of a scan agrees with the depth images of its frames.

    Among points on pixels with a measured depth: "kept" is the share of those within 10 cm of it
    that the buffer sees, "hidden" the share of those 25 cm and more behind it that it does not.
    """
    scene = ScanNet(root, ["scene0000_00"], frames="folders")[0]
    points = torch.from_numpy(np.array(scene.points))
    counts = np.zeros((len(SIZES), 2, 2))
    for frame in scene.frames:
        camera = torch.from_numpy(frame.intrinsics), torch.from_numpy(frame.camera_to_world)
        size, measured = frame.depth.shape, torch.from_numpy(frame.depth)
        pixels, depth = project_points(points, *camera)
        rows = visible_points(pixels, depth, size).nonzero().squeeze(1)
        there = measured[nearest_pixels(pixels[rows]).unbind(1)]
        gap = depth[rows] - there
        groups = ((there > 0) & (gap.abs() < 0.1), (there > 0) & (gap > 0.25))
        for i, point_size in enumerate(SIZES):
            pairs = pair_pixels(points, *camera, size, point_size=point_size)
            is_seen = torch.isin(rows, pairs.point_index)
            counts[i] += [[int((group & is_seen).sum()), int(group.sum())] for group in groups]
    kept, let_through = (counts[:, :, 0] / counts[:, :, 1]).T
    return {
        f"buffer, {size} m": {"kept": round(a, 4), "hidden": round(1 - b, 4)}
        for size, a, b in zip(SIZES, kept, let_through, strict=True)
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
