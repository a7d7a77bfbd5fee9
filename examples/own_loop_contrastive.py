"""Contrastive pre-training in a training loop of your own, with `pcl_contrastive` functions alone.

Needs pcl-data, pcl-backbones and pcl-contrastive. A sample is two overlapping views of a scene,
each turned and recolored on its own, with the voxels that match. A small sparse U-Net learns to
tell the match of each voxel from other voxels of the scene. `point_info_nce` is the loss of
PointContrast (Xie et al., ECCV 2020); call `scene_context_loss` in its place for Eq. 3 of
Contrastive Scene Contexts (Hou et al., CVPR 2021). A batch holds as many scenes as fit into a
budget of points.

Printed are, for views of scenes that it never saw, the share of voxels whose match is the most
similar of all before and after, and what the features look like.

Its limits: the scenes are painted boxes whose colors tell many matches by themselves, and half a
minute teaches nothing of use elsewhere. Put your own scenes into `SCENES`.

    python examples/own_loop_contrastive.py
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pcl_backbones import Res16UNet14A, SparseTensor
from pcl_contrastive import point_info_nce, representation_health
from pcl_data import PointBudgetSampler, Scene, augmentation, collate, voxelize
from pcl_data.feeding import SeededSamples
from pcl_data.pairs import correspondences, cut_views

VOXEL_SIZE, TEMPERATURE, N_MATCHES, N_EPOCHS = 0.08, 0.1, 500, 6

Batch = list[dict[str, Tensor]]  # of the first views, and of the second


def make_scene(seed: int) -> Scene:
    """Twelve painted boxes on a floor of 4 x 4 m."""
    rng = np.random.default_rng(seed)
    points, colors = [rng.uniform(0, (4, 4, 0.02), (1500, 3))], [np.full((1500, 3), 120)]
    for _ in range(12):
        corner, size = rng.uniform(0, (3.3, 3.3, 0.1)), rng.uniform(0.2, 0.8, 3)
        points.append(corner + size * rng.random((300, 3)))
        colors.append(rng.integers(0, 255, 3) + np.zeros((300, 3), np.int64))
    noisy = np.concatenate(colors) + rng.integers(-15, 16, (5100, 3))
    painted = noisy.clip(0, 255).astype(np.uint8)
    return Scene(f"boxes{seed}", np.concatenate(points).astype(np.float32), colors=painted)


SCENES = [make_scene(seed) for seed in range(16)]


def make_views(scene: Scene, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """Two overlapping views on voxels. `inverse` has the voxel of each match, for `collate`."""
    cut = cut_views(scene.points, rng, size=0.6)
    views = []
    for rows in (cut.index_a, cut.index_b):
        points = scene.points[rows]
        turned = points @ augmentation.random_linear_map(rng).T.astype(np.float32)
        grid = voxelize(turned, VOXEL_SIZE)
        colors = scene.colors[rows[grid.index]].astype(np.float32) / 255
        colors = augmentation.chromatic_changes(colors, rng) - np.float32(0.5)
        views.append({"coords": grid.coords, "features": colors, "points": points[grid.index]})
    first, second = views
    matches = correspondences(first["points"], second["points"], radius=1.5 * VOXEL_SIZE)
    drawn = matches[rng.permutation(len(matches))[:N_MATCHES]]
    return [first | {"inverse": drawn[:, 0]}, second | {"inverse": drawn[:, 1]}]


def to_batch(samples: list[list[dict[str, np.ndarray]]]) -> Batch:
    """The first views of all scenes together, and the second ones."""
    batches = [collate(views) for views in zip(*samples, strict=True)]
    return [{key: torch.from_numpy(value) for key, value in one.items()} for one in batches]


class Contrast(nn.Module):
    """A backbone, and a projection of its features that the loss compares."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Res16UNet14A(3, None, width=0.25)
        self.projection = nn.Linear(self.backbone.feature_channels, 32)

    def matched(self, batch: Batch) -> list[Tensor]:
        """Features of the matches in each view, row by row."""
        found = []
        for view in batch:
            voxels = self.backbone.features(SparseTensor(view["coords"], view["features"]))
            found.append(self.projection(voxels.features)[view["inverse"]])
        return found

    def loss(self, batch: Batch) -> Tensor:
        """The mean over scenes: matches are told from others of their scene."""
        queries, keys = self.matched(batch)
        scene = batch[0]["batch_index"][batch[0]["inverse"]]
        losses = [
            point_info_nce(queries[scene == i], keys[scene == i], temperature=TEMPERATURE)
            for i in scene.unique()
        ]
        return torch.stack(losses).mean()


@torch.no_grad()
def measure(model: Contrast) -> None:
    """How well matches are found in scenes that were never learned from."""
    model.eval()
    held_out = [make_scene(seed) for seed in range(100, 104)]
    samples = SeededSamples(held_out, make_views, seed=1)
    panels = [
        representation_health(*model.matched(to_batch([samples[0, i]])), temperature=TEMPERATURE)
        for i in range(len(held_out))
    ]
    found = sum(panel.accuracy for panel in panels) / len(panels)
    print(f"matches found: {found:.1%} of {N_MATCHES}; {panels[0].verdict()}")
    model.train()


def main() -> None:
    """Learn, and measure before and after."""
    torch.manual_seed(0)
    model = Contrast()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    samples = SeededSamples(SCENES, make_views)
    sizes = [len(scene.points) for scene in SCENES]
    measure(model)
    for epoch in range(N_EPOCHS):
        sampler = PointBudgetSampler(sizes, 11_000, epoch=epoch)  # two scenes a batch
        losses = []
        for batch in DataLoader(samples, batch_sampler=sampler, collate_fn=to_batch):
            loss = model.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.2f}")
    measure(model)


if __name__ == "__main__":
    main()
