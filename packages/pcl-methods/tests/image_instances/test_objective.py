"""The loss of found objects."""

import numpy as np
import pytest
import torch

from pcl_methods.image_instances.objective import InstanceTargets, class_loss, instance_losses

N_CLASSES = 3


def target(labels, masks=None, verified=(0, 1, 2), incomplete=()):
    """What is known of an image with squares of these classes."""
    if masks is None:
        masks = torch.zeros(len(labels), 64, 64, dtype=torch.bool)
        for k in range(len(labels)):
            masks[k, 8 * k : 8 * k + 16, 8:40] = True
    known = torch.zeros(N_CLASSES, dtype=torch.bool)
    known[list(verified)] = True
    exhaustive = torch.ones(N_CLASSES, dtype=torch.bool)
    exhaustive[list(incomplete)] = False
    classes = torch.eye(N_CLASSES + 1)[torch.tensor(labels, dtype=torch.long)]
    return InstanceTargets(masks, classes, known, exhaustive)


def pictures(n):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, 64, 64), np.uint8))


def losses(network, targets):
    torch.manual_seed(5)
    return instance_losses(network, network(pictures(len(targets))), targets)


def test_class_loss_is_the_slow_loop():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(7, 5))
    targets = rng.dirichlet(np.ones(5), 7)
    known = rng.random((7, 5)) < 0.6
    known[:, 4] = True
    weights = rng.uniform(0.1, 1, 7)
    total = 0.0
    for row in range(7):
        those = [k for k in range(5) if known[row, k]]
        mass = sum(targets[row, k] for k in those)
        norm = np.log(sum(np.exp(logits[row, k]) for k in those))
        for k in those:
            total -= weights[row] * targets[row, k] / mass * (logits[row, k] - norm)
    found = class_loss(*(torch.from_numpy(x) for x in (logits, targets, known, weights)))
    assert float(found) == pytest.approx(total / weights.sum(), rel=1e-5)  # in single precision


def test_class_loss_of_no_row_is_zero():
    nothing = torch.zeros(0, 3)
    assert class_loss(nothing, nothing, nothing.bool(), torch.zeros(0)) == 0


def test_unknown_classes_get_no_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    known = torch.tensor([True, False, True]).expand(4, 3)
    class_loss(logits, torch.full((4, 3), 1 / 3), known, torch.ones(4)).backward()
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, 0] != 0).all()


def test_one_hot_targets_of_all_classes_give_the_loss_of_mask2former(make_network):
    network = make_network().eval()
    targets = [target([0, 2]), target([1])]
    found = losses(network, targets)
    outputs = network(pictures(2))
    torch.manual_seed(5)
    expected = network.model.get_loss_dict(
        outputs.last.mask_logits,
        outputs.last.class_logits,
        [one.masks.float() for one in targets],
        [one.classes.argmax(dim=1) for one in targets],
        [
            {"masks_queries_logits": one.mask_logits, "class_queries_logits": one.class_logits}
            for one in outputs.earlier
        ],
    )
    parts = {"classes": "cross_entropy", "masks": "mask", "dice": "dice"}
    for name, word in parts.items():
        whole = sum(value for key, value in expected.items() if f"loss_{word}" in key)
        assert found[name].item() == pytest.approx(whole.item(), rel=1e-5)
    assert found["loss"].item() == pytest.approx(sum(expected.values()).item(), rel=1e-5)


def class_gradient(network, targets):
    network.zero_grad()
    losses(network, targets)["loss"].backward()
    return network.model.class_predictor.weight.grad.abs().sum(dim=1) > 0


def test_a_class_that_is_not_verified_gets_no_loss(make_network):
    network = make_network()
    assert class_gradient(network, [target([0], verified=(0, 2))]).tolist() == [1, 0, 1, 1]
    assert class_gradient(network, [target([], verified=(1,))]).tolist() == [0, 1, 0, 1]


def test_a_class_that_is_not_exhaustive_is_learned_where_it_is_annotated(make_network):
    network = make_network()
    assert class_gradient(network, [target([0, 1], incomplete=(0,))])[0]
    assert class_gradient(network, [target([], incomplete=(2,))]).tolist() == [1, 1, 0, 1]


def test_images_without_objects_have_a_loss_of_classes_alone(make_network):
    found = losses(make_network(), [target([]), target([])])
    assert found["masks"] == found["dice"] == 0
    assert found["loss"] == found["classes"] > 0


def test_more_objects_than_queries_are_matched_as_far_as_they_go(make_network):
    assert losses(make_network(), [target([0, 1, 2, 0, 1, 2, 0, 1][:8])])["loss"].isfinite()


def test_soft_targets_are_what_the_matched_query_learns(make_network):
    network = make_network().eval()
    soft = target([0])._replace(classes=torch.tensor([[0.6, 0.2, 0.1, 0.1]]))
    outputs = network(pictures(1))._replace(earlier=[])
    torch.manual_seed(5)
    found = instance_losses(network, outputs, [soft])["classes"]
    torch.manual_seed(5)
    last, labels = outputs.last, [torch.tensor([0])]
    query = network.criterion.matcher(
        last.mask_logits, last.class_logits, [soft.masks.float()], labels
    )[0][0].item()
    total = weight = 0.0
    for row, logs in enumerate(last.class_logits[0].log_softmax(dim=1).tolist()):
        of_row = 1 if row == query else 0.1
        wanted = soft.classes[0].tolist() if row == query else [0, 0, 0, 1]
        total -= of_row * sum(y * log for y, log in zip(wanted, logs, strict=True))
        weight += of_row
    assert found.item() == pytest.approx(2 * total / weight, rel=1e-5)  # 2: of Mask2Former
