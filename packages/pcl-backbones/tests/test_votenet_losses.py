"""Tests of pcl_backbones.votenet_losses: every part against a loop over its equation."""

import math

import pytest
import torch

from pcl_backbones.box_coding import BoxCoding
from pcl_backbones.votenet import Proposals, VoteNetOutput
from pcl_backbones.votenet_losses import votenet_loss
from pcl_backbones.votenet_targets import BatchTargets

CODING = BoxCoding(torch.tensor([[1.0, 2, 1], [0.5, 0.5, 1]], dtype=torch.float64), n_headings=3)
B, M, P, K = 2, 5, 12, 3


def random_batch(seed=0):
    """Clusters of votes near boxes, far from them and between; the first scene has one box."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    boxes = torch.rand(B, K, 7, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(2, (B, K), generator=generator)
    is_box = torch.tensor([[True, False, False], [True, True, True]])
    boxes[~is_box], labels[~is_box] = 0, 0
    which = torch.arange(P) % K
    row = torch.arange(B).unsqueeze(1)
    reach = torch.tensor([0.05, 0.15, 0.25, 2.0])[torch.arange(P) % 4, None]
    points = boxes[row, torch.where(is_box, 1, 0)[:, which] * which, :3] + reach * randn(B, P, 3)
    proposals = Proposals(
        points, randn(B, P, 2), points + 0.2 * randn(B, P, 3), randn(B, P, 3), randn(B, P, 3),
        randn(B, P, 2), randn(B, P, 2, 3), randn(B, P, 2),
    )  # fmt: skip
    seeds = randn(B, M, 3)
    output = VoteNetOutput(seeds, torch.zeros(B, M).long(), seeds + randn(B, M, 3), proposals)
    on_object = torch.tensor([[True, False, True, False, False], [True, True, True, True, False]])
    return output, BatchTargets(randn(B, M, 3, 3), on_object, boxes, labels, is_box)


def entropy(logits, label):
    return math.log(sum(math.exp(x) for x in logits)) - logits[label]


def huber(x):
    return x * x / 2 if abs(x) <= 1 else abs(x) - 0.5


def mean(values):
    return sum(values) / (len(values) + 1e-6)


def vote_by_loop(output, targets):
    distances = []
    for b in range(B):
        for i in range(M):
            if targets.on_object[b, i]:
                vote = output.votes[b, i] - output.seeds[b, i]
                distances.append(min((vote - t).abs().sum().item() for t in targets.votes[b, i]))
    return mean(distances)


def assignment(output, targets):
    """(scene, proposal, nearest box, distance) of every proposal."""
    for b in range(B):
        centers = targets.boxes[b][targets.is_box[b]][:, :3].tolist()
        for p in range(P):
            point = output.proposals.points[b, p].tolist()
            distances = [math.dist(point, center) for center in centers]
            nearest = min(distances, default=math.inf)
            yield b, p, distances.index(nearest) if distances else None, nearest


def objectness_by_loop(output, targets):
    losses = []
    for b, p, _, distance in assignment(output, targets):
        logits = output.proposals.objectness[b, p].tolist()
        if distance < 0.3:
            losses.append(0.8 * entropy(logits, 1))
        elif distance > 0.6:
            losses.append(0.2 * entropy(logits, 0))
    return mean(losses)


def center_by_loop(output, targets):
    there, back = [], []
    centers = output.proposals.centers.tolist()
    boxes = [targets.boxes[b][targets.is_box[b]][:, :3].tolist() for b in range(B)]
    for b, p, _, distance in assignment(output, targets):
        if distance < 0.3:
            there.append(min(math.dist(centers[b][p], box) ** 2 for box in boxes[b]))
    for b in range(B):
        back += [min(math.dist(box, center) ** 2 for center in centers[b]) for box in boxes[b]]
    return mean(there) + mean(back)


def box_parts_by_loop(output, targets):
    parts = {"heading_class": [], "heading": [], "size_class": [], "size": [], "semantic": []}
    own = output.proposals
    for b, p, k, distance in assignment(output, targets):
        if distance >= 0.3:
            continue
        label, box = int(targets.labels[b, k]), targets.boxes[b, k].tolist()
        turn = 2 * math.pi / 3
        heading_class = int(((box[6] + turn / 2) % (2 * math.pi)) // turn)
        residual = (box[6] - heading_class * turn + math.pi) % (2 * math.pi) - math.pi
        parts["heading_class"].append(entropy(own.headings[b, p].tolist(), heading_class))
        got = own.heading_residuals[b, p, heading_class].item()
        parts["heading"].append(huber(got - residual / (math.pi / 3)))
        parts["size_class"].append(entropy(own.sizes[b, p].tolist(), label))
        mean_size = CODING.mean_sizes[label].tolist()
        wanted = [(box[3 + i] - mean_size[i]) / mean_size[i] for i in range(3)]
        got = own.size_residuals[b, p, label].tolist()
        parts["size"].append(sum(huber(g - w) for g, w in zip(got, wanted, strict=True)) / 3)
        parts["semantic"].append(entropy(own.classes[b, p].tolist(), label))
    return {name: mean(values) for name, values in parts.items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_and_total_are_those_of_the_equations(seed):
    output, targets = random_batch(seed)
    distances = [row[3] for row in assignment(output, targets)]
    assert any(d < 0.3 for d in distances)
    assert any(0.3 < d < 0.6 for d in distances)
    assert any(d > 0.6 for d in distances)
    expected = {
        "vote": vote_by_loop(output, targets),
        "objectness": objectness_by_loop(output, targets),
        "center": center_by_loop(output, targets),
        **box_parts_by_loop(output, targets),
    }
    loss = votenet_loss(output, targets, CODING)
    for name, value in expected.items():
        assert getattr(loss, name).item() == pytest.approx(value, rel=1e-9), name
    total = 10 * (
        expected["vote"]
        + 0.5 * expected["objectness"]
        + expected["center"]
        + 0.1 * expected["heading_class"]
        + expected["heading"]
        + 0.1 * expected["size_class"]
        + expected["size"]
        + 0.1 * expected["semantic"]
    )
    assert loss.total.item() == pytest.approx(total, rel=1e-9)


def test_proposals_within_30_cm_are_positive_and_beyond_60_cm_negative():
    output, targets = random_batch()
    distances = torch.tensor([0.295, 0.305, 0.595, 0.605], dtype=torch.float64)
    points = targets.boxes[:, :1, :3].repeat(1, 4, 1)
    points[..., 2] += distances
    targets = targets._replace(is_box=torch.arange(K).expand(B, K) == 0)
    proposals = output.proposals._replace(
        **{name: part[:, :4] for name, part in output.proposals._asdict().items()}
        | {"points": points, "objectness": torch.tensor([1.0, 0]).expand(B, 4, 2).double()}
    )
    loss = votenet_loss(output._replace(proposals=proposals), targets, CODING)
    expected = 0.8 * entropy([1.0, 0], 1) + 0.2 * entropy([1.0, 0], 0)  # one of each in a scene
    assert loss.objectness.item() == pytest.approx(2 * expected / (4 + 1e-6))


def test_padding_is_no_box():
    """Clusters at the origin, where padding lies, are not near a box."""
    output, targets = random_batch()
    loss = votenet_loss(output, targets, CODING)
    padded = targets._replace(
        boxes=torch.cat([targets.boxes, torch.zeros(B, 4, 7, dtype=torch.float64)], dim=1),
        labels=torch.cat([targets.labels, torch.zeros(B, 4).long()], dim=1),
        is_box=torch.cat([targets.is_box, torch.zeros(B, 4, dtype=torch.bool)], dim=1),
    )
    assert votenet_loss(output, padded, CODING) == loss


def test_scenes_without_boxes_teach_only_that_there_is_no_object():
    output, targets = random_batch()
    proposals = Proposals(*(part.requires_grad_() for part in output.proposals))
    output = output._replace(proposals=proposals, votes=output.votes.requires_grad_())
    targets = targets._replace(
        is_box=torch.zeros_like(targets.is_box), on_object=torch.zeros_like(targets.on_object)
    )
    loss = votenet_loss(output, targets, CODING)
    logits = proposals.objectness.flatten(0, 1).tolist()
    expected = 0.2 * mean([entropy(row, 0) for row in logits])
    assert loss.objectness.item() == pytest.approx(expected)
    assert loss.total.item() == pytest.approx(5 * expected)
    loss.total.backward()
    for part in (*proposals, output.votes):
        assert part.grad is None or part.grad.isfinite().all()
    assert proposals.objectness.grad.abs().sum() > 0


def test_predictions_that_are_right_cost_nothing_but_the_classes():
    output, targets = random_batch()
    one = targets.boxes[:, :1]
    code = CODING.encode(one, targets.labels[:, :1])
    seeds = output.seeds
    targets = targets._replace(is_box=torch.arange(K).expand(B, K) == 0)
    proposals = Proposals(
        points=one[..., :3],
        objectness=torch.tensor([-50.0, 50]).expand(B, 1, 2).double(),
        centers=one[..., :3],
        headings=100 * torch.nn.functional.one_hot(code.heading_class, 3).double(),
        heading_residuals=code.heading_residual.unsqueeze(2).expand(-1, -1, 3),
        sizes=100 * torch.nn.functional.one_hot(code.size_class, 2).double(),
        size_residuals=code.size_residual.unsqueeze(2).expand(-1, -1, 2, -1),
        classes=100 * torch.nn.functional.one_hot(code.size_class, 2).double(),
    )
    output = output._replace(votes=seeds + targets.votes[:, :, 2], proposals=proposals)
    assert votenet_loss(output, targets, CODING).total.item() == pytest.approx(0, abs=1e-12)


def test_gradients_of_every_prediction():
    output, targets = random_batch()

    def total(votes, *parts):
        proposals = Proposals(output.proposals.points, *parts)
        moved = output._replace(votes=votes, proposals=proposals)
        return votenet_loss(moved, targets, CODING).total

    inputs = [part.clone().requires_grad_() for part in (output.votes, *output.proposals[1:])]
    assert torch.autograd.gradcheck(total, inputs, fast_mode=True)


def test_targets_of_other_seeds_are_refused():
    output, targets = random_batch()
    targets = targets._replace(on_object=targets.on_object[:, 1:], votes=targets.votes[:, 1:])
    with pytest.raises(ValueError, match=r"targets must be of the seeds \(2, 5\) .*, got \(2, 4\)"):
        votenet_loss(output, targets, CODING)
