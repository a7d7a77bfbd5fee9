"""Triangles with materials, labels and instances, and where rays meet them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from pcl_synth.materials import Material


@dataclass(frozen=True, eq=False)
class Soup:
    """All triangles of a world with the material, label and instance of each."""

    triangles: Float32[np.ndarray, "t 3 3"]
    materials: list[Material]
    material: Int64[np.ndarray, " t"]
    label: Int64[np.ndarray, " t"]
    instance: Int64[np.ndarray, " t"]


class Hits(NamedTuple):
    """Where rays end; `face` is -1 and `depth` 0 where they meet nothing.

    `depth` counts in lengths of the ray's direction. `normals` are unit vectors on the side the
    ray comes from; `cosine` is that of the angle between them and the ray.
    """

    face: Int64[np.ndarray, " p"]
    depth: Float32[np.ndarray, " p"]
    points: Float32[np.ndarray, "p 3"]
    normals: Float32[np.ndarray, "p 3"]
    cosine: Float32[np.ndarray, " p"]


def tracer(triangles: Float32[np.ndarray, "t 3 3"]) -> Any:
    """What `cast` needs of the triangles: an `EmbreeScene`.

    Raises:
        ImportError: if embreex is missing.
    """
    try:
        from embreex import rtcore_scene  # pyrefly: ignore  # compiled, without stubs
        from embreex.mesh_construction import TriangleMesh  # pyrefly: ignore
    except ImportError as error:
        raise ImportError(
            "synthetic scenes cast rays with embreex: pip install embreex trimesh"
        ) from error
    scene = rtcore_scene.EmbreeScene()  # pyrefly: ignore
    TriangleMesh(scene, triangles)
    return scene


def cast(
    tracer: Any, origins: Float32[np.ndarray, "p 3"], directions: Float32[np.ndarray, "p 3"]
) -> Hits:
    """First triangle that each ray meets."""
    answer = tracer.run(origins, directions, output=1)
    face = answer["primID"].astype(np.int64)
    depth = np.where(face >= 0, answer["tfar"], 0).astype(np.float32)
    normals = answer["Ng"] / np.maximum(np.linalg.norm(answer["Ng"], axis=1, keepdims=True), 1e-12)
    cosine = -(normals * directions).sum(axis=1) / np.linalg.norm(directions, axis=1)
    normals[cosine < 0] *= -1  # towards the camera
    return Hits(face, depth, origins + depth[:, None] * directions, normals, np.abs(cosine))
