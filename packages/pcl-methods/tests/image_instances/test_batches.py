"""Batches of images."""

from dataclasses import replace

import pytest
import torch

from pcl_methods.image_instances import batches
from pcl_methods.image_instances.batches import BatchSizes, ImageBatches
from pcl_methods.image_instances.image_set import ImageSet


@pytest.fixture
def plain(monkeypatch):
    """Strong views keep their colors."""
    monkeypatch.setattr(batches, "jittered", lambda image, rng: image)


def make(images, unlabeled=None, n_labeled=2, n_unlabeled=2, seed=(0,)):
    return ImageBatches(images, unlabeled, BatchSizes(n_labeled, n_unlabeled), 32, seed)


def test_a_batch_depends_on_seed_and_step_alone(images):
    one, again = make(images, images)[3], make(images, images)[3]
    assert (one["labeled"]["images"] == again["labeled"]["images"]).all()
    assert (one["unlabeled"]["strong"] == again["unlabeled"]["strong"]).all()
    others = make(images, images)[4], make(images, images, seed=(1,))[3]
    for other in others:
        assert not (one["labeled"]["images"] == other["labeled"]["images"]).all()


def test_an_epoch_has_each_image_once(images, plain):
    found = make(images)
    for epoch in range(3):
        steps = [found[2 * epoch + k]["labeled"] for k in range(2)]
        columns = [one.any(dim=(0, 1)).nonzero().min() for s in steps for one in s["masks"]]
        assert len(columns) == 4
        ids = [one for s in range(2) for one in found._ids(images, 2, 2 * epoch + s)]
        assert sorted(ids) == images.ids


def test_masks_are_turned_with_their_image(images, plain):
    turned = set()
    for step in range(4):
        batch = make(images)[step]["labeled"]
        for image, masks in zip(batch["images"], batch["masks"], strict=True):
            assert ((image[0] == 255) == masks[0]).all()  # squares are white
            turned.add(bool(masks[0][:, -8:].any()))
    assert turned == {False, True}


def test_what_is_known_comes_with_the_images(images):
    batch = make(images, n_labeled=4)[0]["labeled"]
    assert sorted(len(one) for one in batch["labels"]) == [1, 1, 1, 2]
    assert sorted(int(one.sum()) for one in batch["exhaustive"]) == [2, 3, 3, 3]
    assert all(int(one.sum()) == 2 for one in batch["verified"])
    assert "unlabeled" not in make(images)[0]


def test_a_strong_view_is_the_weak_one_turned_or_not(images, plain):
    seen = set()
    for step in range(4):
        views = make(images, images)[step]["unlabeled"]
        for weak, strong, turn in zip(
            *(views[k] for k in ("weak", "strong", "turned")), strict=True
        ):
            assert (strong == (weak.flip(-1) if turn else weak)).all()
            seen.add(bool(turn))
    assert seen == {False, True}


def test_strong_views_have_other_colors(images):
    views = make(images, images)[0]["unlabeled"]
    assert not (
        views["weak"]
        == torch.where(
            views["turned"][:, None, None, None], views["strong"].flip(-1), views["strong"]
        )
    ).all()


def test_annotations_of_unlabeled_images_are_not_read(images):
    bare = ImageSet(replace(images.data, annotations=()), images.folder)
    assert make(images, bare)[0]["unlabeled"]["weak"].shape == (2, 3, 32, 32)


@pytest.mark.parametrize("name", ["labeled", "unlabeled"])
def test_a_set_without_images_is_refused(images, name):
    sets = {"labeled": images, "unlabeled": images} | {name: images.of_images([])}
    with pytest.raises(ValueError, match=f"{name} must hold at least one image, got none"):
        make(sets["labeled"], sets["unlabeled"])
