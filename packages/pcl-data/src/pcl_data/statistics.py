"""What a data set holds: sizes, densities, classes and their long tail."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from pcl_data.label_set import LabelSet
from pcl_data.scene import Scene
from pcl_data.voxelization import voxelize

DENSITY_VOXEL = 0.1  # metres


@dataclass(frozen=True, eq=False)
class SceneCounts:
    """The numbers of one scene.

    Attributes:
        name: of the scene.
        n_points: points.
        extent: width, depth and height, metres.
        density: points in a voxel of `DENSITY_VOXEL` that is not empty, on average.
        n_unlabeled: points without a label; all of them, if the scene has no labels.
        class_points: points of each class.
        class_instances: instances of each class.
        n_frames: posed images.
        n_boxes: boxes.
    """

    name: str
    n_points: int
    extent: tuple[float, float, float]
    density: float
    n_unlabeled: int
    class_points: Int64[np.ndarray, " c"]
    class_instances: Int64[np.ndarray, " c"]
    n_frames: int
    n_boxes: int


def count_scene(scene: Scene, n_classes: int) -> SceneCounts:
    """The numbers of a scene.

    Args:
        scene: any.
        n_classes: of its label set; 0 counts no class.

    Example:
        >>> import numpy as np
        >>> scene = Scene("a", np.zeros((3, 3), np.float32), labels=np.array([0, 1, -1]))
        >>> counts = count_scene(scene, 2)
        >>> counts.n_unlabeled, counts.class_points.tolist()
        (1, [1, 1])
    """
    points = np.asarray(scene.points)
    labels = np.full(len(points), -1) if scene.labels is None else np.asarray(scene.labels)
    is_labeled = (labels >= 0) & (labels < n_classes)
    instances = np.full(len(points), -1) if scene.instances is None else scene.instances
    pairs = np.stack([labels, instances], axis=1)[is_labeled & (instances >= 0)]
    x, y, z = np.ptp(points, axis=0).tolist()
    return SceneCounts(
        name=scene.name,
        n_points=len(points),
        extent=(x, y, z),
        density=len(points) / len(voxelize(points, DENSITY_VOXEL).coords),
        n_unlabeled=int((~is_labeled).sum()),
        class_points=np.bincount(labels[is_labeled], minlength=n_classes),
        class_instances=np.bincount(np.unique(pairs, axis=0)[:, 0], minlength=n_classes),
        n_frames=len(scene.frames),
        n_boxes=0 if scene.boxes is None else len(scene.boxes),
    )


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """The numbers of all scenes.

    Attributes:
        scenes: the numbers of each.
        names: of the classes.
    """

    scenes: tuple[SceneCounts, ...]
    names: tuple[str, ...]

    @property
    def n_points(self) -> int:
        """Points of all scenes."""
        return sum(scene.n_points for scene in self.scenes)

    @property
    def class_points(self) -> Int64[np.ndarray, " c"]:
        """Points of each class."""
        return np.sum([scene.class_points for scene in self.scenes], axis=0)

    @property
    def class_instances(self) -> Int64[np.ndarray, " c"]:
        """Instances of each class."""
        return np.sum([scene.class_instances for scene in self.scenes], axis=0)

    @property
    def class_scenes(self) -> Int64[np.ndarray, " c"]:
        """Scenes that have a point of each class."""
        return np.sum([scene.class_points > 0 for scene in self.scenes], axis=0)

    @property
    def class_share(self) -> Float[np.ndarray, " c"]:
        """Share of each class in the labeled points; NaN if there are none."""
        points = self.class_points
        with np.errstate(invalid="ignore"):
            return points / points.sum()


def count_dataset(scenes: Iterable[Scene], label_set: LabelSet | None) -> DatasetStatistics:
    """The numbers of a data set, which is read once.

    Raises:
        ValueError: if there is no scene, or a scene is broken.
    """
    names = () if label_set is None else label_set.names
    counts = tuple(count_scene(scene, len(names)) for scene in scenes)
    if not counts:
        raise ValueError("scenes must hold at least one scene, got 0")
    return DatasetStatistics(counts, names)
