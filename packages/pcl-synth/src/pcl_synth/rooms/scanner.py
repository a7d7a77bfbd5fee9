"""A simulated hand-held RGB-D camera: path, ray casting, light, sensor noise, fusion.

Depth noise grows with the square of the range as measured for structured light by Nguyen et al.,
"Modeling Kinect Sensor Noise", 3DIMPVT 2012, eq. 2: 1.2 mm + 1.9 mm (z - 0.4 m)^2.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from pcl_data.scene import Frame
from pcl_synth.materials import texture
from pcl_synth.ray_casting import Hits, Soup, cast, tracer
from pcl_synth.rooms.layout import Room

IMAGE_SIZE = (320, 240)  # pixels
FIELD_OF_VIEW = 1.05  # radians, horizontal
N_FRAMES = 24
VOXEL_SIZE = 0.0225  # metres
NORMAL_NOISE = 0.08  # radians, about
GRAZING = 0.25  # cosine of incidence below which measurements begin to fail
MOST_POINTS = 150_000
RANGE = (0.3, 6.0)  # metres


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
    size = (room.width, room.depth)
    stage = _Stage(
        soup,
        tracer(soup.triangles),
        lights=np.column_stack([rng.uniform(0.2, 0.8, (2, 2)) * size, [room.height - 0.1] * 2]),
        gaps=np.column_stack([rng.uniform(0, 1, (6, 3)) * (*size, 1.6), rng.uniform(0.15, 0.4, 6)]),
    )
    focal = IMAGE_SIZE[0] / 2 / np.tan(FIELD_OF_VIEW / 2)
    center = (np.array(IMAGE_SIZE) - 1) / 2
    intrinsics = np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1.0]])
    rays = _pixel_rays(intrinsics)
    yaw, world = rng.uniform(0, 2 * np.pi), np.eye(4)
    world[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    frames, normals = [], []
    for pose in _path(room, rng):
        image, depth, labels, instances, normal = _shoot(stage, pose, rays, rng)
        measured = world @ pose @ _pose_error(rng)
        frames.append(Frame(image, depth, intrinsics, measured, labels, instances))
        normals.append(normal @ world[:3, :3].T.astype(np.float32))
    return _fuse(frames, normals, rays, rng), frames


@dataclass(frozen=True, eq=False)
class _Stage:
    """What the camera looks at: triangles, lamps, and balls (x, y, z, radius) without labels."""

    soup: Soup
    tracer: Any  # embreex.rtcore_scene.EmbreeScene
    lights: Float[np.ndarray, "l 3"]
    gaps: Float[np.ndarray, "g 4"]


class _Shot(NamedTuple):
    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    labels: Int64[np.ndarray, "h w"]
    instances: Int64[np.ndarray, "h w"]
    normals: Float32[np.ndarray, "p 3"]  # in the frame of the room


def _pixel_rays(intrinsics: Float[np.ndarray, "3 3"]) -> Float32[np.ndarray, "p 3"]:
    """Directions with z = 1 in the camera frame, so that a distance along one is a depth."""
    x, y = np.meshgrid(np.arange(IMAGE_SIZE[0]), np.arange(IMAGE_SIZE[1]))
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    return (pixels @ np.linalg.inv(intrinsics).T).astype(np.float32)


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
        pitch = rng.uniform(-0.2, 0.15) if k % 4 == 0 else -rng.uniform(0.25, 0.9)
        poses.append(_look((*spot, rng.normal(1.5, 0.12)), yaw, pitch, rng.normal(0, 0.06)))
    return poses


def _look(
    position: tuple[float, ...], yaw: float, pitch: float, roll: float
) -> Float[np.ndarray, "4 4"]:
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


def _shoot(
    stage: _Stage,
    pose: Float[np.ndarray, "4 4"],
    rays: Float32[np.ndarray, "p 3"],
    rng: np.random.Generator,
) -> _Shot:
    """One image: colour, depth, labels and instances, and the normal of each pixel."""
    world = pose.astype(np.float32)
    origins = np.tile(world[:3, 3], (len(rays), 1))
    hits = cast(stage.tracer, origins, rays @ world[:3, :3].T)
    soup, shape = stage.soup, IMAGE_SIZE[::-1]
    center, radius = stage.gaps[:, :3].astype(np.float32), stage.gaps[:, 3]
    distance = (hits.points**2).sum(axis=1)[:, None] - 2 * hits.points @ center.T
    in_gap = (distance + (center**2).sum(axis=1) < radius**2).any(axis=1)
    known = (hits.face >= 0) & ~in_gap
    gloss = np.array([m.gloss for m in soup.materials], dtype=np.float32)
    return _Shot(
        _shade(stage, hits, rng).reshape(*shape, 3),
        _measure(hits, gloss[soup.material[hits.face]], rng).reshape(shape),
        np.where(known, soup.label[hits.face], -1).reshape(shape),
        np.where(known, soup.instance[hits.face], -1).reshape(shape),
        hits.normals,
    )


def _shade(stage: _Stage, hits: Hits, rng: np.random.Generator) -> UInt8[np.ndarray, "p 3"]:
    """Albedo under lamps and ambient light, with the exposure and white balance of the frame."""
    light = 0.45 + 0.1 * hits.normals[:, 2]
    for lamp in stage.lights.astype(np.float32):
        ray = lamp - hits.points
        distance = np.linalg.norm(ray, axis=1)
        facing = np.maximum((hits.normals * ray).sum(axis=1) / distance, 0)
        light += 0.9 * facing / (1 + 0.35 * distance**2)
    gain = (rng.uniform(0.85, 1.15) * (1 + rng.normal(0, 0.03, 3))).astype(np.float32)
    material = stage.soup.material[hits.face]
    albedo = texture(stage.soup.materials, material, hits.points, hits.normals)
    color = albedo * light[:, None] * gain
    color[hits.face < 0] = 0.97
    color += 0.015 * rng.standard_normal(color.shape, dtype=np.float32)
    return (255 * np.clip(color, 0, 1)).astype(np.uint8)


def _measure(
    hits: Hits, gloss: Float32[np.ndarray, " p"], rng: np.random.Generator
) -> Float32[np.ndarray, " p"]:
    """Noisy depth; 0 out of range, at grazing angles, on gloss and at edges."""
    depth = hits.depth
    sigma = 0.0012 + 0.0019 * (depth - 0.4) ** 2
    noisy = depth + sigma * rng.standard_normal(len(depth), dtype=np.float32)
    chance = 0.01 + gloss + np.clip(1 - hits.cosine / GRAZING, 0, 1)
    lost = rng.random(len(depth), dtype=np.float32) < chance
    grid = depth.reshape(IMAGE_SIZE[::-1])
    edge = np.zeros(grid.shape, dtype=bool)
    edge[:, 1:] |= np.abs(np.diff(grid, axis=1)) > 0.08 * grid[:, 1:]
    edge[1:] |= np.abs(np.diff(grid, axis=0)) > 0.08 * grid[1:]
    lost |= edge.ravel() | (hits.face < 0) | (depth < RANGE[0]) | (depth > RANGE[1])
    return np.where(lost, 0, noisy).astype(np.float32)


def _fuse(
    frames: list[Frame],
    normals: list[Float[np.ndarray, "p 3"]],
    rays: Float32[np.ndarray, "p 3"],
    rng: np.random.Generator,
) -> Cloud:
    """Mean of each voxel of the surface; its first view gives the label."""
    seen = [_ranges(frame) > 0 for frame in frames]
    views = list(zip(frames, seen, strict=True))
    points = np.concatenate([_to_world(rays[s], frame, s) for frame, s in views])
    colors = np.concatenate([frame.image.reshape(-1, 3)[s] for frame, s in views])
    normal = np.concatenate([n[s] for n, s in zip(normals, seen, strict=True)])
    labels = np.concatenate([np.asarray(frame.labels).ravel()[s] for frame, s in views])
    instances = np.concatenate([np.asarray(frame.instances).ravel()[s] for frame, s in views])

    voxel, keep = _surface_voxels(points, normal)
    count = np.bincount(voxel)[:, None]
    mean = [
        np.stack([np.bincount(voxel, array[:, i]) for i in range(3)], axis=1) / count
        for array in (points, colors, normal)
    ]
    first = np.empty(len(count), dtype=np.int64)
    first[voxel[::-1]] = np.arange(len(voxel))[::-1]  # the last write wins
    if len(keep) > MOST_POINTS:
        keep = np.sort(rng.choice(keep, MOST_POINTS, replace=False))
    direction = mean[2][keep] + rng.normal(0, NORMAL_NOISE, (len(keep), 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return Cloud(
        mean[0][keep].astype(np.float32),
        mean[1][keep].astype(np.uint8),
        direction.astype(np.float32),
        labels[first[keep]],
        instances[first[keep]],
    )


def _to_world(
    rays: Float32[np.ndarray, "m 3"], frame: Frame, seen: Bool[np.ndarray, " p"]
) -> Float32[np.ndarray, "m 3"]:
    pose = frame.camera_to_world.astype(np.float32)
    return (rays * _ranges(frame)[seen, None]) @ pose[:3, :3].T + pose[:3, 3]


def _surface_voxels(
    points: Float32[np.ndarray, "m 3"], normals: Float32[np.ndarray, "m 3"]
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " k"]]:
    """Voxel of each point, numbered, and the voxels that noise has not merely thickened.

    Those are seen at least twice, and no less often than their neighbours across the surface.
    """
    cells = np.floor(points / VOXEL_SIZE).astype(np.int32)
    cells -= cells.min(axis=0) - 1  # leaves an empty border
    size = cells.max(axis=0).astype(np.int64) + 2
    stride = np.array([size[1] * size[2], size[2], 1])
    flat = (cells * stride).sum(axis=1)
    count = np.bincount(flat, minlength=int(size.prod()))
    occupied = np.flatnonzero(count)
    number = np.empty(len(count), dtype=np.int64)
    number[occupied] = np.arange(len(occupied))
    voxel = number[flat]
    slope = np.stack([np.bincount(voxel, normals[:, i]) for i in range(3)], axis=1)
    across = stride[np.abs(slope).argmax(axis=1)]
    own = count[occupied]
    is_surface = (own >= count[occupied - across]) & (own > count[occupied + across]) & (own > 1)
    return voxel, np.flatnonzero(is_surface)


def _ranges(frame: Frame) -> Float32[np.ndarray, " pixels"]:
    assert frame.depth is not None  # this camera measures it
    return frame.depth.ravel()
