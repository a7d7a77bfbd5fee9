"""Tests of pcl_contrastive.cluster_contrast."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_contrastive import cluster_contrast
from pcl_contrastive.cluster_contrast import (
    VOLUMES_PER_CLUSTER,
    cluster_info_nce,
    nearest_labels,
    volume_classification_loss,
)


def random_rows(n: int, *, seed: int = 0, dim: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator, dtype=torch.float64)


def labeled_queue(q: int, k: int, *, seed: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return random_rows(q, seed=seed), torch.randint(k, (q,), generator=generator)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    product = sum(x * y for x, y in pairs)
    return product / math.sqrt(sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs))


def nearest(feature: torch.Tensor, queue: torch.Tensor) -> int:
    """By the L2 distance of unit vectors, as the paper says."""
    distances = [(feature / feature.norm() - entry / entry.norm()).norm() for entry in queue]
    return min(range(len(queue)), key=lambda i: distances[i])


def loss_of_cluster(
    volume: torch.Tensor,
    positive: int,
    queue: torch.Tensor,
    labels: torch.Tensor,
    negatives: str,
) -> float:
    """The term of Eq. 2 for one cluster, with all of the queue to draw from."""
    numerator = math.exp(cosine(volume, queue[positive]) / 0.1)
    denominator = numerator
    for i, entry in enumerate(queue):
        same = labels[i] == labels[positive]
        wanted = {"other": not same, "same": same, "any": True}[negatives]
        if wanted and i != positive:
            denominator += math.exp(cosine(volume, entry) / 0.1)
    return -math.log(numerator / denominator)


@pytest.mark.parametrize("negatives", ["other", "same", "any"])
@pytest.mark.parametrize("seed", range(5))
def test_loss_is_that_of_a_loop_where_each_cluster_has_one_volume(seed, negatives):
    queue, labels = labeled_queue(30, 4, seed=seed)
    student, teacher = random_rows(12, seed=seed + 20), random_rows(12, seed=seed + 40)
    entries = [nearest(feature, queue) for feature in teacher]
    # One volume of each cluster, so that nothing is left to chance.
    chosen = list({int(labels[entry]): i for i, entry in enumerate(entries)}.values())
    terms = [loss_of_cluster(student[i], entries[i], queue, labels, negatives) for i in chosen]
    loss = cluster_info_nce(student[chosen], teacher[chosen], queue, labels, negatives=negatives)
    assert math.isclose(float(loss), sum(terms) / len(terms), rel_tol=1e-9)


def test_one_volume_of_a_cluster_is_drawn_uniformly():
    queue = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1])
    teacher = queue[[0, 0, 0, 0]]
    student = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]]).double()
    terms = [round(loss_of_cluster(volume, 0, queue, labels, "other"), 6) for volume in student]
    generator = torch.Generator().manual_seed(0)
    counts = Counter(
        round(float(cluster_info_nce(student, teacher, queue, labels, generator=generator)), 6)
        for _ in range(400)
    )
    assert set(counts) == set(terms)
    assert min(counts.values()) > 65  # of 100 expected, with a deviation of 9


@pytest.mark.parametrize(("negatives", "n_left"), [("other", 8), ("same", 3), ("any", 11)])
def test_identical_features_give_the_logarithm_of_one_more_than_the_negatives(negatives, n_left):
    queue = torch.ones(12, 3, dtype=torch.float64)
    labels = torch.arange(12) % 3
    loss = cluster_info_nce(queue[:5], queue[:5], queue, labels, negatives=negatives)
    assert math.isclose(float(loss), math.log(1 + n_left))


def test_only_drawn_entries_are_negatives_and_the_positive_never():
    queue, labels = torch.ones(50, 3, dtype=torch.float64), torch.zeros(50, dtype=torch.long)
    n_left = set()
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        loss = cluster_info_nce(
            *(queue[:1], queue[:1], queue, labels),
            **{"n_negatives": 10, "negatives": "any", "generator": generator},
        )
        n_left.add(round(math.exp(loss) - 1))
    assert n_left == {9, 10}  # the positive is one of the ten drawn in a fifth of the cases


def test_draws_follow_the_generator():
    queue, labels = labeled_queue(200, 3)
    student, teacher = random_rows(40, seed=1), random_rows(40, seed=2)

    def loss(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return cluster_info_nce(
            student, teacher, queue, labels, n_negatives=20, generator=generator
        )

    assert loss(3) == loss(3)
    assert loss(3) != loss(4)


def test_a_cluster_without_negatives_adds_nothing():
    queue = torch.eye(3, dtype=torch.float64)
    labels = torch.zeros(3, dtype=torch.long)
    student = random_rows(2, dim=3).requires_grad_()
    loss = cluster_info_nce(student, queue[:2], queue, labels)
    loss.backward()
    assert loss == 0
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_clusters_without_a_volume_do_not_dilute_the_mean():
    queue = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])
    loss = cluster_info_nce(queue[:1], queue[:1], queue, labels)
    assert math.isclose(float(loss), loss_of_cluster(queue[0], 0, queue, labels, "other"))


def test_no_volume_gives_zero_attached():
    student = torch.zeros(0, 6, requires_grad=True)
    queue, labels = labeled_queue(5, 2)
    loss = cluster_info_nce(student, student, queue.float(), labels)
    loss.backward()
    assert loss == 0


def test_lengths_change_nothing():
    queue, labels = labeled_queue(30, 1)
    labels[::2] = 1
    student, teacher = random_rows(1, seed=1), random_rows(1, seed=2)
    factors = torch.linspace(0.5, 9, 30, dtype=torch.float64)[:, None]
    loss = cluster_info_nce(student, teacher, queue, labels)
    scaled = cluster_info_nce(student * 5, teacher * 0.1, queue * factors, labels)
    assert torch.isclose(loss, scaled)


def test_gradient_reaches_the_student_alone():
    queue, labels = labeled_queue(20, 3)
    queue.requires_grad_()
    student, teacher = (random_rows(4, seed=seed).requires_grad_() for seed in (1, 2))

    def loss(student: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return cluster_info_nce(student, teacher, queue, labels, generator=generator)

    assert torch.autograd.gradcheck(loss, student)
    loss(student).backward()
    assert teacher.grad is None
    assert queue.grad is None


def test_half_precision_volumes_meet_a_float_queue():
    queue, labels = labeled_queue(20, 3)
    student = random_rows(4, seed=1).bfloat16()
    loss = cluster_info_nce(student, student, queue.float(), labels)
    assert loss.dtype == torch.bfloat16
    assert loss.isfinite()


@pytest.mark.parametrize("m", [100, 5000])
def test_the_volumes_looked_up_do_not_grow_with_the_batch(monkeypatch, m):
    seen = []
    search = cluster_contrast._nearest_entries

    def counted(features, queue):
        seen.append(len(features))
        return search(features, queue)

    monkeypatch.setattr(cluster_contrast, "_nearest_entries", counted)
    queue, labels = labeled_queue(50, 5)
    cluster_info_nce(random_rows(m), random_rows(m), queue, labels)
    assert seen == [VOLUMES_PER_CLUSTER * 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"n_negatives": 0}, "n_negatives must be at least 1, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        cluster_info_nce(torch.eye(2), torch.eye(2), torch.eye(2), torch.tensor([0, 1]), **options)


def test_entries_without_a_label_are_refused():
    with pytest.raises(ValueError, match=r"queue_labels must be at least 0 .* got -1"):
        cluster_info_nce(torch.eye(2), torch.eye(2), torch.eye(2), torch.tensor([0, -1]))


def test_an_empty_queue_is_refused():
    nothing, none = torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)
    with pytest.raises(ValueError, match=r"queue must hold a feature, got shape \(0, 2\)"):
        cluster_info_nce(torch.eye(2), torch.eye(2), nothing, none)
    with pytest.raises(ValueError, match=r"queue must hold a feature, got shape \(0, 2\)"):
        nearest_labels(torch.eye(2), nothing, none)


@given(st.integers(0, 500), st.integers(0, 9), st.integers(1, 12))
def test_nearest_labels_are_those_of_a_loop(seed, m, q):
    queue, labels = labeled_queue(q, 4, seed=seed)
    features = random_rows(m, seed=seed + 1) * 3
    expected = [int(labels[nearest(feature, queue)]) for feature in features]
    assert nearest_labels(features, queue, labels).tolist() == expected


def test_a_search_in_parts_finds_the_same(monkeypatch):
    queue, labels = labeled_queue(40, 40)
    features = random_rows(11)
    whole = nearest_labels(features, queue, labels)
    monkeypatch.setattr(cluster_contrast, "SIMILARITIES_AT_ONCE", 3 * 40)
    assert torch.equal(nearest_labels(features, queue, labels), whole)


@given(st.integers(0, 500), st.integers(1, 7))
def test_classification_loss_is_that_of_a_loop(seed, m):
    student, teacher = random_rows(m, seed=seed), random_rows(m, seed=seed + 1)
    labels = torch.randint(-1, 6, (m,), generator=torch.Generator().manual_seed(seed))
    terms = []
    for j in range(m):
        if labels[j] >= 0:
            for logits in (student[j].tolist(), teacher[j].tolist()):
                terms.append(-math.log(math.exp(logits[labels[j]]) / sum(map(math.exp, logits))))
    expected = sum(terms) / max(len(terms) // 2, 1)
    loss = volume_classification_loss(student, teacher, labels)
    assert math.isclose(float(loss), expected, rel_tol=1e-9)


def test_both_views_train_the_classifier():
    student, teacher = (random_rows(3, seed=seed).requires_grad_() for seed in (1, 2))
    labels = torch.tensor([0, 5, -1])
    assert torch.autograd.gradcheck(
        lambda a, b: volume_classification_loss(a, b, labels), (student, teacher)
    )


def test_classification_without_labels_gives_zero_attached():
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = volume_classification_loss(logits, logits, torch.tensor([-1, -1]))
    loss.backward()
    assert loss == 0


def test_another_word_for_the_negatives_is_refused():
    # The checker of types, on in tests, refuses the word first, with a TypeError.
    arguments = (torch.eye(2), torch.eye(2), torch.eye(2), torch.tensor([0, 1]))
    with pytest.raises((ValueError, TypeError), match="negatives"):
        cluster_info_nce(*arguments, negatives="hard")
