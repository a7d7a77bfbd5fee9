"""The steps of TWIST one by one, with a network and a loop of your own: pcl-pseudolabel alone.

A point-wise network learns classes and offsets on one labeled scene (Eqs. 1 and 2), a small
re-correction network learns to judge its proposals (Eq. 5), and both label a scene without labels
(Eqs. 6 to 8), on which the network then learns as well. The truth of that scene is used at the end
alone, to say how good its pseudo-labels were.

Scenes are tables and chairs as boxes of points with noisy colors. A network that sees single points
knows position and color only, which is enough for boxes and for nothing else.

    python examples/own_network_pseudolabels.py
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pcl_pseudolabel import (
    ProposalRecorrector,
    centroid_offsets,
    cluster_proposals,
    matched_labels,
    mutate_proposals,
    offset_loss,
    proposal_iou,
    pseudo_label_quality,
    recorrection_loss,
    transform_proposals,
    update_pseudo_labels,
)

FLOOR, CHAIR, TABLE = range(3)
COLORS = torch.tensor([[0.4, 0.4, 0.4], [0.8, 0.3, 0.3], [0.3, 0.3, 0.8]])
CLUSTERING = {"radius": 0.15, "min_points": 30, "ignore": [FLOOR]}


def make_scene(seed: int) -> dict[str, Tensor]:
    """A floor, two chairs and two tables of 200 points each."""
    draw = torch.Generator().manual_seed(seed)
    points = [torch.rand(800, 3, generator=draw) * torch.tensor([4.0, 4.0, 0.02])]
    labels, instances = [torch.full((800,), FLOOR)], [torch.full((800,), -1)]
    for number, corner in enumerate([(0.5, 0.5), (2.5, 0.5), (0.5, 2.5), (2.5, 2.5)]):
        size = torch.tensor([0.4, 0.4, 0.8] if number < 2 else [0.8, 0.6, 0.5])
        moved = torch.tensor([*corner, 0.05]) + torch.rand(3, generator=draw) * 0.3
        points.append(torch.rand(200, 3, generator=draw) * size + moved)
        labels.append(torch.full((200,), CHAIR if number < 2 else TABLE))
        instances.append(torch.full((200,), number))
    of_points = torch.cat(labels)
    noise = 0.25 * torch.randn(len(of_points), 3, generator=draw)
    return {
        "points": torch.cat(points),
        "colors": COLORS[of_points] + noise,
        "labels": of_points,
        "instances": torch.cat(instances),
        "scene": torch.zeros(len(of_points), dtype=torch.int64),
    }


class MyNetwork(nn.Module):
    """Features, classes and offsets of each point."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.classes, self.offsets = nn.Linear(64, 3), nn.Linear(64, 3)

    def forward(self, scene: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        features = self.body(torch.cat([scene["points"], scene["colors"]], dim=1))
        return features, self.classes(features), self.offsets(features)


class MyEncoder(nn.Module):
    """A proposal as the mean of what its points say."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3 + 64, 32), nn.ReLU(), nn.Linear(32, 32))

    def forward(
        self, points: Tensor, features: Tensor, proposal_index: Tensor, n_proposals: int
    ) -> Tensor:
        said = self.body(torch.cat([points, features], dim=1))
        counts = proposal_index.bincount(minlength=n_proposals).clamp(min=1)
        sums = said.new_zeros(n_proposals, 32).index_add(0, proposal_index, said)
        return sums / counts[:, None]


def propose(scene: dict[str, Tensor], logits: Tensor, offsets: Tensor) -> tuple[Tensor, int]:
    """Module A."""
    moved = scene["points"] + offsets.detach()
    proposals = cluster_proposals(moved, logits.argmax(1), scene["scene"], **CLUSTERING)
    return proposals, int(proposals.max()) + 1


def labeled_loss(network: MyNetwork, judge: ProposalRecorrector, scene: dict, step: int) -> Tensor:
    """Eqs. 1, 2 and 5 on a scene with labels."""
    features, logits, offsets = network(scene)
    target = centroid_offsets(scene["points"], scene["instances"], scene["scene"])
    loss = cross_entropy(logits, scene["labels"])
    loss = loss + offset_loss(offsets, target, scene["instances"] >= 0)
    proposals, n_proposals = propose(scene, logits, offsets)
    if step < 100 or n_proposals == 0:  # proposals are noise at first
        return loss
    rows, index = mutate_proposals(scene["points"], scene["scene"], proposals, min_points=30)
    match = proposal_iou(rows, index, n_proposals, scene["instances"])
    members = transform_proposals(scene["points"][rows], index, n_proposals)
    said = judge(members, features.detach()[rows], index, n_proposals)
    classes = matched_labels(match.instance, scene["instances"], scene["labels"])
    found = recorrection_loss(said.class_logits, said.score_logits, match.iou, classes)
    return loss + found.total


def main() -> None:
    torch.manual_seed(0)
    network, judge = MyNetwork(), ProposalRecorrector(MyEncoder(), 32, n_classes=3)
    optimizer = torch.optim.Adam([*network.parameters(), *judge.parameters()], lr=0.003)
    labeled, unlabeled = make_scene(0), make_scene(1)

    for step in range(400):  # step (i): the labeled scene
        optimizer.zero_grad()
        labeled_loss(network, judge, labeled, step).backward()
        optimizer.step()

    with torch.no_grad():  # step (ii): modules A, B and C on the scene without labels
        features, logits, offsets = network(unlabeled)
        proposals, n_proposals = propose(unlabeled, logits, offsets)
        rows = (proposals >= 0).nonzero()[:, 0]
        said = judge(unlabeled["points"][rows], features[rows], proposals[rows], n_proposals)
        classes, scores = said.rectify([CHAIR, TABLE])
        pseudo = update_pseudo_labels(
            unlabeled["points"], offsets, proposals, classes, scores, threshold=0.5
        )

    for _ in range(100):  # step (iii): both scenes
        optimizer.zero_grad()
        _, logits, offsets = network(unlabeled)
        targets, target_offsets, valid = pseudo
        loss = cross_entropy(logits, targets, ignore_index=-1)
        loss = loss + offset_loss(offsets, target_offsets, valid)
        (loss + labeled_loss(network, judge, labeled, 100)).backward()
        optimizer.step()

    truth = centroid_offsets(unlabeled["points"], unlabeled["instances"], unlabeled["scene"])
    quality = pseudo_label_quality(pseudo, unlabeled["labels"], truth, unlabeled["instances"])
    print(f"{n_proposals} proposals, certainty", *(f"{score:.2f}" for score in scores.tolist()))
    print(
        f"pseudo-labels: accuracy {quality.semantic_accuracy:.2f}, coverage {quality.coverage:.2f},"
        f" offset error {quality.offset_error:.2f} m"
    )
    accuracy = (network(unlabeled)[1].argmax(1) == unlabeled["labels"]).float().mean()
    print(f"accuracy on the scene without labels after it learned from them: {accuracy:.2f}")
    assert quality.semantic_accuracy > 0.9


if __name__ == "__main__":
    main()
