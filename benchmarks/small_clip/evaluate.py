"""How well a CLIP labels the pixels of views that it has not seen, and their crops.

    python benchmarks/small_clip/render.py --out CHECK --seed 2000 --rooms 20 --streets 5
    python benchmarks/small_clip/evaluate.py FOLDER --shards CHECK

Pixels take the class of the largest cosine, of the names of their world (ScanNet20 in rooms,
SemanticKITTI19 in streets) in the 85 prompts. Pixels without a label do not count, and the mean of
the IoU is over the classes that occur. A crop is right if its class is that of its largest thing.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from crops import Shards
from jaxtyping import Float, Int64
from mentions import NOTHING
from network import IMAGE_SIZE, normalized
from torch import Tensor

from pcl_clip3d.class_prompts import encode_class_names
from pcl_clip3d.dense_clip import DenseClip
from pcl_data.label_set import SCANNET20, SEMANTICKITTI19
from pcl_run.cli import boundary, print_json

WORLDS = {"rooms": (SCANNET20, 0), "streets": (SEMANTICKITTI19, SCANNET20.n_classes)}


def scores(confusion: Int64[np.ndarray, "c c"], names: tuple[str, ...]) -> dict[str, Any]:
    """Share of right pixels, and IoU of each class that occurs, and their mean."""
    right, true = np.diag(confusion), confusion.sum(axis=1)
    present = np.flatnonzero(true)
    union = (true + confusion.sum(axis=0) - right)[present]
    iou = right[present] / union
    return {
        "pixel_accuracy": right.sum() / true.sum(),
        "miou": iou.mean(),
        "iou": {names[i]: value for i, value in zip(present, iou, strict=True)},
    }


def dense_confusion(
    clip: DenseClip, shards: Shards, world: str, texts: Float[Tensor, "c d"], n_views: int
) -> Int64[np.ndarray, "c c"]:
    """Pixels by true and by found class, of the first views of each shard of a world."""
    n_classes, first = len(texts), WORLDS[world][1]
    confusion = np.zeros(n_classes**2, np.int64)
    for shard in range(len(shards.paths)):
        if _world(shards.place(shard)) != world:
            continue
        for view in np.array(shards.views(shard)[:n_views]):
            found = clip(torch.from_numpy(view[..., :3])).logits(texts).argmax(dim=0).numpy()
            true = view[..., 3].astype(np.int64)
            known = true != NOTHING
            pairs = (true[known] - first) * n_classes + found[known]
            confusion += np.bincount(pairs, minlength=n_classes**2)
    return confusion.reshape(n_classes, n_classes)


def crop_accuracy(
    clip: DenseClip, shards: Shards, world: str, texts: Float[Tensor, "c d"], n_crops: int
) -> float:
    """Share of crops that go to the class of their largest thing."""
    first, rng, right, n = WORLDS[world][1], np.random.default_rng(0), 0, 0
    while n < n_crops:
        crop = shards.crop(IMAGE_SIZE, 2, rng)
        if _world(crop.place) == world:
            image = torch.from_numpy(crop.image.copy()).permute(2, 0, 1)[None]
            found = (clip.model.encode_image(normalized(image)) @ texts.T).argmax()
            right += int(found) + first == crop.boxes[-1].seen[0].label
            n += 1
    return right / n


@boundary()
@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the network")
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--views", type=int, default=4, help="of each shard")
    parser.add_argument("--crops", type=int, default=500)
    parser.add_argument("--attention", default="identity")
    for name in ("--short-side", "--window", "--stride"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    sizes = {key: getattr(given, key) for key in ("short_side", "window", "stride")}
    clip = DenseClip.load(str(given.folder), attention=given.attention, **sizes)
    shards, found = Shards(given.shards), {}
    for world, (label_set, _) in WORLDS.items():
        if world not in {_world(shards.place(k)) for k in range(len(shards.paths))}:
            continue
        texts = encode_class_names(label_set.names, clip.encode_text)
        confusion = dense_confusion(clip, shards, world, texts, given.views)
        found[world] = scores(confusion, label_set.names) | {
            "crop_accuracy": crop_accuracy(clip, shards, world, texts, given.crops)
        }
    print_json(found)


def _world(place: str) -> str:
    return "streets" if place == "street" else "rooms"


if __name__ == "__main__":
    main()
