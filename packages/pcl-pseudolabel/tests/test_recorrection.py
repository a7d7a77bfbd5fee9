"""Tests of pcl_pseudolabel.recorrection."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from pcl_pseudolabel import ProposalRecorrector, Recorrection, recorrection_loss


class Pooling(nn.Module):
    """The smallest encoder: a layer, then the sum over each proposal."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, out_channels)

    def forward(self, points, features, proposal_index, n_proposals):
        encoded = self.layer(torch.cat([points, features], 1)).relu()
        pooled = encoded.new_zeros(n_proposals, encoded.shape[1])
        return pooled.index_add(0, proposal_index, encoded)


def reference_loss(class_logits, score_logits, iou, labels, threshold) -> tuple[float, float]:
    """L_sem and Equation 5, term by term."""
    score, label = [], []
    for logits, s, u, y in zip(
        *(x.tolist() for x in (class_logits, score_logits, iou, labels)), strict=True
    ):
        v = 1 / (1 + math.exp(-s))
        score.append(-(u * math.log(v) + (1 - u) * math.log(1 - v)))
        if u > threshold and y >= 0:
            label.append(math.log(sum(math.exp(z) for z in logits)) - logits[y])
    return sum(label) / max(len(label), 1), sum(score) / len(score)


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0.25, 0.5]))
def test_loss_is_equation_5_and_cross_entropy(seed, m, threshold):
    generator = torch.Generator().manual_seed(seed)
    class_logits = torch.randn(m, 4, generator=generator).double()
    score_logits = torch.randn(m, generator=generator).double()
    iou = torch.randint(0, 9, (m,), generator=generator).double() / 8  # meets the threshold
    labels = torch.randint(-1, 4, (m,), generator=generator)
    loss = recorrection_loss(class_logits, score_logits, iou, labels, iou_threshold=threshold)
    label, score = reference_loss(class_logits, score_logits, iou, labels, threshold)
    assert loss.label.item() == pytest.approx(label, abs=1e-12)
    assert loss.score.item() == pytest.approx(score, abs=1e-12)
    assert loss.total.item() == pytest.approx(label + score, abs=1e-12)


def test_iou_of_one_half_has_no_class():
    logits, labels = torch.tensor([[3.0, 0.0]]), torch.tensor([1])
    loss = recorrection_loss(logits, torch.zeros(1), torch.tensor([0.5]), labels)
    assert loss.label == 0


@pytest.mark.parametrize("m", [0, 2])
def test_without_a_clean_proposal_the_loss_keeps_its_gradient(m):
    class_logits = torch.ones(m, 3, requires_grad=True)
    score_logits = torch.ones(m, requires_grad=True)
    labels = torch.full((m,), -1)
    loss = recorrection_loss(class_logits, score_logits, torch.zeros(m), labels)
    loss.total.backward()
    assert loss.label == 0
    assert class_logits.grad.abs().sum() == 0
    assert score_logits.grad.isfinite().all()


def test_loss_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, generator=generator).double().requires_grad_()
    scores = torch.randn(4, generator=generator).double().requires_grad_()
    iou, labels = torch.tensor([0.9, 0.2, 0.6, 1.0]).double(), torch.tensor([0, 1, 2, 1])
    assert torch.autograd.gradcheck(
        lambda c, s: recorrection_loss(c, s, iou, labels).total, (logits, scores)
    )


@pytest.mark.parametrize("iou", [[-0.25, 0.5], [0.5, 1.5], [0.5, float("nan")]])
def test_loss_rejects_what_is_no_iou(iou):
    with pytest.raises(ValueError, match=r"iou must lie in \[0, 1\], got"):
        recorrection_loss(
            torch.zeros(2, 3), torch.zeros(2), torch.tensor(iou), torch.tensor([0, 1])
        )


def test_rectify_chooses_among_the_foreground():
    output = Recorrection(torch.tensor([[9.0, 1, 5, 7], [0, 3, 2, 9]]), torch.tensor([0.0, 30.0]))
    labels, scores = output.rectify((2, 1))
    assert labels.tolist() == [2, 1]
    assert_close(scores, torch.tensor([0.5, 1.0]))


def test_class_probabilities_are_a_softmax_over_the_foreground():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = Recorrection(logits, torch.zeros(5)).class_probabilities((3, 1))
    assert (found[:, [0, 2]] == 0).all()
    assert_close(found[:, [1, 3]], logits[:, [1, 3]].softmax(dim=1))


@pytest.mark.parametrize("foreground", [(), (4,), (-1, 2)])
@pytest.mark.parametrize(
    "method",
    [Recorrection.rectify, Recorrection.class_probabilities],
)
def test_rectify_rejects(method, foreground):
    with pytest.raises(ValueError, match="foreground must hold train ids below 4, got"):
        method(Recorrection(torch.zeros(1, 4), torch.zeros(1)), foreground)


def test_module_passes_everything_to_the_encoder_and_learns():
    torch.manual_seed(0)
    module = ProposalRecorrector(Pooling(3 + 2, 8), 8, n_classes=3, hidden=16)
    index = torch.arange(4).repeat_interleave(6)
    points, features = torch.randn(24, 3), torch.randn(24, 2)
    labels, iou = torch.tensor([0, 1, 2, 1]), torch.tensor([1.0, 0.9, 0.6, 0.1])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(200):
        output = module(points, features, index, 4)
        optimizer.zero_grad()
        recorrection_loss(*output, iou, labels).total.backward()
        optimizer.step()
    predicted, scores = output.rectify(range(3))
    assert predicted[:3].tolist() == [0, 1, 2]  # the fourth is not clean enough to be learned
    assert_close(scores, iou, atol=0.05, rtol=0)


def test_module_treats_no_proposals():
    output = ProposalRecorrector(Pooling(4, 8), 8, n_classes=3)(
        torch.zeros(0, 3), torch.zeros(0, 1), torch.zeros(0, dtype=torch.long), 0
    )
    assert output.class_logits.shape == (0, 3)
    assert output.score_logits.shape == (0,)
