"""Tests of pcl_calibration.soft_target_loss."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from pcl_calibration.soft_target_loss import federated_classes, soft_target_loss

seeds = st.integers(0, 10_000)


def random_rows(seed, head, n=4, c=5):
    generator = torch.Generator().manual_seed(seed)
    logits, targets = torch.randn(2, n, c, generator=generator, dtype=torch.double)
    return 3 * logits, targets.softmax(dim=1) if head == "softmax" else targets.sigmoid()


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@given(seeds, st.integers(1, 5))
def test_softmax_is_its_equation(seed, n):
    logits, targets = random_rows(seed, "softmax", n)
    loss = 0.0
    for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(x) for x in z))
        loss -= sum(p * (x - log_sum) for p, x in zip(y, z, strict=True)) / n
    assert soft_target_loss(logits, targets).item() == pytest.approx(loss, abs=1e-12)


@given(seeds, st.integers(1, 5), st.sampled_from([None, [0], [4, 1], [0, 1, 2, 3, 4]]))
def test_sigmoid_is_its_equation(seed, n, classes):
    logits, targets = random_rows(seed, "sigmoid", n)
    loss = 0.0
    for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
        for i in classes or range(5):
            p = sigmoid(z[i])
            loss -= (y[i] * math.log(p) + (1 - y[i]) * math.log(1 - p)) / n
    kept = None if classes is None else torch.tensor(classes)
    found = soft_target_loss(logits, targets, head="sigmoid", classes=kept)
    assert found.item() == pytest.approx(loss, abs=1e-11)


def test_one_hot_targets_give_the_usual_losses():
    logits, _ = random_rows(0, "softmax")
    labels = torch.tensor([3, 0, 4, 4])
    targets = functional.one_hot(labels, 5).double()
    assert_close(soft_target_loss(logits, targets), functional.cross_entropy(logits, labels))
    usual = functional.binary_cross_entropy_with_logits(logits, targets)  # mean over classes too
    assert_close(soft_target_loss(logits, targets, head="sigmoid"), 5 * usual)


@given(seeds, st.sampled_from(["softmax", "sigmoid"]))
def test_the_targets_themselves_are_best(seed, head):
    other, targets = random_rows(seed, head)
    best = targets.log() if head == "softmax" else targets.logit()
    least = soft_target_loss(best, targets, head=head)
    assert least <= soft_target_loss(other, targets, head=head)
    best.requires_grad_()
    soft_target_loss(best, targets, head=head).backward()
    assert best.grad.abs().max() < 1e-12


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_gradient(head):
    logits, targets = random_rows(0, head)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: soft_target_loss(z, targets, head=head), logits)


def test_classes_left_out_have_no_gradient():
    logits, targets = random_rows(0, "sigmoid")
    logits.requires_grad_()
    soft_target_loss(logits, targets, head="sigmoid", classes=torch.tensor([3, 1])).backward()
    assert (logits.grad != 0).any(dim=0).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_half_precision_and_autocast_are_computed_in_single(head):
    logits, targets = (rows.float() for rows in random_rows(0, head))
    logits = logits.bfloat16()
    expected = soft_target_loss(logits.float(), targets, head=head)
    with torch.autocast("cpu", torch.bfloat16):
        found = soft_target_loss(logits, targets.double(), head=head)
    assert found.dtype == torch.float
    assert torch.equal(found, expected)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_large_logits_stay_finite(head):
    loss = soft_target_loss(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]), head=head)
    assert loss.item() == 2e4


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_no_rows_are_zero_and_differentiable(head):
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = soft_target_loss(logits, torch.zeros(0, 3), head=head)
    loss.backward()
    assert loss.item() == 0


def test_background_counts_as_a_row():
    logits = torch.tensor([[2.0, -1.0], [-40.0, -40.0]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    both = soft_target_loss(logits, targets, head="sigmoid")
    assert_close(2 * both, soft_target_loss(logits[:1], targets[:1], head="sigmoid"))


def test_bad_rows_are_refused():
    targets = torch.eye(2)
    with pytest.raises(ValueError, match="logits must be finite"):
        soft_target_loss(torch.tensor([[0.0, math.nan], [0.0, 0.0]]), targets)
    for bad in (math.nan, 1.5, -0.5):
        with pytest.raises(ValueError, match=r"targets must lie in \[0, 1\], got"):
            soft_target_loss(torch.zeros(1, 2), torch.tensor([[0.0, bad]]), head="sigmoid")
    with pytest.raises(ValueError, match="rows of targets must sum to 1, got 0"):
        soft_target_loss(torch.zeros(1, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        soft_target_loss(torch.zeros(1, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"targets must have shape \(n, c\)"):
        soft_target_loss(torch.zeros(1, 2), torch.zeros(2, 2))
    unchecked = inspect.unwrap(soft_target_loss)  # users run without the checks of the tests
    with pytest.raises(ValueError, match="head must be 'sigmoid' or 'softmax', got 'x'"):
        unchecked(targets, targets, head="x")


@pytest.mark.parametrize(
    ("classes", "head", "message"),
    [
        ([0], "softmax", "classes must be None for a softmax head"),
        ([], "sigmoid", "classes must hold at least one class, got none"),
        ([2], "sigmoid", r"classes must lie in \[0, 2\), got \[2, 2\]"),
        ([-1], "sigmoid", r"classes must lie in \[0, 2\), got \[-1, -1\]"),
        ([1, 1], "sigmoid", r"classes must be distinct, got \[1, 1\]"),
    ],
)
def test_bad_classes_are_refused(classes, head, message):
    rows = torch.eye(2)
    with pytest.raises(ValueError, match=message):
        soft_target_loss(rows, rows, head=head, classes=torch.tensor(classes, dtype=torch.long))


@given(seeds, st.lists(st.integers(-1, 9), max_size=12), st.integers(1, 14))
def test_federated_classes_hold_the_present_ones_and_distinct_others(seed, present, n_kept):
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 3, (10,), generator=generator)
    classes = federated_classes(
        torch.tensor(present, dtype=torch.long), counts, n_kept, generator=generator
    ).tolist()
    wanted = {i for i in present if i >= 0}
    others = {i for i in range(10) if counts[i] > 0} - wanted
    assert classes == sorted(set(classes))
    assert wanted <= set(classes) <= wanted | others
    assert len(classes) == len(wanted) + min(max(n_kept - len(wanted), 0), len(others))


def test_others_are_drawn_by_the_square_root_of_their_images():
    generator = torch.Generator().manual_seed(0)
    counts, n_draws = torch.tensor([100, 1, 4, 9, 0]), 500
    drawn = torch.zeros(5)
    for _ in range(n_draws):
        drawn[federated_classes(torch.tensor([0]), counts, 2, generator=generator)] += 1
    # Three standard errors are 0.067 at most; chances 1 : 2 : 3 of the square roots.
    assert_close(drawn / n_draws, torch.tensor([1, 1 / 6, 2 / 6, 3 / 6, 0]), rtol=0, atol=0.07)


def test_draws_repeat_with_the_generator_and_fifty_are_kept():
    counts = torch.arange(1, 1204)
    first, second = (
        federated_classes(torch.tensor([7]), counts, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert len(first) == 50


def test_bad_federations_are_refused():
    counts = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="n_classes_kept must be at least 1, got 0"):
        federated_classes(torch.tensor([0]), counts, 0)
    for label in (2, -2):
        with pytest.raises(ValueError, match=r"present must lie in \[-1, 2\)"):
            federated_classes(torch.tensor([label]), counts)
    with pytest.raises(ValueError, match=r"image_counts must lie in \[0, inf\], got \[-1, 2\]"):
        federated_classes(torch.tensor([0]), torch.tensor([-1, 2]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_the_gpu_agrees(head):
    logits, targets = random_rows(0, head)
    classes = federated_classes(
        torch.tensor([4, 4]).cuda(), torch.tensor([1, 2, 0, 1, 9]).cuda(), 3
    )
    assert classes.tolist()[-1] == 4
    kept = {"classes": classes} if head == "sigmoid" else {}
    found = soft_target_loss(logits.cuda(), targets.cuda(), head=head, **kept)
    kept = {name: value.cpu() for name, value in kept.items()}
    assert_close(found.cpu(), soft_target_loss(logits, targets, head=head, **kept))
