"""What a network finds in images, and how sure it may be of it."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from pcl_calibration import ClassCalibrationError, match_detections
from pcl_methods.image_instances.image_set import Example, ImageSet, inner_size
from pcl_methods.image_instances.masks import encode_mask
from pcl_methods.image_instances.network import InstanceNetwork
from pcl_methods.image_instances.scoring import MOST_DETECTIONS, Detection

LEAST_CONFIDENCE = 0.02  # of what counts as found


class SeenImage(NamedTuple):
    """An image and what a network says of it."""

    image_id: int
    example: Example
    probabilities: Float[Tensor, "q c_and_none"]
    masks: Float[Tensor, "q s s"]  # probability of each pixel


@torch.inference_mode()
def seen_images(network: InstanceNetwork, images: ImageSet) -> Iterator[SeenImage]:
    """Each image, as the network sees it in evaluation mode; on the CPU."""
    network.eval()
    size, device = network.sizes.image_size, next(network.parameters()).device
    for one in images.ids:
        example = images.example(one, size)
        found = network(example.image[None].to(device)).last
        probabilities = found.class_logits[0].float().softmax(dim=1).cpu()
        logits = interpolate(found.mask_logits.float(), (size, size), mode="bilinear")
        yield SeenImage(one, example, probabilities, logits[0].sigmoid().cpu())


def detect(network: InstanceNetwork, images: ImageSet) -> list[Detection]:
    """The objects that a network finds, at most 300 an image, masks as large as the image.

    As Mask2Former does: each pair of a query and a class is one, and its score is the probability
    of the class times the mean probability of the pixels in the mask (Cheng et al., CVPR 2022).

    Raises:
        ImportError: if faster-coco-eval is missing.
    """
    sizes = {one.id: (one.height, one.width) for one in images.data.images}
    ids = [one.id for one in images.data.categories]
    found = []
    for seen in seen_images(network, images):
        height, width = inner_size(*sizes[seen.image_id], network.sizes.image_size)
        inner = seen.masks[None, :, :height, :width]
        masks = interpolate(inner, sizes[seen.image_id], mode="bilinear")[0]
        binary = masks > 0.5
        quality = (masks * binary).sum(dim=(1, 2)) / binary.sum(dim=(1, 2)).clamp(min=1)
        scores = seen.probabilities[:, :-1] * quality[:, None]  # (q, c), 0 without a pixel
        best = scores.flatten().topk(min(MOST_DETECTIONS, scores.numel()))
        runs = [encode_mask(one.numpy()) for one in binary]
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            query, label = divmod(place, len(ids))
            if score > 0:
                found.append(Detection(seen.image_id, ids[label], score, runs[query]))
    return found


def measure_errors(network: InstanceNetwork, images: ImageSet) -> ClassCalibrationError:
    """What a network says of annotated images, against their annotations, class by class (Eq. 4).

    A sample is a query with its likeliest class, if that has a probability above 0.02; its
    confidence is this probability, which the correction shifts (Eq. 5). It is right if it is
    matched to an object with a mask IoU of at least 0.5; where that is not known it is left out.

    Args:
        network: it is in evaluation mode afterwards.
        images: with annotations, of which it has learned nothing.
    """
    table = ClassCalibrationError(images.n_classes)
    for seen in seen_images(network, images):
        confidence, labels = seen.probabilities[:, :-1].max(dim=1)
        found = confidence > LEAST_CONFIDENCE
        confidence, labels = confidence[found].clamp(max=1), labels[found]
        truth = seen.example
        matches = match_detections(
            mask_iou(seen.masks[found] > 0.5, truth.masks),
            labels,
            confidence,
            truth.labels,
            negative_classes=truth.verified.nonzero()[:, 0],
            not_exhaustive_classes=(~truth.exhaustive).nonzero()[:, 0],
        )
        kept = matches.kept
        table.update_matches(labels[kept], confidence[kept], matches.correct[kept])
    return table


def mask_iou(found: Bool[Tensor, "n h w"], truth: Bool[Tensor, "m h w"]) -> Float[Tensor, "n m"]:
    """Pixels of both over pixels of either; 0 where neither has any.

    Example:
        >>> import torch
        >>> one = torch.tensor([[[True, True, False]]])
        >>> mask_iou(one, one.roll(1, dims=2))
        tensor([[0.3333]])
    """
    a, b = found.flatten(1).float(), truth.flatten(1).float()
    both = a @ b.T
    either = a.sum(dim=1)[:, None] + b.sum(dim=1) - both
    return both / either.clamp(min=1)
