"""A simulated hand-held RGB-D camera: path, ray casting, light, sensor noise, fusion.

Depth noise grows with the square of the range as measured for structured light by Nguyen et al.,
"Modeling Kinect Sensor Noise", 3DIMPVT 2012, eq. 2: 1.2 mm + 1.9 mm (z - 0.4 m)^2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt8

from pcl_data.datasets.synthetic_rooms.layout import Room
from pcl_data.datasets.synthetic_rooms.materials import Material, texture
from pcl_data.scene import Frame

IMAGE_SIZE = (320, 240)  # pixels
FIELD_OF_VIEW = 1.05  # radians, horizontal
N_FRAMES = 24
VOXEL_SIZE = 0.02  # metres
MOST_POINTS = 150_000
RANGE = (0.3, 6.0)  # metres


@dataclass(frozen=True, eq=False)
class Soup:
    """All triangles of a room with the material, label and instance of each."""

    triangles: Float32[np.ndarray, "t 3 3"]
    materials: list[Material]
    material: Int64[np.ndarray, " t"]
    label: Int64[np.ndarray, " t"]
    instance: Int64[np.ndarray, " t"]


@dataclass(frozen=True, eq=False)
class Cloud:
    """The fused points of a scan."""

    points: Float32[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"]
    normals: Float32[np.ndarray, "n 3"]
    labels: Int64[np.ndarray, " n"]
    instances: Int64[np.ndarray, " n"]


def scan(room: Room, soup: Soup, rng: np.random.Generator) -> tuple[Cloud, list[Frame]]:
    """Walk through a room with the camera; the fused cloud and its frames, in a turned world.

    Raises:
        ImportError: if embreex is missing.
    """
    tracer = _tracer(soup)
    lights = np.column_stack([rng.uniform(0.2, 0.8, (2, 2)) * (room.width, room.depth), [room.height - 0.1] * 2])
    unlabelled = np.column_stack([rng.uniform(0, 1, (6, 3)) * (room.width, room.depth, 1.6), rng.uniform(0.15, 0.4, 6)])
    yaw, size = rng.uniform(0, 2 * np.pi), IMAGE_SIZE
    world = np.eye(4)
    world[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    focal = size[0] / 2 / np.tan(FIELD_OF_VIEW / 2)
    intrinsics = np.array([[focal, 0, size[0] / 2 - 0.5], [0, focal, size[1] / 2 - 0.5], [0, 0, 1.0]])
    rays = _pixel_rays(size, focal)
    frames, normals = [], []
    for pose in _path(room, rng):
        frame, normal = _shoot(tracer, soup, pose, rays, intrinsics, lights, unlabelled, rng)
        measured = world @ pose @ _pose_error(rng)
        frames.append(Frame(frame[0], frame[1], intrinsics, measured, frame[2], frame[3]))
        normals.append(normal @ world[:3, :3].T.astype(np.float32))
    return _fuse(frames, normals, rays, rng), frames


def _tracer(soup: Soup) -> "rtcore_scene.EmbreeScene":  # noqa: F821 - optional
    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as error:
        raise ImportError(
            "SyntheticRooms casts rays with embreex: pip install 'pcl-data[synth]'"
        ) from error
    tracer = rtcore_scene.EmbreeScene()
    TriangleMesh(tracer, soup.triangles)
    return tracer


def _pixel_rays(size: tuple[int, int], focal: float) -> Float32[np.ndarray, "p 3"]:
    """Directions with z = 1 in the camera frame, so that a distance along one is a depth."""
    x, y = np.meshgrid(np.arange(size[0]) - size[0] / 2 + 0.5, np.arange(size[1]) - size[1] / 2 + 0.5)
    return np.stack([x / focal, y / focal, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)


def _path(room: Room, rng: np.random.Generator) -> list[Float[np.ndarray, "4 4"]]:
    """Two rounds through the room at chest height, looking across it and a little down."""
    size, poses, phase = np.array([room.width, room.depth]), [], rng.uniform(0, 2 * np.pi)
    tall = [b for b in room.occupied if b[1, 2] > 1.1 and b[0, 2] < 1.8]
    spots = rng.uniform(0.12, 0.88, (400, 2)) * size
    for low, high in tall:
        inside = ((spots > low[:2] - 0.2) & (spots < high[:2] + 0.2)).all(axis=1)
        spots = spots[~inside] if not inside.all() else spots
    for k in range(N_FRAMES):
        angle = phase + 4 * np.pi * k / N_FRAMES + rng.normal(0, 0.1)
        heading = np.array([np.cos(angle), np.sin(angle)])
        wish = size / 2 + heading * size * (0.38 if k % 3 else 0.2)
        spot = spots[np.linalg.norm(spots - wish, axis=1).argmin()]
        target = size / 2 - heading * size * rng.uniform(0.2, 0.5)
        yaw = np.arctan2(*(target - spot)[::-1]) + rng.normal(0, 0.25)
        pitch = -rng.uniform(0.1, 0.95) if k % 4 else rng.uniform(-0.2, 0.25)
        poses.append(_look((*spot, rng.normal(1.5, 0.12)), yaw, pitch, rng.normal(0, 0.06)))
    return poses


def _look(position: tuple[float, ...], yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "4 4"]:
    """Pose of a camera (x right, y down, z ahead) at a position."""
    ahead = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(ahead, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = ahead, position
    return pose


def _pose_error(rng: np.random.Generator) -> Float[np.ndarray, "4 4"]:
    """Tracking error: a few millimetres and about a tenth of a degree."""
    error, (a, b, c) = np.eye(4), rng.normal(0, 0.002, 3)
    skew = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    error[:3, :3], _ = np.linalg.qr(np.eye(3) + skew)
    error[:3, :3] *= np.sign(np.diag(error[:3, :3]))
    error[:3, 3] = rng.normal(0, 0.003, 3)
    return error


def _shoot(tracer, soup, pose, rays, intrinsics, lights, unlabelled, rng):  # noqa: ANN001
    """One image: colour, depth, labels, instances, and the normal of each pixel in the room."""
    directions = rays @ pose[:3, :3].T.astype(np.float32)
    origins = np.broadcast_to(pose[:3, 3].astype(np.float32), directions.shape)
    answer = tracer.run(np.ascontiguousarray(origins), directions, output=1)
    face, depth = answer["primID"].astype(np.int64), answer["tfar"]
    hit = face >= 0
    depth = np.where(hit, depth, 0).astype(np.float32)
    normal = answer["Ng"] / np.maximum(np.linalg.norm(answer["Ng"], axis=1, keepdims=True), 1e-12)
    cosine = -(normal * directions).sum(axis=1) / np.linalg.norm(directions, axis=1)
    normal[cosine < 0] *= -1
    points = origins + depth[:, None] * directions
    image = _shade(soup, face, hit, points, normal, lights, rng)
    gloss = np.array([m.gloss for m in soup.materials], dtype=np.float32)[soup.material[face]]
    measured = _measure(depth, np.abs(cosine), gloss, hit, rng)
    near = np.linalg.norm(points[:, None] - unlabelled[:, :3].astype(np.float32), axis=2) < unlabelled[:, 3]
    known = hit & ~near.any(axis=1)
    shape = IMAGE_SIZE[::-1]
    labels, instances = np.where(known, soup.label[face], -1), np.where(known, soup.instance[face], -1)
    return (image, measured.reshape(shape), labels.reshape(shape), instances.reshape(shape)), normal


def _shade(soup, face, hit, points, normals, lights, rng) -> UInt8[np.ndarray, "h w 3"]:  # noqa: ANN001
    """Albedo under two lamps and ambient light, with the exposure and white balance of the frame."""
    light = np.full(len(face), 0.45, dtype=np.float32) + 0.1 * normals[:, 2]
    for lamp in lights.astype(np.float32):
        ray = lamp - points
        distance = np.linalg.norm(ray, axis=1)
        light += 0.9 * np.maximum((normals * ray).sum(axis=1) / distance, 0) / (1 + 0.35 * distance**2)
    gain = rng.uniform(0.85, 1.15) * (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
    color = texture(soup.materials, soup.material[face], points, normals) * light[:, None] * gain
    color[~hit] = 0.97
    color += rng.normal(0, 0.015, color.shape).astype(np.float32)
    return (255 * np.clip(color, 0, 1)).astype(np.uint8).reshape(*IMAGE_SIZE[::-1], 3)


def _measure(
    depth: Float[np.ndarray, " p"],
    cosine: Float[np.ndarray, " p"],
    gloss: Float[np.ndarray, " p"],
    hit: Bool[np.ndarray, " p"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, " p"]:
    """Noisy depth; 0 out of range, at grazing angles, on gloss and at edges."""
    sigma = 0.0012 + 0.0019 * (depth - 0.4) ** 2
    noisy = depth + sigma * rng.standard_normal(len(depth), dtype=np.float32)
    lost = rng.random(len(depth), dtype=np.float32) < 0.01 + gloss + np.clip(1 - cosine / 0.25, 0, 1)
    grid = depth.reshape(IMAGE_SIZE[::-1])
    jump = np.zeros_like(grid, dtype=bool)
    jump[:, 1:] |= np.abs(np.diff(grid, axis=1)) > 0.08 * grid[:, 1:]
    jump[1:] |= np.abs(np.diff(grid, axis=0)) > 0.08 * grid[1:]
    lost |= jump.ravel() | ~hit | (depth < RANGE[0]) | (depth > RANGE[1])
    return np.where(lost, 0, noisy).astype(np.float32)


def _fuse(frames: list[Frame], normals: list, rays: Float32[np.ndarray, "p 3"], rng: np.random.Generator) -> Cloud:
    """Means of the voxels that were seen twice; the first view of a voxel names it."""
    seen = [frame.depth.ravel() > 0 for frame in frames]
    points = np.concatenate([
        (rays[s] * f.depth.ravel()[s, None]) @ f.camera_to_world[:3, :3].T.astype(np.float32)
        + f.camera_to_world[:3, 3].astype(np.float32)
        for s, f in zip(seen, frames, strict=True)
    ])
    colors = np.concatenate([f.image.reshape(-1, 3)[s] for s, f in zip(seen, frames, strict=True)])
    normal = np.concatenate([n[s] for s, n in zip(seen, normals, strict=True)])
    labels = np.concatenate([f.labels.ravel()[s] for s, f in zip(seen, frames, strict=True)])
    instances = np.concatenate([f.instances.ravel()[s] for s, f in zip(seen, frames, strict=True)])
    voxel = _voxels(points)
    n = int(voxel.max()) + 1
    rows = np.flatnonzero(voxel >= 0)
    voxel = voxel[rows]
    count = np.bincount(voxel, minlength=n)[:, None]
    mean = [np.stack([np.bincount(voxel, a[rows, i], n) for i in range(3)], 1) / count for a in (points, colors, normal)]
    first = np.empty(n, dtype=np.int64)
    first[voxel[::-1]] = rows[::-1]  # the last write wins
    mean[2] += rng.normal(0, 0.08, mean[2].shape)
    mean[2] /= np.linalg.norm(mean[2], axis=1, keepdims=True)
    kept = np.sort(rng.choice(n, min(n, MOST_POINTS), replace=False))
    first = first[kept]
    return Cloud(mean[0][kept].astype(np.float32), mean[1][kept].astype(np.uint8),
                 mean[2][kept].astype(np.float32), labels[first], instances[first])


def _voxels(points: Float32[np.ndarray, "m 3"]) -> Int[np.ndarray, " m"]:
    """Number of the voxel of each point among those seen at least twice, else -1."""
    cells = np.floor(points / VOXEL_SIZE).astype(np.int64)
    cells -= cells.min(axis=0)
    size = cells.max(axis=0) + 1
    flat = (cells[:, 0] * size[1] + cells[:, 1]) * size[2] + cells[:, 2]
    kept = np.flatnonzero(np.bincount(flat) > 1)
    number = np.full(int(size.prod()), -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    return number[flat]
