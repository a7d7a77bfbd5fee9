"""Tests of pcl_backbones.box_detections."""

import math

import torch
from torch.testing import assert_close

from pcl_backbones.box_coding import SUNRGBD_CODING, BoxCoding
from pcl_backbones.box_detections import Detections, decode_proposals
from pcl_backbones.votenet import Proposals

CODING = BoxCoding(torch.tensor([[1.0, 2, 4], [2.0, 2, 2]]), n_headings=4)


def random_proposals(coding, b=2, p=6):
    generator = torch.Generator().manual_seed(0)
    h, c = coding.n_headings, coding.n_classes
    shapes = [(3,), (2,), (3,), (h,), (h,), (c,), (c, 3), (c,)]
    return Proposals(*(torch.randn(b, p, *shape, generator=generator) for shape in shapes))


def test_boxes_are_those_of_a_loop():
    proposals = random_proposals(CODING)
    for b, found in enumerate(decode_proposals(proposals, CODING)):
        for p in range(6):
            heading_class = int(proposals.headings[b, p].argmax())
            heading = (heading_class + proposals.heading_residuals[b, p, heading_class] / 2) * (
                math.pi / 2
            )
            size_class = int(proposals.sizes[b, p].argmax())
            change = proposals.size_residuals[b, p, size_class]
            size = (CODING.mean_sizes[size_class] * (1 + change)).clamp(min=0)
            assert_close(found.boxes[p, :6], torch.cat([proposals.centers[b, p], size]))
            assert math.isclose(math.sin(found.boxes[p, 6]), math.sin(heading), abs_tol=1e-5)
            assert math.isclose(math.cos(found.boxes[p, 6]), math.cos(heading), abs_tol=1e-5)
            no_object, is_object = proposals.objectness[b, p].exp().tolist()
            assert math.isclose(
                found.objectness[p], is_object / (no_object + is_object), rel_tol=1e-5
            )
        powers = proposals.classes[b].exp()
        assert_close(found.probabilities, powers / powers.sum(dim=1, keepdim=True))


def test_sizes_are_never_negative():
    proposals = random_proposals(CODING)
    found = decode_proposals(proposals, CODING)
    sizes = torch.stack([scene.boxes[:, 3:6] for scene in found])
    assert (proposals.size_residuals < -1).any()
    assert (sizes >= 0).all()
    assert (sizes == 0).any()


def test_a_box_that_is_coded_comes_back():
    boxes = torch.tensor([[1.0, 2, 3, 1, 2, 0.5, 2.0], [0.0, 0, 0, 3, 3, 3, -3.0]])
    code = SUNRGBD_CODING.encode(boxes, torch.tensor([4, 9]))
    proposals = random_proposals(SUNRGBD_CODING, b=1, p=2)
    one_hot = torch.nn.functional.one_hot
    proposals = proposals._replace(
        centers=boxes[None, :, :3],
        headings=one_hot(code.heading_class, 12)[None].float(),
        heading_residuals=code.heading_residual[None, :, None].expand(1, 2, 12),
        sizes=one_hot(code.size_class, 10)[None].float(),
        size_residuals=code.size_residual[None, :, None].expand(1, 2, 10, 3),
    )
    assert_close(decode_proposals(proposals, SUNRGBD_CODING)[0].boxes, boxes)


def test_some_rows_and_none():
    found = Detections(torch.rand(3, 7), torch.tensor([0.1, 0.02, 0.9]), torch.rand(3, 4))
    assert torch.equal(found.at(torch.tensor([2, 0])).boxes, found.boxes[[2, 0]])
    confident = found.at(found.objectness > 0.05)
    assert torch.equal(confident.probabilities, found.probabilities[[0, 2]])
    assert found.at(found.objectness > 1).boxes.shape == (0, 7)
