"""Tests of pcl_contrastive.momentum_encoder."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from pcl_contrastive.momentum_encoder import MomentumEncoder


def encoder(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def step(module: nn.Module, seed: int) -> None:
    """What an optimiser might do: other parameters and other statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    module(torch.randn(8, 3, generator=generator))


def test_parameters_are_those_of_the_equation_from_the_first_update_on():
    student = encoder()
    teacher = MomentumEncoder(student, momentum=0.9)
    expected = [parameter.detach().double() for parameter in student.parameters()]
    for seed in range(5):
        step(student, seed)
        teacher.update(student)
        for i, parameter in enumerate(student.parameters()):
            expected[i] = 0.9 * expected[i] + 0.1 * parameter.detach().double()
        for found, wanted in zip(teacher.parameters(), expected, strict=True):
            assert torch.allclose(found.double(), wanted, atol=1e-5)  # rounding of float32


def test_updates_leave_buffers_alone_and_forward_passes_move_them():
    student = encoder()
    teacher = MomentumEncoder(student)
    step(student, 0)
    before = [buffer.clone() for buffer in teacher.buffers()]
    teacher.update(student)
    assert all(torch.equal(a, b) for a, b in zip(teacher.buffers(), before, strict=True))
    teacher(torch.randn(8, 3) + 5)
    assert not torch.equal(teacher.encoder[1].running_mean, before[0])
    teacher.eval()
    kept = teacher.encoder[1].running_mean.clone()
    teacher(torch.randn(8, 3))
    assert torch.equal(teacher.encoder[1].running_mean, kept)


def test_it_starts_equal_and_shares_nothing():
    student = encoder().eval()
    teacher = MomentumEncoder(student)
    x = torch.randn(4, 3)
    before = student(x)
    assert torch.equal(teacher(x), before)
    step(student, 0)
    assert torch.equal(teacher(x), before)


def test_it_has_no_gradients_and_leaves_those_of_the_encoder():
    student = encoder()
    teacher = MomentumEncoder(student)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert not teacher(torch.randn(4, 3, requires_grad=True)).requires_grad
    step(student, 0)
    teacher.update(student)
    assert all(parameter.grad_fn is None for parameter in teacher.parameters())


def test_a_resumed_copy_continues_the_same():
    student = encoder()
    teacher = MomentumEncoder(student, momentum=0.5)
    step(student, 0)
    teacher.update(student)
    resumed = MomentumEncoder(encoder(seed=7), momentum=0.5)
    resumed.load_state_dict(copy.deepcopy(teacher.state_dict()))
    step(student, 1)
    for one in (teacher, resumed):
        one.update(student)
    assert all(
        torch.equal(a, b)
        for a, b in zip(teacher.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_parametrised_modules_are_averaged_in_their_own_parameters():
    student = weight_norm(nn.Linear(2, 2))
    teacher = MomentumEncoder(student, momentum=0.75)
    with torch.no_grad():
        student.parametrizations.weight.original0.add_(4.0)
    length = teacher.encoder.parametrizations.weight.original0.clone()
    teacher.update(student)
    assert torch.allclose(teacher.encoder.parametrizations.weight.original0, length + 1.0)
    assert not teacher(torch.randn(3, 2)).requires_grad


def test_parameters_of_two_types_are_averaged():
    student = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False).double())
    teacher = MomentumEncoder(student, momentum=0.5)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    before = [parameter.clone() for parameter in teacher.parameters()]
    teacher.update(student)
    for a, b in zip(teacher.parameters(), before, strict=True):
        assert torch.allclose(a, b + 0.5)


def test_keyword_arguments_reach_the_encoder():
    class Scaled(nn.Linear):
        def forward(self, x: torch.Tensor, *, scale: float) -> torch.Tensor:
            return super().forward(x) * scale

    student = Scaled(2, 2)
    x = torch.randn(3, 2)
    assert torch.equal(MomentumEncoder(student)(x, scale=2.0), student(x, scale=2.0))


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_a_momentum_outside_zero_and_one_is_refused(momentum):
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\], got"):
        MomentumEncoder(encoder(), momentum=momentum)


def test_another_encoder_is_refused():
    teacher = MomentumEncoder(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="encoder must have the parameters of the copy"):
        teacher.update(nn.Linear(2, 1))
