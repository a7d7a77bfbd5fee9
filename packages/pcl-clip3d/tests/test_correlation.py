import math

import pytest
import torch
from torch.nn.functional import log_softmax, softmax

from pcl_clip3d.correlation import CorrelationTransformer, feedback_distillation


def features(n: int, d: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def attention(rows, layer, n_heads):
    """The sum of each row over the others, head by head, in loops."""
    queries, keys, values = layer.qkv(rows).detach().chunk(3, dim=1)
    size = rows.shape[1] // n_heads
    out = torch.zeros_like(rows)
    for head in range(n_heads):
        part = slice(head * size, (head + 1) * size)
        for m in range(len(rows)):
            scores = [float(queries[m, part] @ key) / math.sqrt(size) for key in keys[:, part]]
            weights = torch.tensor(scores).softmax(dim=0)
            out[m, part] = sum(w * v for w, v in zip(weights, values[:, part], strict=True))
    return out


@pytest.mark.parametrize("n_heads", [1, 2])
def test_linear_block_is_equation_3(n_heads):
    torch.manual_seed(0)
    transformer = CorrelationTransformer(8, n_layers=1, n_heads=n_heads, block="linear")
    (layer,) = transformer.layers
    rows = features(5)
    tilde = rows + attention(rows, layer, n_heads)
    expected = tilde + tilde @ layer.linear.weight.T + layer.linear.bias
    torch.testing.assert_close(transformer(rows), expected, atol=1e-5, rtol=0)


def test_vit_block_is_that_of_torch():
    torch.manual_seed(0)
    transformer = CorrelationTransformer(8, n_layers=1, n_heads=2)
    (layer,) = transformer.layers
    peer = torch.nn.TransformerEncoderLayer(
        8, 2, 32, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    names = {
        "self_attn.in_proj_weight": layer.qkv.weight,
        "self_attn.in_proj_bias": layer.qkv.bias,
        "self_attn.out_proj.weight": layer.out.weight,
        "self_attn.out_proj.bias": layer.out.bias,
        "linear1.weight": layer.mlp[0].weight,
        "linear1.bias": layer.mlp[0].bias,
        "linear2.weight": layer.mlp[2].weight,
        "linear2.bias": layer.mlp[2].bias,
        "norm1.weight": layer.norm_1.weight,
        "norm1.bias": layer.norm_1.bias,
        "norm2.weight": layer.norm_2.weight,
        "norm2.bias": layer.norm_2.bias,
    }
    peer.load_state_dict(names)
    rows = features(6)
    torch.testing.assert_close(transformer(rows), peer(rows[None])[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("block", ["vit", "linear"])
def test_points_see_those_of_their_own_scene_alone(block):
    transformer = CorrelationTransformer(8, n_layers=2, n_heads=2, block=block)
    rows, scenes = features(7), torch.tensor([0, 0, 0, 2, 2, 2, 2])
    together = transformer(rows, scenes)
    torch.testing.assert_close(together[:3], transformer(rows[:3]))
    torch.testing.assert_close(together[3:], transformer(rows[3:]))
    assert not torch.allclose(together, transformer(rows))


def test_the_order_of_points_does_not_matter():
    transformer, rows = CorrelationTransformer(8, n_heads=2), features(6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(transformer(rows[order]), transformer(rows)[order])


def test_every_point_has_a_gradient_from_every_other():
    transformer, rows = CorrelationTransformer(8, n_layers=1, n_heads=2), features(4)
    rows.requires_grad_()
    transformer(rows)[0].sum().backward()
    assert (rows.grad.abs().sum(dim=1) > 0).all()


def test_no_points_give_none():
    transformer = CorrelationTransformer(8, n_heads=2)
    empty = torch.zeros(0, dtype=torch.int64)
    assert transformer(torch.zeros(0, 8), empty).shape == (0, 8)
    assert transformer(torch.zeros(0, 8)).shape == (0, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"channels": 8, "n_layers": 0}, "n_layers must be at least 1"),
        ({"channels": 8, "n_heads": 3}, "n_heads must divide the 8 channels, got 3"),
        ({"channels": 8, "block": "mlp"}, "block must be one of vit, linear, got mlp"),
    ],
)
def test_a_transformer_that_cannot_be_built_says_why(arguments, message):
    with pytest.raises(ValueError, match=message):
        CorrelationTransformer(**arguments)


def test_scenes_that_are_mixed_up_are_refused():
    transformer = CorrelationTransformer(8, n_heads=2)
    with pytest.raises(ValueError, match="groups must be ascending"):
        transformer(features(3), torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="groups must have shape"):
        transformer(features(3), torch.tensor([0, 1]))


def test_feedback_is_equation_8():
    student, teacher = features(3), features(3, seed=1)
    total = 0.0
    for f, target in zip(student, teacher, strict=True):
        p = softmax(target, dim=0)
        total += float((p * (p.log() - log_softmax(f, dim=0))).sum())
    assert float(feedback_distillation(student, teacher)) == pytest.approx(total / 3, rel=1e-5)


def test_only_the_network_learns_from_feedback():
    student, teacher = features(3).requires_grad_(), features(3, seed=1).requires_grad_()
    feedback_distillation(student, teacher).backward()
    assert teacher.grad is None
    # Of KL(p || softmax(f)) with respect to f: softmax(f) - p, over the number of rows.
    expected = (softmax(student, dim=1) - softmax(teacher, dim=1)).detach() / 3
    torch.testing.assert_close(student.grad, expected)


def test_feedback_of_nothing_is_refused():
    with pytest.raises(ValueError, match="features must have at least one row, got 0"):
        feedback_distillation(torch.zeros(0, 4), torch.zeros(0, 4))
