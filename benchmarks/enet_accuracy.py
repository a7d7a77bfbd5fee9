"""How often ENet, and ENet through texts of CLIP, name what the pixels of real frames show.

    python benchmarks/enet_accuracy.py ../shared/data --step 1

The truth is the NYU40 label of the vertices of `scene0000_00` that a frame sees. `enet` is the
highest logit of the network of 3DMV; `enet_text` is the nearest of CLIP's texts (ViT-B/16, names of
COCO-Stuff) to the features of the same network, over the classes that have such a name. ENet saw
this room in training. Accuracies are shares of the pairs of a vertex and a pixel; JSON.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from pcl_clip3d.pixel_pairs import pair_pixels

from pcl_clip3d.class_encoders import SegmentationEncoder
from pcl_clip3d.enet import ENET_MEAN, ENET_SIZE, ENET_STD, load_enet
from pcl_clip3d.image_pixels import normalized_pixels
from pcl_data.datasets.scannet_frames import read_exported_frames
from pcl_data.readers.ply import read_ply

SCENE = "scene0000_00"
PIXELS = {"mean": ENET_MEAN, "std": ENET_STD}
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


def measure(data: Path, step: int) -> dict[str, object]:
    network = load_enet(data / "models" / "scannetv2_enet.pth")
    ids = torch.tensor(list(COCO_STUFF))
    texts = text_features(data / "models" / "clip_vitb16_text")
    encoder = SegmentationEncoder(
        lambda pixels: network(pixels)[:, ids],
        texts,
        text_space="ViT-B-16/openai",
        input_size=ENET_SIZE,
        **PIXELS,
    )
    scan = read_ply(data / f"scannet/scans/{SCENE}/{SCENE}_vh_clean_2.labels.ply")
    points = torch.from_numpy(np.asarray(scan.points, np.float32))
    labels = torch.from_numpy(np.asarray(scan.labels, np.int64))
    frames = read_exported_frames(data / f"scannet/frames/{SCENE}", np.eye(4), None, step=step)
    right = {"enet": 0, "enet_text": 0}
    counted = dict.fromkeys(right, 0)
    seconds = 0.0
    for frame in frames:
        image = torch.from_numpy(frame.image)
        pairs = pair_pixels(
            points,
            torch.from_numpy(frame.intrinsics),
            torch.from_numpy(frame.camera_to_world),
            frame.image.shape[:2],
            depth_image=torch.from_numpy(frame.depth),
        )
        rows, columns = pairs.pixel_index.T
        truth = labels[pairs.point_index]
        start = time.perf_counter()
        with torch.no_grad():
            logits = network(normalized_pixels(image, ENET_SIZE, **PIXELS))
            logits = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
        found = {"enet": logits[0, 1:].argmax(dim=0) + 1}  # 0: no label
        seconds += time.perf_counter() - start
        found["enet_text"] = ids[encoder(image).logits(texts).argmax(dim=0)]
        known = {"enet": truth > 0, "enet_text": torch.isin(truth, ids)}
        for name, classes in found.items():
            agrees = classes[rows, columns] == truth
            right[name] += int(agrees[known[name]].sum())
            counted[name] += int(known[name].sum())
    return {
        "frames": len(frames),
        "pairs": counted,
        "accuracy": {name: round(right[name] / counted[name], 4) for name in right},
        "seconds_a_frame": round(seconds / len(frames), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the real recordings")
    parser.add_argument("--step", type=int, default=1, help="every step-th frame")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.data, arguments.step), indent=2))


if __name__ == "__main__":
    main()
