"""Tests of pcl_contrastive.scene_context."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed
from torch.nn import functional
from torch.testing import assert_close

from pcl_contrastive import scene_context
from pcl_contrastive.point_contrast import hardest_contrastive_loss, point_info_nce
from pcl_contrastive.scene_context import scene_context_loss, scene_context_partition
from pcl_contrastive.volumes import volume_info_nce

COUNTS = (1, 2, 4, 8, 16, 32, 64)
SECTORS = {8: (2, 2), 16: (4, 2), 32: (4, 4), 64: (8, 4)}


def reference_partition(points, n_partitions, inner=0.05, outer=0.5) -> list[list[int]]:
    """The rules, one pair after the other."""
    rows = points.tolist()
    table = [[-1] * len(rows) for _ in rows]
    for i, anchor in enumerate(rows):
        for k, other in enumerate(rows):
            x, y, z = (b - a for a, b in zip(anchor, other, strict=True))
            distance = math.sqrt(x * x + y * y + z * z)
            if n_partitions == 1:
                table[i][k] = -1 if i == k else 0
            elif n_partitions == 2:
                table[i][k] = -1 if z == 0 else int(z < 0)
            elif n_partitions == 4:
                if z != 0 and distance > inner:
                    table[i][k] = int(z < 0) + 2 * (distance > outer)
            elif distance >= inner:
                n_xy, n_zy = SECTORS[n_partitions]
                xy = int(math.atan2(y, x) % (2 * math.pi) * n_xy / (2 * math.pi))
                zy = int(math.atan2(y, z) % math.pi * n_zy / math.pi)
                angle = min(xy, n_xy - 1) * n_zy + min(zy, n_zy - 1)
                table[i][k] = angle + n_xy * n_zy * (distance >= outer)
    return table


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def reference_loss(queries, keys, partition, n_partitions, temperature) -> float:
    """Equation 3, one anchor and one partition after the other."""
    queries, keys = (functional.normalize(x.double()).tolist() for x in (queries, keys))
    table, terms = partition.tolist(), []
    for p in range(n_partitions):
        for i, query in enumerate(queries):
            logits = [dot(query, key) / temperature for key in keys]
            chosen = [logits[k] for k in range(len(keys)) if k == i or table[i][k] == p]
            top = max(chosen)
            terms.append(top + math.log(sum(math.exp(x - top) for x in chosen)) - logits[i])
    return sum(terms) / len(terms)


def scene(seed, n, dtype=torch.double) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features and points in a cube of 1.2 m, where near and far are both common."""
    generator = torch.Generator().manual_seed(seed)
    queries, keys = torch.randn(2, n, 5, generator=generator, dtype=dtype)
    return queries, keys, torch.rand(n, 3, generator=generator, dtype=dtype) * 1.2


def turned(points, angle) -> torch.Tensor:
    """The points, turned about z."""
    c, s = math.cos(angle), math.sin(angle)
    return points @ torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]], dtype=points.dtype)


@given(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from(COUNTS))
def test_partition_is_that_of_the_rules(seed, n, n_partitions):
    points = scene(seed, n)[2]
    found = scene_context_partition(points, n_partitions=n_partitions)
    assert found.dtype == torch.int8
    assert found.tolist() == reference_partition(points, n_partitions)


@pytest.mark.parametrize(("scale", "first"), [(0.125, 0), (1.0, 4)])
def test_octants_in_eight_partitions(scale, first):
    # Worked out by hand: y > 0 is the first half circle of xy; atan2(y, z) modulo pi is in the
    # first quarter where y and z have the same sign. x only matters where y is 0.
    octants = [(x, y, z) for y in (1, -1) for z in (1, -1) for x in (1, -1)]
    points = torch.tensor([(0, 0, 0), *octants]) * scale
    expected = [0, 0, 1, 1, 3, 3, 2, 2]
    assert scene_context_partition(points)[0].tolist() == [-1] + [p + first for p in expected]


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_directions_along_the_axes(dtype):
    # Angles xy 0, pi, pi/2, 3 pi/2 and 0 (along z), zy 0, 0, pi/2, pi/2 (modulo pi), 0 and 0.
    # Many copies, as torch computes long rows in another way than short ones.
    axes = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    points = torch.tensor([(0, 0, 0), *axes * 8], dtype=dtype) / 4
    assert scene_context_partition(points)[0].tolist() == [-1, *[0, 2, 1, 3, 0, 0] * 8]


@pytest.mark.parametrize("n_partitions", sorted(SECTORS))
def test_an_angle_just_below_zero_is_in_the_last_sector(n_partitions):
    n_xy, n_zy = SECTORS[n_partitions]
    points = torch.tensor([[0.0, 0, 0], [0.25, -1e-20, 0.25]])
    partition = scene_context_partition(points, n_partitions=n_partitions)
    assert partition[0, 1] == n_xy * n_zy - 1


def test_four_partitions_at_their_borders():
    heights = [0.0, 0.05, -0.05, 0.0625, -0.5, 0.5, 0.5625, -0.5625]
    points = torch.tensor([(0, 0, z) for z in heights] + [(1.0, 0, 0)])
    partition = scene_context_partition(points, n_partitions=4)
    assert partition[0].tolist() == [-1, -1, -1, 0, 1, 0, 2, 3, -1]


def test_full_partition_at_its_borders():
    points = torch.tensor([(z, 0, 0) for z in (0.0, 0.0499, 0.05, 0.4999, 0.5)])
    assert scene_context_partition(points)[0].tolist() == [-1, -1, 0, 0, 4]


def test_radii_are_in_metres():
    points = torch.tensor([[0.0, 0, 0], [0, 0, 1.0], [0, 0, 3.0], [0, 0, 9.0]])
    partition = scene_context_partition(points, inner_radius=2.0, outer_radius=4.0)
    assert partition[0].tolist() == [-1, -1, 0, 4]


@given(st.integers(0, 10_000), st.sampled_from(COUNTS))
def test_partitions_and_the_ignored_are_everything(seed, n_partitions):
    points = scene(seed, 30)[2]
    partition = scene_context_partition(points, n_partitions=n_partitions)
    ignored = torch.eye(30, dtype=torch.bool)
    if n_partitions >= 4:
        ignored |= torch.cdist(points, points) < 0.05
    assert ((partition == -1) == ignored).all()
    assert partition.max() < n_partitions


@pytest.mark.parametrize("n_partitions", COUNTS)
def test_partition_follows_a_permutation_and_ignores_a_shift(n_partitions):
    points = (scene(0, 20)[2] * 16).round() / 16  # sums and differences are exact
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    partition = scene_context_partition(points, n_partitions=n_partitions)
    moved = points[order] + torch.tensor([8.0, -2.5, 1.25])
    found = scene_context_partition(moved, n_partitions=n_partitions)
    assert (found == partition[order][:, order]).all()


@pytest.mark.parametrize("n_partitions", COUNTS)
def test_only_up_to_four_partitions_turn_with_the_scene(n_partitions):
    points = scene(0, 40)[2]
    partition = scene_context_partition(points, n_partitions=n_partitions)
    found = scene_context_partition(turned(points, 1.0), n_partitions=n_partitions)
    assert (found == partition).all() == (n_partitions <= 4)


def test_partition_does_not_depend_on_chunks(monkeypatch):
    points = scene(0, 30)[2]
    whole = [scene_context_partition(points, n_partitions=p) for p in COUNTS]
    monkeypatch.setattr(scene_context, "CPU_CHUNK", 7 * 30)
    for n_partitions, expected in zip(COUNTS, whole, strict=True):
        assert (scene_context_partition(points, n_partitions=n_partitions) == expected).all()


@given(
    st.integers(0, 10_000),
    st.integers(1, 9),
    st.sampled_from(COUNTS),
    st.sampled_from([0.03, 0.4, 2.0]),
)
def test_loss_is_equation_3(seed, n, n_partitions, temperature):
    queries, keys, points = scene(seed, n)
    partition = scene_context_partition(points, n_partitions=n_partitions)
    loss = scene_context_loss(
        queries, keys, points, n_partitions=n_partitions, temperature=temperature
    )
    expected = reference_loss(queries, keys, partition, n_partitions, temperature)
    assert loss.item() == pytest.approx(expected, abs=1e-10)


def obvious(queries, keys, partition, n_partitions, temperature) -> torch.Tensor:
    """Equation 3 by whole matrices, to be differentiated."""
    logits = functional.normalize(queries) @ functional.normalize(keys).T / temperature
    target, loss = torch.arange(len(queries)), 0.0
    for p in range(n_partitions):
        left_out = (partition != p) & ~torch.eye(len(queries), dtype=torch.bool)
        loss += functional.cross_entropy(logits.masked_fill(left_out, -torch.inf), target)
    return loss / n_partitions


@pytest.mark.parametrize("n_partitions", COUNTS)
@pytest.mark.parametrize("temperature", [0.01, 0.4])
def test_gradient_is_that_of_the_whole_matrix(monkeypatch, n_partitions, temperature):
    monkeypatch.setattr(scene_context, "CPU_CHUNK", 7 * 60)  # several chunks, the last smaller
    queries, keys, points = scene(0, 60)
    partition = scene_context_partition(points, n_partitions=n_partitions)
    inputs = [queries.requires_grad_(), keys.requires_grad_()]
    expected = obvious(*inputs, partition, n_partitions, temperature)
    found = scene_context_loss(*inputs, points, n_partitions=n_partitions, temperature=temperature)
    assert_close(found, expected)
    gradients = torch.autograd.grad(3 * found, inputs)
    assert_close(gradients, torch.autograd.grad(3 * expected, inputs))


def test_gradcheck(monkeypatch):
    monkeypatch.setattr(scene_context, "CPU_CHUNK", 3 * 7)
    queries, keys, points = scene(3, 7)
    inputs = queries.requires_grad_(), keys.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: scene_context_loss(q, k, points), inputs)


def test_only_one_side_needs_a_gradient():
    queries, keys, points = scene(0, 9)
    scene_context_loss(queries.requires_grad_(), keys, points).backward()
    assert queries.grad.abs().sum() > 0
    assert keys.grad is None


def test_second_derivative_is_refused():
    queries, keys, points = scene(0, 4)
    loss = scene_context_loss(queries.requires_grad_(), keys, points)
    with pytest.raises(RuntimeError, match="scene_context_loss has no second derivative"):
        torch.autograd.grad(loss, queries, create_graph=True)


@pytest.mark.parametrize("temperature", [0.01, 0.4])
def test_one_partition_is_point_info_nce(temperature):
    queries, keys, points = scene(0, 40)
    points[:20] = 0  # however close they are
    loss = scene_context_loss(queries, keys, points, temperature=temperature, n_partitions=1)
    assert_close(loss, point_info_nce(queries, keys, temperature=temperature))


@pytest.mark.parametrize("n_partitions", COUNTS)
def test_equal_features_give_the_log_of_the_number_of_columns(n_partitions):
    points = scene(0, 50)[2]
    partition = scene_context_partition(points, n_partitions=n_partitions)
    counts = torch.stack([(partition == p).sum(1) for p in range(n_partitions)])
    loss = scene_context_loss(
        torch.ones(50, 3), torch.ones(50, 3), points, n_partitions=n_partitions
    )
    assert_close(loss, (1 + counts).log().mean())


def test_distinct_features_reach_the_floor():
    points, features = scene(0, 50)[2], torch.eye(50)
    partition = scene_context_partition(points)
    counts = torch.stack([(partition == p).sum(1) for p in range(8)])
    for temperature in (0.4, 0.1, 0.02):
        loss = scene_context_loss(features, features, points, temperature=temperature)
        floor = (1 + counts * math.exp(-1 / temperature)).log().mean()
        assert_close(loss, floor, rtol=1e-5, atol=1e-5)  # logits of 50 in single precision
    assert loss < 1e-6


def test_a_partition_far_below_the_best_logit_keeps_its_loss():
    # Logits of row 0: 100 above, where a key equals the query; -100 below, as its own positive.
    # exp(-200) is no number of single precision.
    queries = torch.tensor([[1.0, 0], [0, 1], [0, 1]], requires_grad=True)
    keys = torch.tensor([[-1.0, 0], [1, 0], [-1, 0]], requires_grad=True)
    points = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, -1]])
    loss = scene_context_loss(queries, keys, points, temperature=0.01, n_partitions=2)
    # Row 0: 200 up, log 2 down. Row 1: nothing up, log 3 down. Row 2: log 3 up, nothing down.
    assert_close(loss, torch.tensor((200 + math.log(2) + 2 * math.log(3)) / 6))
    loss.backward()
    inputs = [x.detach().double().requires_grad_() for x in (queries, keys)]
    partition = scene_context_partition(points, n_partitions=2)
    obvious(*inputs, partition, 2, 0.01).backward()
    assert_close(queries.grad.double(), inputs[0].grad, rtol=1e-5, atol=1e-5)
    assert_close(keys.grad.double(), inputs[1].grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_partitions", COUNTS)
def test_low_temperature_in_single_precision(n_partitions):
    queries, keys, points = scene(0, 40, torch.float)
    partition = scene_context_partition(points, n_partitions=n_partitions)
    loss = scene_context_loss(queries, keys, points, temperature=0.01, n_partitions=n_partitions)
    expected = reference_loss(queries, keys, partition, n_partitions, 0.01)
    assert loss.item() == pytest.approx(expected, rel=1e-5)  # of logits up to 100


def test_empty_partitions_add_nothing():
    queries, keys = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0, 1.0], [0, 1]])
    points = torch.tensor([[0.0, 0, 0], [0, 0, 1]])
    # Of 2 x 8 terms only that of row 0 and that of row 1 have a negative; both logits are equal.
    loss = scene_context_loss(queries, keys, points)
    assert_close(loss, torch.tensor(2 * math.log(2) / 16))


def test_one_row_or_coincident_points_have_no_loss():
    for n in (1, 5):
        queries, keys, _ = scene(0, n)
        loss = scene_context_loss(queries.requires_grad_(), keys, torch.ones(n, 3))
        loss.backward()
        assert loss == 0
        assert_close(queries.grad, torch.zeros_like(queries), atol=1e-15, rtol=0)


@pytest.mark.parametrize("n_partitions", COUNTS)
def test_loss_ignores_order_and_lengths_of_features(n_partitions):
    queries, keys, points = scene(0, 30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    loss = scene_context_loss(queries, keys, points, n_partitions=n_partitions)
    found = scene_context_loss(
        5 * queries[order], keys[order] / 3, points[order], n_partitions=n_partitions
    )
    assert_close(found, loss)


def test_half_a_turn_exchanges_partitions():
    queries, keys, points = scene(0, 30)
    loss = scene_context_loss(queries, keys, points)
    assert_close(scene_context_loss(queries, keys, turned(points, math.pi)), loss)
    quarter = scene_context_loss(queries, keys, turned(points, math.pi / 2))
    assert abs(quarter - loss) > 1e-3


def test_radii_reach_the_loss():
    queries, keys, points = scene(0, 30)
    radii = {"inner_radius": 0.2, "outer_radius": 0.7}
    partition = scene_context_partition(points, **radii)
    loss = scene_context_loss(queries, keys, points, **radii)
    assert_close(loss.item(), reference_loss(queries, keys, partition, 8, 0.4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float])
def test_autocast_is_single_precision(dtype):
    queries, keys, points = scene(0, 40, torch.float)
    queries, keys = queries.to(dtype).requires_grad_(), keys.to(dtype)
    expected = scene_context_loss(queries.detach().float(), keys.float(), points)
    with torch.autocast("cpu", torch.bfloat16):
        loss = scene_context_loss(queries, keys, points)
    loss.backward()
    assert loss.dtype == torch.float
    assert_close(loss.detach(), expected, rtol=1e-6, atol=0)
    assert queries.grad.dtype == dtype


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("n_partitions", [1, 4, 8])
def test_gpu_agrees_with_cpu(n_partitions):
    inputs = [x.requires_grad_() for x in scene(0, 300)]
    on_gpu = [x.detach().cuda().requires_grad_() for x in inputs]
    loss = scene_context_loss(*inputs, n_partitions=n_partitions)
    found = scene_context_loss(*on_gpu, n_partitions=n_partitions)
    assert_close(found.cpu(), loss)
    loss.backward()
    found.backward()
    assert_close(on_gpu[0].grad.cpu(), inputs[0].grad)
    assert_close(on_gpu[1].grad.cpu(), inputs[1].grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_partitions": 6}, r"n_partitions must be one of \(1, 2, 4, .*64\), got 6"),
        ({"n_partitions": 128}, "n_partitions must be one of"),
        ({"inner_radius": 0.0}, "inner_radius must be positive and below outer_radius, got 0.0"),
        ({"outer_radius": 0.05}, "inner_radius must be positive and below outer_radius, got"),
        ({"outer_radius": math.nan}, "inner_radius must be positive and below outer_radius, got"),
    ],
)
def test_what_is_no_division_of_space(options, message):
    queries, keys, points = scene(0, 3)
    with pytest.raises(ValueError, match=message):
        scene_context_partition(points, **options)
    with pytest.raises(ValueError, match=message):
        scene_context_loss(queries, keys, points, **options)


def test_points_that_are_not_finite():
    with pytest.raises(ValueError, match="points must be finite, got NaN or infinity"):
        scene_context_partition(torch.tensor([[0.0, 0.0, torch.nan]]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be positive, got"):
        scene_context_loss(*scene(0, 3), temperature=temperature)


def test_no_rows():
    with pytest.raises(ValueError, match=r"queries must have at least one row, got shape \(0, 5\)"):
        scene_context_loss(*scene(0, 0))


def gradient_of_scenes(rank: int, size: int) -> torch.Tensor:
    """Of every size-th scene, so that the mean over processes is the mean over scenes."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 8)
    scenes = [torch.randn(2, n, 6) for n in (20, 31, 12, 25)]
    for view_a, view_b in scenes[rank::size]:
        a, b = layer(view_a), layer(view_b)
        matches = torch.arange(len(a))[:, None].repeat(1, 2)
        loss = scene_context_loss(a, b, view_a[:, :3]) + point_info_nce(a, b, temperature=0.4)
        loss = loss + hardest_contrastive_loss(a, b, matches).loss + volume_info_nce(a, b)
        (loss * size / len(scenes)).backward()
    return layer.weight.grad


def run_process(rank: int, size: int, folder: str) -> None:
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    gradient = gradient_of_scenes(rank, size)
    distributed.all_reduce(gradient)
    torch.save(gradient / size, f"{folder}/{rank}")
    distributed.destroy_process_group()


def test_two_processes_have_the_gradient_of_one(tmp_path):
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), "2", str(tmp_path)])
        for rank in range(2)
    ]
    one = gradient_of_scenes(0, 1)
    assert [process.wait(timeout=100) for process in started] == [0, 0]
    first, second = (torch.load(tmp_path / str(rank)) for rank in range(2))
    assert (first == second).all()
    assert_close(first, one, rtol=0, atol=1e-5)  # other order of summation
    assert one.abs().max() > 0.1


if __name__ == "__main__":
    run_process(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
