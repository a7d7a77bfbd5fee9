"""How much frozen features know of the classes: neighbours' votes and a linear classifier.

Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
sec. 3.4 (weighted nearest neighbours). The linear probe is multinomial logistic regression. Both
compute in float32.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize

from pcl_contrastive.argument_shapes import checked

CHUNK_VALUES = 1 << 24  # similarities held at once


@checked
@torch.no_grad()
def knn_probe(
    train_features: Float[Tensor, "n c"],
    train_labels: Int[Tensor, " n"],
    features: Float[Tensor, "m c"],
    *,
    n_neighbours: int = 20,
    temperature: float = 0.07,
) -> Int[Tensor, " m"]:
    """The label that most of the nearest training rows vote for.

    A neighbour of cosine similarity s has a vote of exp(s / temperature) for its label. Of equal
    sums the lowest label wins.

    Args:
        train_features: of the rows that may be neighbours.
        train_labels: train ids; rows of -1 are left out.
        features: of the rows to classify.
        n_neighbours: how many vote; Wu et al. take 200 on ImageNet.
        temperature: of the votes.

    Raises:
        ValueError: if there are fewer labeled rows than neighbours, n_neighbours < 1, or the
            temperature is not positive, a value is not finite, or shapes do not agree.

    Example:
        >>> import torch
        >>> train, labels = torch.eye(2), torch.tensor([4, 7])
        >>> knn_probe(train, labels, torch.tensor([[0.1, 0.9]]), n_neighbours=1)
        tensor([7])
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    _check_finite("features", features)
    train_features, classes, target = _labeled_rows(train_features, train_labels)
    if not 1 <= n_neighbours <= len(target):
        raise ValueError(
            f"n_neighbours must lie in [1, {len(target)}], the labeled rows, got {n_neighbours}"
        )
    train, queries = normalize(train_features).T, normalize(features.float())
    found = [target[:0]]
    for chunk in queries.split(max(1, CHUNK_VALUES // len(target))):
        similarity, neighbours = (chunk @ train).topk(n_neighbours, dim=1)
        # relative to the nearest, so that no row of votes is 0 at a low temperature
        votes = ((similarity - similarity[:, :1]) / temperature).exp()
        sums = votes.new_zeros(len(chunk), len(classes))
        found.append(sums.scatter_add_(1, target[neighbours], votes).argmax(dim=1))
    return classes[torch.cat(found)]


@checked
def linear_probe(
    train_features: Float[Tensor, "n c"],
    train_labels: Int[Tensor, " n"],
    features: Float[Tensor, "m c"],
    *,
    penalty: float = 1e-4,
    n_iterations: int = 200,
) -> Int[Tensor, " m"]:
    """The label that multinomial logistic regression on the training rows gives each row.

    Each channel is brought to mean 0 and deviation 1 over the training rows (one without
    deviation is only centred). Weights W and biases minimise the mean cross entropy plus
    penalty / 2 |W|^2, by L-BFGS over all rows at once from zero, so nothing is random.

    Args:
        train_features: of the rows to learn from.
        train_labels: train ids; rows of -1 are left out.
        features: of the rows to classify.
        penalty: of the weights, not the biases.
        n_iterations: of L-BFGS at most.

    Raises:
        ValueError: if no row is labeled, the penalty is negative, n_iterations < 1, a value is not
            finite, or shapes do not agree.

    Example:
        >>> import torch
        >>> train, labels = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([3, 3, 5])
        >>> linear_probe(train, labels, torch.tensor([[-9.0], [9.0]]))
        tensor([3, 5])
    """
    classify = fit_linear_probe(
        train_features, train_labels, penalty=penalty, n_iterations=n_iterations
    )
    return classify(features)


@checked
def fit_linear_probe(
    train_features: Float[Tensor, "n c"],
    train_labels: Int[Tensor, " n"],
    *,
    penalty: float = 1e-4,
    n_iterations: int = 200,
) -> Callable[[Float[Tensor, "m c"]], Int[Tensor, " m"]]:
    """`linear_probe`, fitted once for rows that come scene by scene.

    Args:
        train_features: see `linear_probe`.
        train_labels: see there.
        penalty: see there.
        n_iterations: see there.

    Returns:
        a function from features to labels.

    Raises:
        ValueError: as `linear_probe` does; the function, if a value is not finite.

    Example:
        >>> import torch
        >>> classify = fit_linear_probe(
        ...     torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([3, 3, 5])
        ... )
        >>> classify(torch.tensor([[-9.0], [9.0]]))
        tensor([3, 5])
    """
    if not penalty >= 0:
        raise ValueError(f"penalty must not be negative, got {penalty}")
    if n_iterations < 1:
        raise ValueError(f"n_iterations must be at least 1, got {n_iterations}")
    train_features, classes, target = _labeled_rows(train_features, train_labels)
    mean = train_features.mean(dim=0)
    deviation = train_features.std(dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1)
    rows = (train_features - mean) / deviation
    weight, bias = _fit(rows, target, len(classes), penalty, n_iterations)

    def classify(features: Float[Tensor, "m c"]) -> Int[Tensor, " m"]:
        if features.ndim != 2 or features.shape[1] != len(mean):
            got = tuple(features.shape)
            raise ValueError(f"features must have shape (m, {len(mean)}), got {got}")
        _check_finite("features", features)
        logits = linear((features.detach().float() - mean) / deviation, weight, bias)
        return classes[logits.argmax(dim=1)]

    return classify


def _check_finite(name: str, rows: Float[Tensor, "n c"]) -> None:
    if not rows.detach().float().norm(dim=1).isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity, or rows of that length")


def _labeled_rows(
    train_features: Float[Tensor, "n c"], train_labels: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "l c"], Int[Tensor, " k"], Int[Tensor, " l"]]:
    """The labeled training rows, the labels there are, and the place of each row's among them."""
    _check_finite("train_features", train_features)
    is_labeled = train_labels >= 0
    if not is_labeled.any():
        raise ValueError(f"train_labels must have a label, got none in {len(train_labels)} rows")
    classes, target = train_labels[is_labeled].unique(return_inverse=True)
    return train_features[is_labeled].detach().float(), classes, target


@torch.enable_grad()
def _fit(
    rows: Float[Tensor, "l c"],
    target: Int[Tensor, " l"],
    n_classes: int,
    penalty: float,
    n_iterations: int,
) -> tuple[Float[Tensor, "k c"], Float[Tensor, " k"]]:
    """Weights and biases of the logistic regression."""
    weight = rows.new_zeros(n_classes, rows.shape[1], requires_grad=True)
    bias = rows.new_zeros(n_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=n_iterations, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(linear(rows, weight, bias), target)
        value = value + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
