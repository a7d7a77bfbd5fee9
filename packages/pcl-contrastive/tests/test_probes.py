"""Tests of pcl_contrastive.probes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_contrastive import probes
from pcl_contrastive.probes import fit_linear_probe, knn_probe, linear_probe


def blobs(seed: int, n: int, spread: float, *, n_classes: int = 4, n_channels: int = 6):
    """Points around one axis each; labels -1 to n_classes - 1, those of -1 anywhere."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, n_classes, (n,), generator=generator)
    noise = torch.randn(n, n_channels, generator=generator)
    return torch.eye(n_channels)[labels] + spread * noise, labels


def accuracy(predicted: torch.Tensor, labels: torch.Tensor) -> float:
    return (predicted == labels)[labels >= 0].float().mean().item()


def knn_by_loops(train, labels, features, n_neighbours, temperature) -> list[int]:
    result = []
    for query in features.tolist():
        votes: dict[int, float] = {}
        cosines = [
            (sum(a * b for a, b in zip(query, row, strict=True)) / math.hypot(*query))
            / math.hypot(*row)
            for row in train.tolist()
        ]
        labeled = [i for i, label in enumerate(labels.tolist()) if label >= 0]
        for i in sorted(labeled, key=lambda i: -cosines[i])[:n_neighbours]:
            label = labels[i].item()
            votes[label] = votes.get(label, 0.0) + math.exp(cosines[i] / temperature)
        result.append(max(votes, key=lambda label: votes[label]))
    return result


@given(
    st.integers(0, 10_000),
    st.integers(0, 5),
    st.integers(1, 12),
    st.sampled_from([0.07, 0.5, 10.0]),
)
def test_votes_are_those_of_a_loop(seed, m, n_neighbours, temperature):
    train, labels = blobs(seed, 40, 1.0)
    features, _ = blobs(seed + 1, m, 1.0)
    found = knn_probe(train, labels, features, n_neighbours=n_neighbours, temperature=temperature)
    assert found.tolist() == knn_by_loops(train, labels, features, n_neighbours, temperature)


def test_two_far_neighbours_outvote_one_near_only_at_a_high_temperature():
    """Cosines 1 and twice 0.6: e^(1 / T) against 2 e^(0.6 / T), equal at T = 0.4 / log 2 = 0.58."""
    train = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    labels, query = torch.tensor([5, 9, 9]), torch.tensor([[2.0, 0.0]])
    for temperature, expected in [(0.5, 5), (0.65, 9), (1e-4, 5)]:
        found = knn_probe(train, labels, query, n_neighbours=3, temperature=temperature)
        assert found.tolist() == [expected]


def test_equal_votes_go_to_the_lowest_label():
    train, query = torch.tensor([[0.6, 0.8], [0.6, -0.8]]), torch.tensor([[1.0, 0.0]])
    for labels in ([3, 8], [8, 3]):
        assert knn_probe(train, torch.tensor(labels), query, n_neighbours=2).tolist() == [3]


def test_a_low_temperature_underflows_no_vote():
    """Cosines of -1: e^(-1 / T) is 0 in float32 at T = 0.001."""
    train, labels = torch.tensor([[-1.0, 0.0]]).repeat(3, 1), torch.tensor([7, 8, 8])
    query = torch.tensor([[1.0, 0.0]])
    assert knn_probe(train, labels, query, n_neighbours=3, temperature=0.001).tolist() == [8]


def test_defaults_are_twenty_neighbours_at_a_temperature_of_seven_hundredths():
    train, labels = blobs(0, 200, 1.0)
    features, _ = blobs(1, 50, 1.0)
    assert knn_probe(train, labels, features).tolist() == knn_by_loops(
        train, labels, features, 20, 0.07
    )


def test_chunks_change_nothing(monkeypatch):
    train, labels = blobs(2, 60, 1.0)
    features, _ = blobs(3, 25, 1.0)
    whole = knn_probe(train, labels, features)
    for size in (1, 150):
        monkeypatch.setattr(probes, "CHUNK_VALUES", size)
        assert torch.equal(knn_probe(train, labels, features), whole)


PROBES = pytest.mark.parametrize("probe", [knn_probe, linear_probe])


@PROBES
def test_separable_classes_are_all_found(probe):
    train, labels = blobs(4, 300, 0.05)
    features, truth = blobs(5, 200, 0.05)
    assert accuracy(probe(train, labels, features), truth) == 1


@PROBES
def test_shuffled_labels_give_chance(probe):
    train, labels = blobs(6, 2000, 0.5)
    labels = labels[torch.randperm(2000, generator=torch.Generator().manual_seed(0))]
    features, truth = blobs(7, 1000, 0.5)
    # a deviation of a quarter over 800 rows is 0.015
    assert accuracy(probe(train, labels, features), truth) == pytest.approx(0.25, abs=0.06)


@PROBES
def test_unlabeled_rows_are_left_out(probe):
    train, labels = blobs(8, 200, 0.5)
    features, _ = blobs(9, 50, 0.5)
    found = probe(train, labels, features)
    train[labels < 0] = 1e3
    assert torch.equal(probe(train, labels, features), found)
    assert torch.equal(probe(train[labels >= 0], labels[labels >= 0], features), found)


@PROBES
@given(seed=st.integers(0, 10_000))
def test_order_of_rows_does_not_matter(probe, seed):
    train, labels = blobs(seed, 80, 0.7)
    features, _ = blobs(seed + 1, 30, 0.7)
    generator = torch.Generator().manual_seed(seed)
    order, other = torch.randperm(80, generator=generator), torch.randperm(30, generator=generator)
    found = probe(train, labels, features)
    shuffled = probe(train[order], labels[order], features[other])
    # sums are taken in another order; at most one row may lie on a border
    assert (shuffled != found[other]).sum() <= (probe is linear_probe)


@PROBES
def test_labels_keep_their_numbers(probe):
    train, labels = blobs(10, 100, 0.05)
    features, truth = blobs(11, 60, 0.05)
    names = torch.tensor([1_000_000_007, 3, 90, 4])
    renamed = torch.where(labels >= 0, names[labels], -1)
    found = probe(train, renamed, features)
    assert torch.equal(found[truth >= 0], names[truth[truth >= 0]])


@PROBES
def test_one_class_is_all_there_is(probe):
    train, features = torch.randn(30, 3), torch.randn(5, 3)
    assert probe(train, torch.full((30,), 6), features).tolist() == [6] * 5
    assert probe(train, torch.full((30,), 6), features[:0]).shape == (0,)


@PROBES
def test_half_precision_and_gradients_are_taken(probe):
    train, labels = blobs(12, 100, 0.5)
    features, _ = blobs(13, 30, 0.5)
    train, features = train.half().requires_grad_(), features.half().requires_grad_()
    with torch.no_grad():
        found = probe(train, labels, features)
    assert torch.equal(found, probe(train.float(), labels, features.float()))


def test_linear_probe_is_at_the_minimum_of_penalised_cross_entropy():
    """Against long gradient descent in float64 on the equation."""
    train, labels = blobs(14, 60, 0.7, n_classes=3, n_channels=4)
    train, target = train[labels >= 0].double(), labels[labels >= 0]
    rows = (train - train.mean(0)) / ((train - train.mean(0)) ** 2).mean(0).sqrt()
    weight, bias = torch.zeros(3, 4).double(), torch.zeros(3).double()
    for _ in range(3000):
        error = ((rows @ weight.T + bias).softmax(1) - torch.eye(3)[target]) / len(rows)
        weight -= 0.5 * (error.T @ rows + 0.05 * weight)
        bias -= 0.5 * error.sum(0)
    found = probes._fit(rows.float(), target, 3, 0.05, 200)
    # a loss in float32 is flat to 1e-7, and weights to sqrt(1e-7 / 0.05)
    torch.testing.assert_close(found[0].double(), weight, rtol=0, atol=1e-3)
    torch.testing.assert_close((found[1] - found[1].mean()).double(), bias, rtol=0, atol=1e-3)
    features, _ = blobs(15, 40, 0.7, n_channels=4)
    logits = (features - train.mean(0)) / train.std(0, correction=0) @ weight.T + bias
    expected = logits.argmax(1)
    found = linear_probe(train.float(), target, features, penalty=0.05)
    assert torch.equal(found, expected)


def test_linear_probe_does_not_mind_units():
    train, labels = blobs(16, 200, 0.5)
    features, _ = blobs(17, 60, 0.5)
    scale = torch.tensor([1.0, 1e4, 1e-4, 2.0, 1.0, 1.0])
    shift = torch.tensor([0.0, 1e4, 0.0, -5.0, 0.0, 1.0])
    found = linear_probe(train, labels, features)
    moved = linear_probe(train * scale + shift, labels, features * scale + shift)
    assert (found != moved).sum() <= 1  # rounding of the sums, for a row on a border


def test_a_heavy_penalty_leaves_the_most_frequent_class():
    train, labels = blobs(18, 300, 0.1)
    labels[:200] = 2
    found = linear_probe(train, labels, train, penalty=1e3)
    assert found.unique().tolist() == [2]
    assert accuracy(linear_probe(train[200:], labels[200:], train[200:]), labels[200:]) == 1


def test_channels_without_deviation_are_harmless():
    train, labels = blobs(19, 100, 0.05)
    features, truth = blobs(20, 50, 0.05)
    train[:, 5], features[:, 5] = 3.0, 5.0
    assert accuracy(linear_probe(train, labels, features), truth) == 1


def test_linear_probe_is_not_random():
    train, labels = blobs(21, 100, 1.0)
    state = torch.get_rng_state()
    found = linear_probe(train, labels, train)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(linear_probe(train, labels, train), found)


def test_one_iteration_is_one_step():
    train, labels = blobs(22, 200, 0.8)
    short, long = (linear_probe(train, labels, train, n_iterations=n) for n in (1, 200))
    assert not torch.equal(short, long)


@pytest.mark.parametrize(
    ("probe", "options", "message"),
    [
        (knn_probe, {"n_neighbours": 0}, r"n_neighbours must lie in \[1, 3\], the labeled rows"),
        (knn_probe, {"n_neighbours": 4}, r"n_neighbours must lie in \[1, 3\], the labeled rows"),
        (knn_probe, {"temperature": 0.0}, "temperature must be positive, got 0.0"),
        (knn_probe, {"temperature": math.nan}, "temperature must be positive, got nan"),
        (linear_probe, {"penalty": -1.0}, "penalty must not be negative, got -1.0"),
        (linear_probe, {"penalty": math.nan}, "penalty must not be negative, got nan"),
        (linear_probe, {"n_iterations": 0}, "n_iterations must be at least 1, got 0"),
    ],
)
def test_rejects(probe, options, message):
    labels = torch.tensor([0, 1, -1, 1])
    with pytest.raises(ValueError, match=message):
        probe(torch.rand(4, 2), labels, torch.rand(3, 2), **options)


@PROBES
def test_rejects_what_is_not_finite_and_training_without_labels(probe):
    rows, labels, bad = torch.rand(30, 2), torch.zeros(30, dtype=torch.long), torch.rand(30, 2)
    bad[3, 1] = math.nan
    with pytest.raises(ValueError, match="train_features must be finite, got NaN or infinity"):
        probe(bad, labels, rows)
    with pytest.raises(ValueError, match=r"^features must be finite, got NaN or infinity"):
        probe(rows, labels, bad)
    with pytest.raises(ValueError, match="train_labels must have a label, got none in 30 rows"):
        probe(rows, labels - 1, rows)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@PROBES
def test_gpu_equals_cpu(probe):
    train, labels = blobs(23, 200, 0.1)
    features, _ = blobs(24, 50, 0.1)
    found = probe(train.cuda(), labels.cuda(), features.cuda())
    assert found.is_cuda
    assert torch.equal(found.cpu(), probe(train, labels, features))


def test_a_fitted_probe_classifies_as_the_probe_does():
    train, labels, features = torch.randn(60, 5), torch.randint(0, 3, (60,)), torch.randn(20, 5)
    classify = fit_linear_probe(train, labels, penalty=0.1)
    found = linear_probe(train, labels, features, penalty=0.1)
    assert torch.equal(classify(features), found)
    assert torch.equal(torch.cat([classify(features[:7]), classify(features[7:])]), found)
    with pytest.raises(ValueError, match="features must be finite"):
        classify(features / 0)
