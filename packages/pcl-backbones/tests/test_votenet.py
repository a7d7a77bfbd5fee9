"""Tests of pcl_backbones.votenet."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from pcl_backbones.box_coding import SCANNET_CODING, SUNRGBD_CODING, BoxCoding
from pcl_backbones.box_detections import decode_proposals
from pcl_backbones.box_points import points_in_boxes
from pcl_backbones.set_abstraction import SetAbstraction, SetFeatures
from pcl_backbones.votenet import ProposalModule, VoteNet, VotingModule
from pcl_backbones.votenet_losses import votenet_loss
from pcl_backbones.votenet_targets import batch_targets, targets_from_boxes

CODING = BoxCoding(torch.tensor([[1.0, 1, 1], [0.5, 0.5, 1]]), n_headings=4)


class GivenSeeds(nn.Module):
    """Seeds as they are given."""

    def forward(self, points, features):
        index = torch.arange(points.shape[1]).expand(points.shape[:2])
        return SetFeatures(points, features, index)


def randomised(module):
    """Every parameter and statistic drawn at random, in evaluation."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) - 0.3)
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.abs_().add_(0.1)
    return module.eval()


def layer(conv, norm, column):
    """ReLU(norm(conv(column))) of one seed."""
    value = conv.weight[:, :, 0] @ column + conv.bias
    value = (value - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    return (value * norm.weight + norm.bias).clamp(min=0)


def test_votes_are_seeds_moved_and_features_changed_to_unit_length():
    module, seeds, features = randomised(VotingModule(6)), torch.rand(2, 5, 3), torch.rand(2, 6, 5)
    votes, changed = module(seeds, features)
    for b in range(2):
        for m in range(5):
            column = features[b, :, m]
            hidden = layer(module.conv1, module.bn1, column)
            hidden = layer(module.conv2, module.bn2, hidden)
            out = module.conv3.weight[:, :, 0] @ hidden + module.conv3.bias
            assert_close(votes[b, m], seeds[b, m] + out[:3])
            total = column + out[3:]
            assert_close(changed[b, :, m], total / total.square().sum().sqrt())


def test_features_of_length_zero_stay_finite():
    module = VotingModule(4).eval()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    _, changed = module(torch.zeros(1, 2, 3), torch.zeros(1, 4, 2))
    assert changed.abs().sum() == 0


def test_proposals_are_the_channels_in_the_published_order():
    module = randomised(ProposalModule(6, CODING, channels=8, count=3))
    votes, features = torch.rand(2, 10, 3), torch.rand(2, 6, 10)
    found = module(votes, features)
    clusters = module.vote_aggregation(votes, features)
    for b in range(2):
        for p in range(3):
            hidden = layer(module.conv1, module.bn1, clusters.features[b, :, p])
            hidden = layer(module.conv2, module.bn2, hidden)
            out = module.conv3.weight[:, :, 0] @ hidden + module.conv3.bias
            assert len(out) == 2 + 3 + 2 * 4 + 4 * 2 + 2
            assert_close(found.points[b, p], clusters.points[b, p])
            assert_close(found.objectness[b, p], out[:2])
            assert_close(found.centers[b, p], clusters.points[b, p] + out[2:5])
            assert_close(found.headings[b, p], out[5:9])
            assert_close(found.heading_residuals[b, p], out[9:13])
            assert_close(found.sizes[b, p], out[13:15])
            assert_close(found.size_residuals[b, p, 0], out[15:18])
            assert_close(found.size_residuals[b, p, 1], out[18:21])
            assert_close(found.classes[b, p], out[21:23])


def test_residuals_of_a_bin_and_a_class():
    module = ProposalModule(6, CODING, channels=8, count=3).eval()
    found = module(torch.rand(2, 10, 3), torch.rand(2, 6, 10))
    heading_class, size_class = torch.randint(4, (2, 3)), torch.randint(2, (2, 3))
    turns, changes = found.residuals_of(heading_class, size_class)
    for b in range(2):
        for p in range(3):
            assert turns[b, p] == found.heading_residuals[b, p, heading_class[b, p]]
            assert torch.equal(changes[b, p], found.size_residuals[b, p, size_class[b, p]])


def test_sizes_are_the_published_ones():
    for coding, channels in ((SCANNET_CODING, 97), (SUNRGBD_CODING, 79)):
        network = VoteNet(GivenSeeds(), coding)
        shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
        assert shapes["vgen.conv1.weight"] == (256, 256, 1)
        assert shapes["vgen.conv3.weight"] == (259, 256, 1)
        assert shapes["pnet.conv1.weight"] == (128, 128, 1)
        assert shapes["pnet.conv3.weight"] == (channels, 128, 1)  # 2 + 3 + 2 NH + 5 C
        aggregation = network.pnet.vote_aggregation
        assert (aggregation.radius, aggregation.n_neighbors, aggregation.count) == (0.3, 16, 256)


def test_width_scales_the_proposals():
    network = VoteNet(GivenSeeds(), CODING, seed_channels=16, width=0.25, n_proposals=7)
    assert network.pnet.conv2.weight.shape == (32, 32, 1)
    output = network.eval()(torch.rand(2, 20, 3), torch.rand(2, 16, 20))
    assert output.proposals.centers.shape == (2, 7, 3)


def test_proposals_are_those_of_the_votes_of_the_seeds():
    network = VoteNet(GivenSeeds(), CODING, seed_channels=16, width=0.25, n_proposals=7).eval()
    seeds, features = torch.rand(2, 20, 3), torch.rand(2, 16, 20)
    output = network(seeds, features)
    votes, of_votes = network.vgen(seeds, features)
    assert torch.equal(output.seeds, seeds)
    assert torch.equal(output.index, torch.arange(20).expand(2, 20))
    assert torch.equal(output.votes, votes)
    for part, expected in zip(output.proposals, network.pnet(votes, of_votes), strict=True):
        assert torch.equal(part, expected)


def test_sizes_are_checked():
    for sizes, problem in (
        ({"seed_channels": 0}, "seed_channels must be at least 1, got 0"),
        ({"n_proposals": 0}, "n_proposals must be at least 1, got 0"),
        ({"width": 0.0}, "width must be above 0 and finite, got 0.0"),
    ):
        with pytest.raises(ValueError, match=problem):
            VoteNet(GivenSeeds(), CODING, **sizes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_loss_and_boxes_on_a_gpu_are_those_on_a_cpu():
    points, boxes = room()
    scene = targets_from_boxes(points, boxes, torch.tensor([0, 1, 1]), n_classes=2)
    seeds = SetAbstraction(0, [32, 64], count=64, radius=0.5, n_neighbors=16)
    network = VoteNet(seeds, CODING, seed_channels=64, width=0.5, n_proposals=24).double().eval()
    results = []
    for device in ("cpu", "cuda"):
        output = network.to(device)(points[None].double().to(device), None)
        loss = votenet_loss(output, batch_targets([scene], output.index), CODING)
        (found,) = decode_proposals(output.proposals, CODING)
        results.append([part.cpu() for part in (*loss, *found)])
    for there, here in zip(*results, strict=True):
        assert_close(there, here)


def room(n=150):
    """Points on the faces of three boxes that stand on a floor; one is turned."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.tensor(
        [
            [0.0, 0, 0.25, 0.5, 0.5, 0.5, 0],
            [1.0, 0.25, 0.125, 0.3, 0.6, 0.25, 0],
            [0.5, 1, 0.2, 0.4, 0.25, 0.4, 0.7],
        ]
    )
    cube = torch.rand(len(boxes), n, 3, generator=generator) - 0.5
    axis = torch.randint(3, (len(boxes), n, 1), generator=generator)
    cube = cube.scatter(2, axis, cube.gather(2, axis).sign() / 2) * boxes[:, None, 3:6] * 0.999
    cos, sin = boxes[:, None, 6].cos(), boxes[:, None, 6].sin()
    x, y = cube[..., 0] * cos - cube[..., 1] * sin, cube[..., 0] * sin + cube[..., 1] * cos
    objects = torch.stack([x, y, cube[..., 2]], dim=2) + boxes[:, None, :3]
    floor = torch.rand(n, 3, generator=generator) * torch.tensor([2, 2, 0]) - 0.5
    floor[:, 2] = -0.02
    points = torch.cat([objects.flatten(0, 1), floor])
    return points[torch.randperm(len(points), generator=generator)], boxes


def overlap(box, other):
    """IoU of two boxes from points of a grid of 2 cm around the first."""
    steps = torch.arange(-0.6, 0.6, 0.02)
    grid = torch.cartesian_prod(steps, steps, steps) + box[:3]
    inside = points_in_boxes(grid, torch.stack([box, other]))
    return (inside.all(dim=1).sum() / inside.any(dim=1).sum()).item()


def test_one_scene_is_learnt():
    """The loss falls and boxes are found that overlap the true ones, in some seconds."""
    torch.manual_seed(0)
    points, boxes = room()
    labels = torch.tensor([0, 1, 1])
    scene = targets_from_boxes(points, boxes, labels, n_classes=2)
    coding = BoxCoding(torch.tensor([[0.5, 0.5, 0.5], [0.25, 0.25, 0.5]]), n_headings=4)
    seeds = SetAbstraction(0, [32, 32, 64], count=64, radius=0.5, n_neighbors=16)
    network = VoteNet(seeds, coding, seed_channels=64, width=0.5, n_proposals=24)
    nn.init.zeros_(network.vgen.conv3.weight)  # votes begin at their seeds, which saves steps
    optimizer = torch.optim.Adam(network.parameters())
    losses = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.005 if step < 140 else 0.001
        output = network(points[None], None)
        loss = votenet_loss(output, batch_targets([scene], output.index), coding)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < min(losses[:20]) / 10
    with torch.no_grad():
        (found,) = decode_proposals(network.eval()(points[None], None).proposals, coding)
    for box, label in zip(boxes, labels, strict=True):
        best = max(range(24), key=lambda p: overlap(box, found.boxes[p]))
        assert overlap(box, found.boxes[best]) > 0.5
        assert found.objectness[best] > 0.5
        assert found.probabilities[best].argmax() == label
