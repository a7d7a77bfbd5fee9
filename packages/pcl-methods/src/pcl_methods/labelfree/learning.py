"""Label-free training on one page.

    images, class names -> labels of points in each view -> refined in geometric sets
        -> a 3D network that learns them, and how points correlate in and across scenes

Kang et al., "Hierarchical Intra-modal Correlation Learning for Label-free 3D Semantic
Segmentation", CVPR 2024, Fig. 2. What remains is the 3D network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pcl_data import Scene
from pcl_methods.labelfree.image_labels import ImageLabels
from pcl_methods.labelfree.objective import Clip2Scene, HierarchicalCorrelation, OpenScene
from pcl_methods.labelfree.samples import SampleOptions, image_label_sample, refine_in_sets
from pcl_methods.segmentation.batches import Kept, Sample, SceneBatches, SceneSource
from pcl_run.loop import LoopOptions, Schedule, fit
from pcl_run.run import Run

Objective = HierarchicalCorrelation | Clip2Scene | OpenScene
STAGE = "labelfree"


def published_optimizer(network: nn.Module) -> Optimizer:
    """Of the 3D network; dampening and decay are those of CLIP2Scene, on which the paper builds."""
    return SGD(network.parameters(), lr=0.2, momentum=0.9, dampening=0.1, weight_decay=1e-4)


def published_transformer_optimizer(transformers: nn.Module) -> Optimizer:
    """Of the transformers."""
    return AdamW(transformers.parameters(), lr=2e-4, weight_decay=0.01)


def cosine_by_epoch(steps_per_epoch: int) -> Schedule:
    """A cosine to 0 that changes with the epoch.

    Example:
        >>> cosine_by_epoch(10)(59, 100), cosine_by_epoch(10)(50, 100)
        (0.5, 0.5)
    """

    def factor(step: int, n_steps: int) -> float:
        epoch, n_epochs = step // steps_per_epoch, math.ceil(n_steps / steps_per_epoch)
        return (1 + math.cos(math.pi * epoch / n_epochs)) / 2

    return factor


@dataclass(frozen=True)
class LabelFreeTraining:
    """How a network learns; the defaults are those of the paper for ScanNet.

    Args:
        n_steps: of the optimizers.
        batch_size: scenes of a step, of all processes together.
        make_optimizer: of the 3D network.
        make_transformer_optimizer: of the transformers.
        seed: of everything random in a step.
        options: what changes no number.
    """

    n_steps: int = 18_015  # 120 epochs of 1,201 scenes, 8 a step
    batch_size: int = 8
    make_optimizer: Callable[[nn.Module], Optimizer] = published_optimizer
    make_transformer_optimizer: Callable[[nn.Module], Optimizer] = published_transformer_optimizer
    seed: int = 0
    options: LoopOptions = LoopOptions()


def learn_from_images(
    run: Run,
    fabric: Fabric,
    objective: Objective,
    batches: SceneBatches,
    training: LabelFreeTraining = LabelFreeTraining(),
) -> None:
    """Train the network of an objective; a run that was interrupted goes on exactly.

    Args:
        run: the folder that takes metrics and checkpoints.
        fabric: a launched Fabric; the objective moves to its device.
        objective: what is learned.
        batches: of `label_batches`.
        training: how it is learned.

    Raises:
        RunFailed: (a RuntimeError) if the loss is not finite.
        Interrupted: after SIGINT or SIGTERM, with a checkpoint written.
    """
    objective.to(fabric.device)
    n_scenes = len(batches.sources[0].names)
    steps_per_epoch = math.ceil(n_scenes / training.batch_size)

    def training_step(batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        losses = objective(batch, 1 + step // steps_per_epoch)
        if fabric.world_size > 1:  # its averaging waits for a gradient of every weight
            for parameter in objective.transformers.parameters():
                losses["loss"] = losses["loss"] + 0 * parameter.sum()
        return losses

    optimizers = {"network": training.make_optimizer(_NetworkPart(objective))}
    if len(objective.transformers):
        optimizers["transformers"] = training.make_transformer_optimizer(objective.transformers)
    fit(
        run,
        fabric,
        stage=STAGE,
        modules=nn.ModuleDict({"objective": objective}),
        optimizers=optimizers,
        batches=batches,
        training_step=training_step,
        n_steps=training.n_steps,
        schedule=cosine_by_epoch(steps_per_epoch),
        seed=training.seed,
        options=training.options,
    )


def label_batches(
    names: Sequence[str],
    load: Callable[[str], Scene],
    load_labels: Callable[[str], ImageLabels],
    n_classes: int,
    *,
    refine: bool,
    batch_size: int,
    sample: SampleOptions = SampleOptions(),
    seed: int = 0,
    rank: int = 0,
    n_ranks: int = 1,
) -> SceneBatches:
    """Batches of scenes with what their images say.

    Args:
        names: of the scenes.
        load: reads a scene.
        load_labels: reads its image labels.
        n_classes: of these.
        refine: whether labels are refined in sets (Table 2, row II).
        batch_size: scenes of a step, of all processes together.
        sample: how a sample is made.
        seed: of the run.
        rank: of this process.
        n_ranks: how many processes there are.

    Raises:
        ValueError: if there is no scene, or the processes do not share the batch evenly.
    """
    if batch_size % n_ranks:
        raise ValueError(f"batch_size must be a multiple of {n_ranks} processes, got {batch_size}")
    read = Kept(partial(_labeled_scene, load, load_labels, n_classes, refine), 64)
    source = SceneSource(names, batch_size // n_ranks, partial(_sample, read, n_classes, sample))
    return SceneBatches([source], [seed], rank=rank, n_ranks=n_ranks)


def _labeled_scene(
    load: Callable[[str], Scene],
    load_labels: Callable[[str], ImageLabels],
    n_classes: int,
    refine: bool,
    name: str,
) -> tuple[Scene, ImageLabels, np.ndarray]:
    """A scene, its image labels and those that are learned."""
    scene, found = load(name), load_labels(name)
    found.check_points(scene)
    return scene, found, refine_in_sets(found, n_classes) if refine else found.labels


def _sample(
    read: Callable[[str], tuple[Scene, ImageLabels, np.ndarray]],
    n_classes: int,
    options: SampleOptions,
    name: str,
    rng: np.random.Generator,
) -> Sample:
    scene, found, labels = read(name)
    return image_label_sample(scene, found, labels, n_classes, rng, options)


class _NetworkPart(nn.Module):
    """The parameters of an objective without its transformers."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        own = {id(p) for p in objective.transformers.parameters()}
        self.rest = nn.ParameterList(p for p in objective.parameters() if id(p) not in own)
