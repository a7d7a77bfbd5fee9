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
from enet_text import (
    PIXELS,
    named_labels,
    open_network,
    open_scene,
    text_encoder,
    text_features,
)
from scipy.spatial import cKDTree
from torch.nn.functional import interpolate

from pcl_clip3d.enet import ENET_SIZE
from pcl_clip3d.image_pixels import normalized_pixels
from pcl_data.pairs.unprojection import unproject
from pcl_data.scene import Frame, Scene
from pcl_methods.labelfree.image_labels import Visibility, frame_pairs

N_PIXELS = 3000  # of each frame


class Sight:
    """Pixels of frames and the vertices of the room that they show.

    Args:
        scene: the room.
    """

    def __init__(self, scene: Scene) -> None:
        self.points = torch.from_numpy(scene.points)
        self.tree = cKDTree(scene.points)

    def vertices(self, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
        """Every vertex that the frame sees, with its pixel."""
        pairs = frame_pairs(self.points, frame, Visibility(), "buffer")
        return pairs.pixel_index, pairs.point_index

    def pixels(self, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels that measured a depth, and the vertices that they hit."""
        measured = unproject(frame)
        rows = np.random.default_rng(0).permutation(len(measured.points))[:N_PIXELS]
        distance, nearest = self.tree.query(measured.points[rows])
        near = distance < 0.05
        pixels = torch.from_numpy(measured.pixel_index[rows][near])
        return pixels, torch.from_numpy(nearest[near])


def measure(data: Path, step: int) -> dict[str, object]:
    """Accuracy of both networks on both samples of every step-th frame."""
    scene, texts = open_scene(data, step), text_features(data)
    network, sight, scores = open_network(data), Sight(scene), {}
    encoder = text_encoder(network, texts)
    truth = {"enet": torch.from_numpy(scene.labels), "enet_text": named_labels(scene)}
    for frame in scene.frames:
        image = torch.from_numpy(frame.image)
        with torch.inference_mode():
            logits = network(normalized_pixels(image, ENET_SIZE, **PIXELS))[:, 1:]  # 0: none
        logits = interpolate(logits, image.shape[:2], mode="bilinear")[0]
        classes = {"enet": logits.argmax(0), "enet_text": encoder(image).logits(texts).argmax(0)}
        for sample in ("vertices", "pixels"):
            pixels, points = getattr(sight, sample)(frame)
            for name, found in classes.items():
                labels = truth[name][points]
                right = (found[pixels.unbind(1)] == labels)[labels >= 0]
                scores.setdefault(f"{name}, {sample}", []).append(right)
    shares = {name: torch.cat(right).float() for name, right in scores.items()}
    return {
        "frames": len(scene.frames),
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
