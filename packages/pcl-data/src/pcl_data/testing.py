"""What every data set promises, as a check that each of their tests calls."""

import pickle

import numpy as np

from pcl_data.dataset import Dataset
from pcl_data.scene import Frame, Scene


def check_dataset(dataset: Dataset) -> None:
    """Raise `AssertionError` unless the data set keeps its promises on its first and last scene.

    Names are distinct and are those of the scenes; reading twice gives the same bits; labels are
    train ids of the data set's label set and instances belong to its things; frames see points of
    the scene; the data set and its scenes can be sent to other processes.

    Args:
        dataset: of at least one scene.
    """
    names = dataset.names
    assert len(names) == len(dataset) == len(set(names)) > 0, "names must be distinct, one a scene"
    for index in {0, len(dataset) - 1}:
        scene, again = dataset[index], dataset[index]
        assert scene.name == names[index], f"{names[index]} must not be called {scene.name}"
        assert np.array_equal(scene.points, again.points), f"{scene.name} must read the same twice"
        assert scene.label_set is dataset.label_set
        _check_instances(scene)
        _check_pickling(scene.name, scene)
        for frame in list(scene.frames)[:2]:
            assert _share_seen(frame, scene) > 0, f"a frame of {scene.name} must see a point of it"
    _check_pickling("dataset", dataset)


def _check_instances(scene: Scene) -> None:
    if scene.instances is None or scene.labels is None or scene.label_set is None:
        return
    labels = scene.labels[scene.instances >= 0]
    assert np.isin(labels, scene.label_set.things).all(), f"{scene.name} has instances of stuff"


def _check_pickling(owner: str, value: object) -> None:
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"{owner} must go to other processes, got {error}") from error


def _share_seen(frame: Frame, scene: Scene) -> float:
    """Share of the points that lie before the camera and inside the image."""
    world_to_camera = np.linalg.inv(frame.camera_to_world)
    camera = scene.points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    x, y, z = frame.intrinsics @ camera.T
    height, width = frame.image.shape[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (x / z >= 0) & (x / z < width) & (y / z >= 0) & (y / z < height)
    return float((inside & (z > 0)).mean())
