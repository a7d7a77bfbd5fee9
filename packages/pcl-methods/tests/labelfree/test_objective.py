import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from pcl_clip3d import CorrelationTransformer, feedback_distillation
from pcl_methods.labelfree.objective import (
    Clip2Scene,
    HierarchicalCorrelation,
    OpenScene,
    Phases,
    vote_loss,
)
from pcl_methods.labelfree.text_network import text_network
from pcl_methods.segmentation.network import build_backbone

DIM, N_CLASSES, N = 8, 4, 40
PHASES = Phases(correlation=2, feedback=3)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return text_network(build_backbone("res16unet14a", 3, width=0.25), DIM).eval()


@pytest.fixture
def text():
    return torch.nn.functional.normalize(random(N_CLASSES, DIM, seed=1), dim=1)


@pytest.fixture
def batch():
    """Two scenes of 20 voxels in a row; every second voxel is sampled."""
    scene = torch.arange(N) // 20
    coords = torch.stack([scene, torch.arange(N) % 20, scene * 0, scene * 0], dim=1).int()
    labels = torch.arange(N) % N_CLASSES
    votes = torch.zeros(N, N_CLASSES)
    votes[torch.arange(N), labels] = (1 + torch.arange(N) % 3).float()
    votes[:, 0] += 1
    return {
        "coords": coords,
        "features": random(N, 3, seed=2),
        "votes": votes,
        "sampled": torch.where(torch.arange(N) % 2 == 0, labels, -1),
        "instances": torch.arange(N) // 5 - 1,  # the first five voxels are of no set
        "set_features": torch.cat([torch.zeros(1, DIM), random(6, DIM, seed=3)]),
    }


def transformer(seed=0):
    torch.manual_seed(seed)
    return CorrelationTransformer(DIM, n_layers=1, n_heads=2)


def test_vote_loss_is_equation_1_over_all_pairs():
    logits, votes = random(3, 4), torch.tensor([[2.0, 0, 1, 0], [0, 0, 0, 0], [0, 3, 0, 0]])
    pairs = [(0, 0), (0, 0), (0, 2), (2, 1), (2, 1), (2, 1)]
    total = 0.0
    for voxel, label in pairs:
        scores = [math.exp(float(x)) for x in logits[voxel]]
        total -= math.log(scores[label] / sum(scores))
    assert float(vote_loss(logits, votes)) == pytest.approx(total / len(pairs), rel=1e-5)


def test_the_gradient_of_the_label_loss_is_equation_2():
    logits = random(1, 4).requires_grad_()
    vote_loss(logits, torch.tensor([[0.0, 0, 1, 0]])).backward()
    expected = logits.detach().softmax(dim=1) - torch.tensor([[0.0, 0, 1, 0]])
    torch.testing.assert_close(logits.grad, expected)


def test_vote_loss_of_no_pair_is_zero():
    assert float(vote_loss(random(3, 4), torch.zeros(3, 4))) == 0


def test_the_whole_objective_is_that_of_the_paper(network, text, batch):
    intra, inter = transformer(1), transformer(2)
    objective = HierarchicalCorrelation(
        network, text, intra=intra, inter=inter, feedback=True, phases=PHASES
    )
    losses = objective(batch, epoch=3)
    features = network(batch["coords"], batch["features"]).logits
    logits = features @ text.T
    log_p = logits.log_softmax(dim=1)
    label = -(batch["votes"] * log_p).sum() / batch["votes"].sum()
    rows = torch.arange(0, N, 2)
    sampled = features[rows]
    within = torch.cat([intra(sampled[:10]), intra(sampled[10:])])  # each scene by itself
    gathered = inter(within)  # then both together
    correlation = cross_entropy(gathered @ text.T, batch["sampled"][rows])
    feedback = feedback_distillation(sampled, gathered)
    torch.testing.assert_close(losses["label"], label)
    torch.testing.assert_close(losses["correlation"], correlation)
    torch.testing.assert_close(losses["feedback"], feedback)
    torch.testing.assert_close(losses["loss"], (label + correlation + feedback) / 3)


@pytest.mark.parametrize(
    ("epoch", "active"),
    [
        (1, {"loss", "label"}),
        (2, {"loss", "label", "correlation"}),
        (3, {"loss", "label", "correlation", "feedback"}),
    ],
)
def test_parts_begin_at_their_epoch(network, text, batch, epoch, active):
    objective = HierarchicalCorrelation(
        network, text, intra=transformer(), feedback=True, phases=PHASES
    )
    assert set(objective(batch, epoch)) == active


def test_phases_are_those_of_the_paper():
    assert Phases() == Phases(correlation=11, feedback=21)


def test_without_transformers_only_labels_are_learned(network, text, batch):
    losses = HierarchicalCorrelation(network, text)(batch, epoch=100)
    assert set(losses) == {"loss", "label"}
    assert losses["loss"] == losses["label"]


def test_a_batch_without_a_sampled_voxel_learns_labels(network, text, batch):
    batch["sampled"] = torch.full((N,), -1)
    objective = HierarchicalCorrelation(network, text, inter=transformer(), phases=PHASES)
    assert set(objective(batch, epoch=9)) == {"loss", "label"}


def test_text_is_never_learned(network, text):
    objective = HierarchicalCorrelation(network, text, intra=transformer())
    assert "text_features" in objective.state_dict()
    assert all(p is not objective.text_features for p in objective.parameters())


def test_feedback_without_a_transformer_is_refused(network, text):
    with pytest.raises(ValueError, match="feedback must have a transformer"):
        HierarchicalCorrelation(network, text, feedback=True)


def test_openscene_is_one_minus_the_cosine_over_seen_voxels(network, text, batch):
    features = network(batch["coords"], batch["features"]).logits.detach()
    total, count = 0.0, 0
    for row in range(N):
        one = int(batch["instances"][row])
        if one > 0:  # -1 has no set, and nobody saw set 0
            total += 1 - float(cosine_similarity(features[row], batch["set_features"][one], dim=0))
            count += 1
    loss = OpenScene(network, text)(batch, epoch=1)["loss"]
    assert float(loss.detach()) == pytest.approx(total / count, rel=1e-4)


def test_clip2scene_learns_its_own_labels_in_every_other_step(network, text, batch):
    objective = Clip2Scene(network, text, spatial=False, self_training_from=5)
    logits = network(batch["coords"], batch["features"]).logits @ text.T
    of_image = vote_loss(logits, batch["votes"])
    own = torch.zeros_like(batch["votes"])
    own[torch.arange(N), logits.argmax(dim=1)] = batch["votes"].sum(dim=1)
    of_network = vote_loss(logits, own)
    torch.testing.assert_close(objective(batch, epoch=4)["label"], of_image)
    torch.manual_seed(0)
    later = [float(objective(batch, epoch=5)["label"].detach()) for _ in range(40)]
    learned_own = [abs(x - float(of_network)) < 1e-5 for x in later]
    learned_image = [abs(x - float(of_image)) < 1e-5 for x in later]
    assert all(a != b for a, b in zip(learned_own, learned_image, strict=True))
    assert 8 < sum(learned_own) < 32


def test_clip2scene_has_a_head_for_the_features_of_images(network, text, batch):
    objective = Clip2Scene(network, text, self_training_from=None)
    losses = objective(batch, epoch=1)
    assert set(losses) == {"loss", "label", "spatial"}
    torch.testing.assert_close(losses["loss"], (losses["label"] + losses["spatial"]) / 2)
    losses["spatial"].backward()
    assert objective.local_head.weight.grad.abs().sum() > 0
