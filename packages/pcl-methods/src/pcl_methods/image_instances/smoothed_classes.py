"""What is learned where a class is annotated in an image: a little of similar and rare ones too.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024, Eq. 1-3.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from pcl_calibration import (
    ClassPrototypes,
    class_similarity,
    similarity_smoothing,
    smooth_labels,
    uniform_smoothing,
)
from pcl_methods.image_instances.image_set import Example, ImageSet
from pcl_methods.image_instances.network import InstanceNetwork
from pcl_methods.self_training.smoothed_classes import Smoothing


def smoothed_classes(
    network: InstanceNetwork, images: ImageSet, smoothing: Smoothing | None
) -> Float[Tensor, "c c_and_none"]:
    """What is learned of each class; rows sum to one, nothing of `no object`.

    The embedding of an object is the mean of the last features of the backbone over its mask. The
    paper takes a pretrained backbone; here it is that of the network as it is.

    Args:
        network: gives the features; it is in evaluation mode afterwards.
        images: with annotations that are learned from.
        smoothing: how; none: an annotated class is learned as it is.
    """
    n_classes = images.n_classes
    targets = torch.eye(n_classes)
    if smoothing is not None:
        if smoothing.kind == "uniform":
            towards = uniform_smoothing(n_classes)
        else:
            prototypes = _prototypes(network, images)
            gamma = 1.5 if smoothing.kind == "frequency" else 0.0
            similarity = class_similarity(prototypes.compute())
            towards = similarity_smoothing(similarity, prototypes.counts, gamma=gamma)
        targets = smooth_labels(targets, towards, epsilon=smoothing.epsilon)
    return pad(targets, (0, 1))


@torch.inference_mode()
def _prototypes(network: InstanceNetwork, images: ImageSet) -> ClassPrototypes:
    network.eval()
    size, device = network.sizes.image_size, next(network.parameters()).device
    found: ClassPrototypes | None = None
    for one in images.ids:
        example = images.example(one, size)
        features = network(example.image[None].to(device)).features[0].float().cpu()
        embeddings, labels = instance_embeddings(features, example)
        if found is None:
            found = ClassPrototypes(images.n_classes, embeddings.shape[1])
        found.update(embeddings, labels)
    assert found is not None  # what is learned from holds an image
    return found


def instance_embeddings(
    features: Float[Tensor, "d h w"], example: Example
) -> tuple[Float[Tensor, "k d"], Int[Tensor, " k"]]:
    """The mean feature over each mask, by the share of each cell that it fills, and its class."""
    height, width = features.shape[1:]
    shares = adaptive_avg_pool2d(example.masks[:, None].float(), (height, width)).flatten(1)
    means = (shares @ features.flatten(1).T) / shares.sum(dim=1, keepdim=True)
    return means, example.labels
