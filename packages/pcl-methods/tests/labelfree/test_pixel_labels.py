import pytest
import torch
from torch.nn.functional import normalize

from pcl_clip3d import DenseFeatures, PixelPairs, denoise_prompts, smooth_by_keys
from pcl_methods.labelfree.image_labels import label_images
from pcl_methods.labelfree.pixel_labels import PixelLabeling, class_probabilities
from pcl_methods.labelfree.testing import ColorEncoder, color_text, make_posed_room

PIXELS = torch.cartesian_prod(torch.arange(8), torch.arange(12))


def pairs(pixels=PIXELS):
    """Pixels that show a point each."""
    return PixelPairs(torch.arange(len(pixels)), pixels)


TEXT = normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), dim=1)


class Encoder:
    """Random features of 2 x 3 cells that depend on the image, and keys."""

    text_space, dim = "random", 6

    def __call__(self, image):
        generator = torch.Generator().manual_seed(int(image[0, 0, 0]))
        return DenseFeatures(normalize(torch.randn(6, 2, 3, generator=generator), dim=0), (8, 12))

    def keys(self, image):
        generator = torch.Generator().manual_seed(100 + int(image[0, 0, 0]))
        return normalize(torch.randn(5, 2, 3, generator=generator), dim=0)


def image(left=1, right=2):
    pixels = torch.zeros(8, 12, 3, dtype=torch.uint8)
    pixels[:, :6], pixels[:, 6:] = left, right
    return pixels


def test_a_pixel_has_the_class_of_the_nearest_text():
    found = PixelLabeling()(Encoder(), image(), pairs(), TEXT)
    features = Encoder()(image()).at(PIXELS)
    cosines = normalize(features, dim=1) @ TEXT.T
    assert torch.equal(found.features, features)
    assert torch.equal(found.labels, cosines.argmax(dim=1))
    expected = (100 * cosines).softmax(dim=1)
    assert torch.allclose(class_probabilities(features, TEXT), expected, rtol=1e-4)
    assert torch.allclose(found.confidence, expected.amax(dim=1))
    assert found.kept.all()


@pytest.mark.parametrize("smooth_keys", [False, True])
def test_refinements_are_those_of_the_grid(smooth_keys):
    centers = torch.tensor([[2, 2], [5, 6]])  # near the centres of cells
    found = PixelLabeling(True, smooth_keys)(Encoder(), image(), pairs(centers), TEXT)
    grid = Encoder()(image()).grid
    logits = denoise_prompts(torch.einsum("cd,dij->cij", TEXT, grid))
    evidence = (100 * logits).softmax(dim=0)
    if smooth_keys:
        evidence = smooth_by_keys(logits, Encoder().keys(image())).clamp(min=0)
        evidence = evidence / evidence.sum(dim=0)
    expected = DenseFeatures(evidence, (8, 12)).at(centers)
    assert torch.equal(found.labels, expected.argmax(dim=1))
    assert torch.allclose(found.confidence, expected.amax(dim=1))
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_only_what_the_mirrored_image_confirms_is_kept():
    plain, mirrored = (
        PixelLabeling(mirrored=flag)(Encoder(), image(), pairs(), TEXT) for flag in (False, True)
    )
    assert torch.equal(plain.labels, mirrored.labels)
    other = PixelLabeling()(Encoder(), image(2, 1), pairs(), TEXT).labels.view(8, 12).flip(1)
    assert torch.equal(mirrored.kept, plain.labels == other.flatten())
    assert 0 < mirrored.kept.sum() < len(PIXELS)


def test_smoothing_needs_keys():
    class Plain:
        text_space, dim = "random", 6
        __call__ = Encoder.__call__

    with pytest.raises(ValueError, match="smooth_keys must be false for an encoder without keys"):
        PixelLabeling(smooth_keys=True)(Plain(), image(), pairs(), TEXT)


class Doubtful(ColorEncoder):
    """Says another class for everything in the last frame that it is asked for."""

    def __init__(self, wrong):
        self.count, self.wrong = 0, wrong

    def __call__(self, image):
        self.count += 1
        dense = super().__call__(image)
        if self.count != self.wrong:
            return dense
        return DenseFeatures(dense.grid.roll(1, dims=0), dense.image_size)


def test_points_whose_views_disagree_are_left_out():
    room = make_posed_room("room", 0)
    text, sets = color_text(), torch.zeros(len(room.points), dtype=torch.int64).numpy()
    every = label_images(room, Doubtful(3), text, sets)
    kept = label_images(room, Doubtful(3), text, sets, agreement=0.8)
    views, right = {}, {}
    for point, label in zip(every.point_index.tolist(), every.labels.tolist(), strict=True):
        views.setdefault(point, []).append(label)
    for point, labels in views.items():
        right[point] = max(labels.count(one) for one in labels) / len(labels) >= 0.8
    assert 0 < sum(right.values()) < len(right)
    assert set(kept.point_index.tolist()) == {point for point, agrees in right.items() if agrees}


def test_something_must_agree():
    room = make_posed_room("room", 0)
    sets = torch.zeros(len(room.points), dtype=torch.int64).numpy()

    class Mirror(ColorEncoder):
        turns = 0

        def __call__(self, image):
            self.turns += 1
            dense = super().__call__(image)
            return DenseFeatures(dense.grid.roll(self.turns % 2, dims=0), dense.image_size)

    with pytest.raises(ValueError, match="scene room must have labels that agree, got none"):
        label_images(room, Mirror(), color_text(), sets, labeling=PixelLabeling(mirrored=True))
