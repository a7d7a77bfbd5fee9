"""What a network reads of a scene: colours of a reconstruction, intensity of a LiDAR sweep."""

from typing import Literal

import numpy as np

from pcl_data import Scene

FeatureKind = Literal["colors", "intensity"]
FEATURES: dict[str, int] = {"colors": 3, "intensity": 1}  # channels of each kind


def point_features(scene: Scene, kind: FeatureKind | str) -> np.ndarray:
    """The features of every point of a scene, (n, c) float32.

    Args:
        scene: with colours or intensity, as asked for.
        kind: `colors` (n, 3) in [-0.5, 0.5], or `intensity` (n, 1) as the scene has it.

    Raises:
        ValueError: if the scene has none, or there is no such kind.
    """
    if kind not in FEATURES:
        raise ValueError(f"features must be one of {', '.join(FEATURES)}, got {kind}")
    if kind == "intensity":
        if scene.intensity is None:
            raise ValueError(_missing(scene, "intensity"))
        return np.asarray(scene.intensity)[:, None]
    if scene.colors is None:
        raise ValueError(_missing(scene, "colours"))
    return scene.colors.astype(np.float32) / 255 - np.float32(0.5)


def _missing(scene: Scene, name: str) -> str:
    return f"scene {scene.name} must have {name}: the network reads them, got none"
