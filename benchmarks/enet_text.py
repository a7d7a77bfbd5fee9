"""A labeled room with posed frames, and ENet times CLIP's texts for its images.

Of `DATA`, the folder of the real recordings. The network is that of 3DMV, trained on images of
ScanNet, of this room too; the texts are those of CLIP ViT-B/16 for the names of COCO-Stuff.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pcl_clip3d import ENet, SegmentationEncoder, load_enet
from pcl_clip3d.enet import ENET_MEAN, ENET_SIZE, ENET_STD
from pcl_data import NYU40, LabelSet, LazyFrames, Scene
from pcl_data.datasets import ScanNet

SCENE = "scene0000_00"
TEXT_SPACE = "ViT-B-16/openai"
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
_ROWS = [NYU40.raw_ids.index(raw) for raw in COCO_STUFF]
NAMED = LabelSet(
    "nyu40 in COCO-Stuff",
    tuple(NYU40.names[row] for row in _ROWS),
    tuple(COCO_STUFF),
    tuple(NYU40.colors[row] for row in _ROWS),
    tuple(NYU40.is_stuff[row] for row in _ROWS),
    ignored_raw_ids=(0, *(raw for raw in NYU40.raw_ids if raw not in COCO_STUFF)),
)


def open_scene(data: Path, step: int = 1) -> Scene:
    """The room, with labels of NYU40 and every step-th of 50 frames."""
    scene = ScanNet(data / "scannet", [SCENE], label_set=NYU40, frames="folders")[0]
    frames = scene.frames
    numbers = {str(number): number for number in range(0, len(frames), step)}
    return replace(scene, frames=LazyFrames(tuple(numbers), lambda name: frames[numbers[name]]))


def named_labels(scene: Scene) -> torch.Tensor:
    """The class in `NAMED` of each point, -1 where there is none."""
    return torch.from_numpy(NAMED.to_train(NYU40.to_raw(np.asarray(scene.labels))))


def open_network(data: Path) -> ENet:
    """ENet of 41 classes: none, and those of NYU40."""
    return load_enet(data / "models" / "scannetv2_enet.pth")


def text_features(data: Path) -> torch.Tensor:
    """The text of each class of `NAMED`, (30, 512)."""
    folder = data / "models" / "clip_vitb16_text"
    names = json.loads((folder / "cocostuff171_names.json").read_text(encoding="utf-8"))
    rows = torch.from_numpy(np.load(folder / "cocostuff171_multi.npy")).float()
    return rows[[names.index(name) for name in COCO_STUFF.values()]]


def text_encoder(network: ENet, texts: torch.Tensor) -> SegmentationEncoder:
    """The probabilities of the classes of `NAMED` alone, times their texts."""
    channels = list(NAMED.raw_ids)
    return SegmentationEncoder(
        lambda image: network(image)[:, channels],
        texts,
        text_space=TEXT_SPACE,
        input_size=ENET_SIZE,
        **PIXELS,
    )
