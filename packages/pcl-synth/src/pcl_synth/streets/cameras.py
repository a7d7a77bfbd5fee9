"""Six cameras in a ring on the roof: colour, depth, labels and instances of each pixel, exactly.

Each takes its image when the LiDAR looks its way, as those of nuScenes do (Caesar et al., CVPR
2020, section 2), so the car stands elsewhere than at the time of the sweep.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from pcl_data.scene import Frame
from pcl_synth.materials import texture
from pcl_synth.streets.lidar import PERIOD, Stage, Surface, sensor_poses
from pcl_synth.streets.street import Street

IMAGE_SIZE = (400, 224)  # pixels, width and height
FARTHEST = 250.0  # metres; beyond it is the sky
_HAZE = np.array([0.78, 0.83, 0.89], np.float32)
_ZENITH = np.array([0.36, 0.55, 0.85], np.float32)


class Camera(NamedTuple):
    """A camera of the ring.

    Args:
        name: channel, as nuScenes calls it.
        yaw: where it looks, radians to the left of ahead.
        width: its horizontal field of view, radians.
        place: where it is in the frame of the car, metres.
    """

    name: str
    yaw: float
    width: float
    place: tuple[float, float, float]

    @property
    def delay(self) -> float:
        """Seconds from the time of the sweep to that of the image: the LiDAR turns clockwise."""
        return -self.yaw / (2 * np.pi) * PERIOD

    @property
    def intrinsics(self) -> Float[np.ndarray, "3 3"]:
        """Pinhole matrix; the centre of the first pixel is at (0, 0)."""
        focal = IMAGE_SIZE[0] / 2 / np.tan(self.width / 2)
        x, y = (np.array(IMAGE_SIZE) - 1) / 2
        return np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]])

    @property
    def mount(self) -> Float[np.ndarray, "4 4"]:
        """Pose in the frame of the car, tilted down by 3 degrees."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        ahead = np.array([cos * np.cos(0.05), sin * np.cos(0.05), -np.sin(0.05)])
        right = np.array([sin, -cos, 0.0])
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(ahead, right), ahead, np.array(self.place)], axis=1)
        return pose


CAMERAS = (
    Camera("CAM_FRONT", 0.0, np.radians(70), (1.70, 0.0, 1.51)),
    Camera("CAM_FRONT_RIGHT", np.radians(-56), np.radians(70), (1.55, -0.49, 1.50)),
    Camera("CAM_BACK_RIGHT", np.radians(-110), np.radians(70), (1.01, -0.48, 1.56)),
    Camera("CAM_BACK", np.radians(180), np.radians(110), (0.03, 0.0, 1.57)),
    Camera("CAM_BACK_LEFT", np.radians(110), np.radians(70), (1.03, 0.48, 1.57)),
    Camera("CAM_FRONT_LEFT", np.radians(56), np.radians(70), (1.52, 0.49, 1.51)),
)


def photograph(
    street: Street, stage: Stage, seconds: float, rng: np.random.Generator
) -> tuple[Frame, ...]:
    """A frame of each camera; poses lead to the frame of the LiDAR at the time of the sweep."""
    (sensor,) = sensor_poses(street.drive, np.array([seconds]))
    light = _Light(rng)
    frames = []
    for camera in CAMERAS:
        (car,) = street.drive.poses(np.array([seconds + camera.delay]))
        world = car @ camera.mount
        x, y = np.meshgrid(np.arange(IMAGE_SIZE[0]), np.arange(IMAGE_SIZE[1]))
        pixels = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
        rays = pixels @ np.linalg.inv(camera.intrinsics).T @ world[:3, :3].T
        origins = np.broadcast_to(world[:3, 3], rays.shape).astype(np.float32)
        surface = stage.cast(origins, rays.astype(np.float32))
        hit = (surface.face >= 0) & (surface.depth < FARTHEST)
        image = light.develop(street, stage, surface, hit, rays.astype(np.float32))
        shape = IMAGE_SIZE[::-1]
        frames.append(
            Frame(
                image.reshape(*shape, 3),
                np.where(hit, surface.depth, 0).reshape(shape).astype(np.float32),
                camera.intrinsics,
                np.linalg.inv(sensor) @ world,
                np.where(hit, surface.label, -1).reshape(shape),
                np.where(hit, surface.instance, -1).reshape(shape),
            )
        )
    return tuple(frames)


class _Light:
    """Sun, sky and exposure of a moment."""

    def __init__(self, rng: np.random.Generator) -> None:
        height, yaw = rng.uniform(0.35, 1.1), rng.uniform(-np.pi, np.pi)
        self.rng = rng
        flat = np.cos(height)
        self.sun = np.array([flat * np.cos(yaw), flat * np.sin(yaw), np.sin(height)], np.float32)
        self.strength = float(rng.choice([0.15, 0.6, 0.85]))  # overcast to clear
        self.gain = (rng.uniform(0.9, 1.15) * (1 + rng.normal(0, 0.02, 3))).astype(np.float32)

    def develop(
        self,
        street: Street,
        stage: Stage,
        surface: Surface,
        hit: Bool[np.ndarray, " p"],
        rays: Float32[np.ndarray, "p 3"],
    ) -> UInt8[np.ndarray, "p 3"]:
        """The picture of what the rays of the pixels meet."""
        color = self._sky(rays)
        rows = np.flatnonzero(hit)
        points, normals = surface.points[rows], surface.normals[rows]
        facing = np.maximum(normals @ self.sun, 0)
        lit = facing * ~self._in_shadow(stage, points, normals, facing > 0)
        light = 0.85 - 0.45 * self.strength + 0.12 * normals[:, 2] + self.strength * lit
        albedo = texture(street.soup.materials, surface.material[rows], points, normals)
        far = 1 - np.exp(-surface.depth[rows, None] / 400)
        color[rows] = (1 - far) * albedo * light[:, None] + far * _HAZE
        color = color * self.gain + 0.012 * self.rng.standard_normal(color.shape, np.float32)
        return (255 * np.clip(color, 0, 1) ** 0.8).astype(np.uint8)

    def _in_shadow(
        self,
        stage: Stage,
        points: Float32[np.ndarray, "q 3"],
        normals: Float32[np.ndarray, "q 3"],
        asked: Bool[np.ndarray, " q"],
    ) -> Bool[np.ndarray, " q"]:
        """Whether something stands between the points asked for and the sun."""
        shadow = np.zeros(len(points), bool)
        origins = points[asked] + 0.02 * normals[asked]
        surface = stage.cast(origins, np.broadcast_to(self.sun, origins.shape).copy())
        shadow[asked] = surface.face >= 0
        return shadow

    def _sky(self, rays: Float32[np.ndarray, "p 3"]) -> Float32[np.ndarray, "p 3"]:
        """From haze at the horizon to blue above, with clouds."""
        up = rays[:, 2] / np.linalg.norm(rays, axis=1)
        share = np.clip(up, 0, 1)[:, None] ** 0.5 * self.strength
        place = rays[:, :2] / np.maximum(np.abs(rays[:, 2:]), 0.05)
        waves = np.sin(0.9 * place + 2 * np.sin(0.37 * place[:, ::-1] + self.sun[:2]))
        cloud = np.clip(waves.sum(axis=1) - 0.6, 0, 1)[:, None] * np.clip(4 * share, 0, 1)
        blue = (1 - share) * _HAZE + share * _ZENITH
        return (blue + cloud * (0.96 - blue)).astype(np.float32)
