"""From the words and settings of a pre-training to the objects of `pcl_methods.pretraining`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from pcl_data.splits import SceneSplit
from pcl_methods.data import spread
from pcl_methods.kinds import kind_of
from pcl_methods.pretraining.frame_pairs import FramePairs, open_frame_pairs
from pcl_methods.pretraining.learning import Training, cosine, exponential
from pcl_methods.pretraining.matched_views import CutViews, MatchedViews
from pcl_methods.pretraining.monitoring import KnnProbe, Monitor
from pcl_methods.pretraining.norm_fitting import fit_norms
from pcl_methods.pretraining.objective import Objective
from pcl_methods.pretraining.point_objective import (
    HardestPointContrast,
    PointContrast,
    SceneContexts,
)
from pcl_methods.pretraining.scene_objective import Byol, DepthContrast
from pcl_methods.pretraining.scene_views import SceneViews
from pcl_methods.pretraining.teacher_objective import TeacherOptions
from pcl_methods.pretraining.views import ViewBatches
from pcl_methods.pretraining.volume_objective import (
    ClusterOptions,
    LocalVolumes,
    Sspl,
    SsplClasses,
)
from pcl_methods.pretraining.volume_views import VolumeViews
from pcl_methods.segmentation.encoding import VoxelBackbone
from pcl_methods.segmentation.network import Backbone
from pcl_methods.segmentation.weights import InitialWeights, load_initial_weights
from pcl_methods.settings import build_backbone
from pcl_run.loop import Schedule
from pcl_run.run import Run
from pcl_run.training import make_optimizer
from pretrain_cli.config import FinetuneConfig, PretrainConfig

T = TypeVar("T", bound=VoxelBackbone)
NORM_SCENES = 20  # that the batch norms of SSPL's backbone are fitted to
SCHEDULES: dict[str, Schedule] = {"exponential": exponential, "cosine": cosine}
NEGATIVES: dict[str, Literal["any", "other", "same"]] = {
    "cluster": "other",
    "hard": "same",
    "random": "any",
}


def initial_backbone(
    config: PretrainConfig | FinetuneConfig,
) -> tuple[Backbone, InitialWeights | None]:
    """The backbone of a configuration, and the weights that it starts from.

    Voxels of those may have another size: Contrastive Scene Contexts goes from 2.5 to 2 cm.
    """
    backbone = build_backbone(config.model, config.data.features)
    if config.init is None:
        return backbone, None
    expected = config.model.identity() | {"features": config.data.features}
    return backbone, load_initial_weights(backbone, config.init, expected=expected)


def build_objective(config: PretrainConfig, backbone: VoxelBackbone) -> Objective:
    """The objective of a method, with fresh weights on top of the backbone."""
    return METHODS[config.method].objective(config, backbone)


def build_batches(
    config: PretrainConfig,
    split: SceneSplit,
    names: Sequence[str],
    pairs: FramePairs | None,
    **ranks: int,
) -> ViewBatches:
    """Batches of views of the scenes of these names, or of pairs of their frames."""
    settings: dict[str, Any] = {"count": config.train.batch_size, "seed": config.seed, **ranks}
    if pairs is not None:
        return ViewBatches(pairs.pairs, pairs.load, _matched_views(config), **settings)
    make_views = METHODS[config.method].scene_views(config)
    return ViewBatches(names, split.load, make_views, **settings)


def build_training(config: PretrainConfig) -> Training:
    """Steps, optimizer and schedule."""
    settings = config.train
    return Training(
        settings.steps,
        partial(make_optimizer, settings=settings),
        SCHEDULES[settings.schedule],
        config.seed,
        settings.loop_options(),
    )


def build_monitor(run: Run, config: PretrainConfig, split: SceneSplit) -> Monitor:
    """The health panel of held-out views, and a kNN probe of the backbone as it would leave."""
    settings = config.monitor
    knn = KnnProbe(
        split,
        voxel_size=config.model.voxel_size,
        features=config.data.features,
        n_labeled=settings.scenes,
        n_held_out=settings.probed,
        n_neighbors=settings.n_neighbors,
        max_voxels=settings.max_voxels,
    )
    return Monitor(
        run,
        held_out_views(config, split),
        lambda backbone: knn(finished(backbone, config, split)),
        every=settings.every,
        n_batches=settings.batches,
    )


def finished(backbone: T, config: PretrainConfig, split: SceneSplit) -> T:
    """The backbone as it leaves pre-training: after SSPL with the batch norms of whole scenes."""
    if not METHODS[config.method].learns_from_crops:
        return backbone
    scenes = (split.load(name) for name in spread(split.training, NORM_SCENES))
    size, features = config.model.voxel_size, config.data.features
    return fit_norms(backbone, scenes, voxel_size=size, features=features)


def open_pairs(config: PretrainConfig, scenes: Sequence[str]) -> FramePairs | None:
    """The frame pairs of scenes, none of some, if the run learns from frames."""
    if config.contrast.pairs is None:
        return None
    source = {"kind": kind_of(config.data), "world_seed": config.data.world_seed}
    return open_frame_pairs(config.contrast.pairs, scenes, source)


def held_out_views(config: PretrainConfig, split: SceneSplit) -> ViewBatches:
    """Views for the health panel: of held-out scenes, where there are any."""
    names = split.validation or split.training
    pairs = open_pairs(config, names)
    if pairs is not None and not pairs.pairs:  # the folder holds pairs of training scenes alone
        names = split.training
        pairs = open_pairs(config, names)
    return build_batches(config, split, names, pairs)


def _point_contrast(config: PretrainConfig, backbone: VoxelBackbone) -> Objective:
    kind = HardestPointContrast if config.contrast.loss == "hardest" else PointContrast
    fields = {"channels", "temperature", "n_matches"}
    return kind(backbone, **config.contrast.model_dump(include=fields))


def _scene_contexts(config: PretrainConfig, backbone: VoxelBackbone) -> Objective:
    fields = {"channels", "temperature", "n_matches"}
    fields |= {"n_partitions", "inner_radius", "outer_radius"}
    return SceneContexts(backbone, **config.contrast.model_dump(include=fields))


def _sspl(config: PretrainConfig, backbone: VoxelBackbone) -> Objective:
    settings, options = config.sspl, _teacher(config)
    local_loss, variant = settings.local_loss, settings.global_loss
    if variant == "none":
        return LocalVolumes(backbone, options, local_loss=local_loss)
    fields = {"n_clusters", "n_negatives", "refresh_every"}
    clusters = ClusterOptions(
        **settings.model_dump(include=fields), negatives=NEGATIVES.get(variant, "other")
    )
    kind = SsplClasses if variant == "class" else Sspl
    return kind(backbone, options, clusters, local_loss=local_loss)


def _teacher(config: PretrainConfig) -> TeacherOptions:
    return TeacherOptions(**config.teacher.model_dump())


def _matched_views(config: PretrainConfig) -> MatchedViews:
    return MatchedViews(config.model.voxel_size, config.data.features, config.contrast.augmentation)


def _cut_views(config: PretrainConfig) -> CutViews:
    return CutViews(_matched_views(config), config.contrast.view_size)


def _volume_views(config: PretrainConfig) -> VolumeViews:
    fields = {"volume_size", "max_volumes", "min_points", "student_crop", "teacher_crop"}
    return VolumeViews(
        config.model.voxel_size, config.data.features, **config.sspl.model_dump(include=fields)
    )


def _scene_views(config: PretrainConfig) -> SceneViews:
    return SceneViews(config.model.voxel_size, config.data.features)


@dataclass(frozen=True)
class Method:
    """What a method is made of."""

    objective: Callable[[PretrainConfig, VoxelBackbone], Objective]
    scene_views: Callable[[PretrainConfig], Any]
    learns_from_crops: bool = False


METHODS: dict[str, Method] = {
    "pointcontrast": Method(_point_contrast, _cut_views),
    "csc": Method(_scene_contexts, _cut_views),
    "sspl": Method(_sspl, _volume_views, learns_from_crops=True),
    "depthcontrast": Method(
        lambda config, backbone: DepthContrast(backbone, _teacher(config)), _scene_views
    ),
    "byol": Method(lambda config, backbone: Byol(backbone, _teacher(config)), _scene_views),
}
