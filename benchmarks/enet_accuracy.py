"""How often ENet, and ENet through texts of CLIP, name what the pixels of real frames show.

    python benchmarks/enet_accuracy.py ../shared/data

Two samples of `scene0000_00` say the truth, the NYU40 labels of the vertices of its mesh:
`vertices` are those that a frame sees, at the pixel that each is projected to (far surfaces have
many); `pixels` are drawn from all that have a depth, with the label of the vertex that is nearest
to what they measured, within 5 cm. `enet` is the highest logit of the network of 3DMV; `enet_text`
is the nearest of CLIP's texts (ViT-B/16, names of COCO-Stuff) to its features, over the classes
that have such a name. ENet saw this room in training. JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

from pcl_clip3d.class_encoders import SegmentationEncoder
from pcl_clip3d.enet import ENET_MEAN, ENET_SIZE, ENET_STD, load_enet
from pcl_clip3d.image_pixels import normalized_pixels
from pcl_clip3d.pixel_pairs import pair_pixels
from pcl_data.datasets.scannet_frames import read_exported_frames
from pcl_data.pairs.unprojection import unproject
from pcl_data.readers.ply import read_ply
from pcl_data.scene import Frame

SCENE = "scene0000_00"
N_PIXELS = 3000  # of each frame
# Classes of NYU40, by their id, that COCO-Stuff has too, and its names of them.
COCO_STUFF = {
    1: "wall-other",
    2: "floor-other",
    3: "cabinet",
    4: "bed",
    5: "chair",
    6: "couch",
    7: "table",
    8: "door-stuff",
    9: "window-other",
    12: "counter",
    13: "window-blind",
    14: "desk-stuff",
    15: "shelf",
    16: "curtain",
    18: "pillow",
    19: "mirror-stuff",
    20: "mat",
    21: "clothes",
    22: "ceiling-other",
    23: "book",
    24: "refrigerator",
    25: "tv",
    26: "paper",
    27: "towel",
    31: "person",
    33: "toilet",
    34: "sink",
    35: "light",
    38: "structural-other",
    39: "furniture-other",
}


def text_features(folder: Path) -> torch.Tensor:
    """The texts of the classes of the table, in its order."""
    names = json.loads((folder / "cocostuff171_names.json").read_text(encoding="utf-8"))
    rows = torch.from_numpy(np.load(folder / "cocostuff171_multi.npy")).float()
    return rows[[names.index(name) for name in COCO_STUFF.values()]]


class Truth:
    """Labels of pixels of frames, from the labeled mesh."""

    def __init__(self, data: Path) -> None:
        scan = read_ply(data / f"scannet/scans/{SCENE}/{SCENE}_vh_clean_2.labels.ply")
        self.points = torch.from_numpy(np.asarray(scan.points, np.float32))
        self.labels = torch.from_numpy(np.asarray(scan.labels, np.int64))
        self.tree = cKDTree(self.points.numpy())

    def vertices(self, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels and labels of the vertices that the frame sees."""
        pairs = pair_pixels(
            self.points,
            torch.from_numpy(frame.intrinsics),
            torch.from_numpy(frame.camera_to_world),
            frame.image.shape[:2],
            depth_image=torch.from_numpy(frame.depth),
        )
        return pairs.pixel_index, self.labels[pairs.point_index]

    def pixels(self, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels that measured a depth, and the labels of the vertices that they hit."""
        measured = unproject(frame)
        rows = np.random.default_rng(0).permutation(len(measured.points))[:N_PIXELS]
        distance, nearest = self.tree.query(measured.points[rows])
        near = distance < 0.05
        pixels = torch.from_numpy(measured.pixel_index[rows][near])
        return pixels, self.labels[torch.from_numpy(nearest[near])]


def measure(data: Path, step: int) -> dict[str, object]:
    network = load_enet(data / "models" / "scannetv2_enet.pth")
    ids = torch.tensor(list(COCO_STUFF))
    texts = text_features(data / "models" / "clip_vitb16_text")
    pixels = {"mean": ENET_MEAN, "std": ENET_STD}
    encoder = SegmentationEncoder(
        lambda image: network(image)[:, ids],
        texts,
        text_space="ViT-B-16/openai",
        input_size=ENET_SIZE,
        **pixels,
    )
    truth, scores = Truth(data), {}
    frames = read_exported_frames(data / f"scannet/frames/{SCENE}", np.eye(4), None, step=step)
    for frame in frames:
        image = torch.from_numpy(frame.image)
        with torch.no_grad():
            logits = network(normalized_pixels(image, ENET_SIZE, **pixels))[:, 1:]  # 0: no label
        logits = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
        found = {
            "enet": logits[0].argmax(dim=0) + 1,
            "enet_text": ids[encoder(image).logits(texts).argmax(dim=0)],
        }
        for sample, (places, labels) in {
            "vertices": truth.vertices(frame),
            "pixels": truth.pixels(frame),
        }.items():
            for name, classes in found.items():
                known = labels > 0 if name == "enet" else torch.isin(labels, ids)
                rows, columns = places[known].T
                right = classes[rows, columns] == labels[known]
                scores.setdefault(f"{name}, {sample}", []).append(right)
    shares = {name: torch.cat(right).float() for name, right in scores.items()}
    return {
        "frames": len(frames),
        "accuracy": {name: round(float(right.mean()), 4) for name, right in shares.items()},
        "pairs": {name: len(right) for name, right in shares.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the real recordings")
    parser.add_argument("--step", type=int, default=1, help="every step-th frame")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.data, arguments.step), indent=2))


if __name__ == "__main__":
    main()
