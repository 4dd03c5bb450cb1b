"""The geometry of scenes at the instants of their images, as tensors on the rendering device."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    Bodies,
    BOX,
    CYLINDER,
    DOME,
    ELLIPSOID,
    WEDGE,
    world_poses,
)
from fourd_perception.synthetic.generator.casting import Forms
from fourd_perception.synthetic.generator.culling import Outlines, outlines
from fourd_perception.synthetic.generator.links import Links
import numpy as np
import torch

TILE = 16


@dataclass(frozen=True, eq=False)
class Frames:
    """Where everything is, at V views, T instants and S moments of each exposure.

    Frames are numbered ((clip * V + view) * T + instant) * S + moment; moment 0 is the instant
    itself.

    shape:             (B, V, T, S)
    world_from_camera: float64 [B, V, T, S, 4, 4]
    camera_from_body:  float64 [B, V, T, S, P, 4, 4]
    half:              float64 [B, P, 3]
    kind:              int8 [B, P], see `Bodies`
    moves:             bool [B, P]: its pose in the world changes
    intrinsics:        float32 [B, V, 3, 3]
    forms, outlines:   of the bodies in the camera's frame, by number of the frame
    """

    shape: tuple[int, int, int, int]
    world_from_camera: torch.Tensor
    camera_from_body: torch.Tensor
    half: torch.Tensor
    kind: torch.Tensor
    moves: torch.Tensor
    intrinsics: torch.Tensor
    forms: Forms
    outlines: Outlines

    @property
    def device(self) -> torch.device:
        return self.intrinsics.device

    def clip(self, number: torch.Tensor) -> torch.Tensor:
        """The clips of numbered frames."""
        return number // (self.shape[1] * self.shape[2] * self.shape[3])

    def camera(self, number: torch.Tensor) -> torch.Tensor:
        """The numbers clip * V + view of numbered frames."""
        return number // (self.shape[2] * self.shape[3])

    def numbers(self, moment: int, each: int = 1) -> torch.Tensor:
        """Numbers of the frames at one moment of the exposure, [B * V * T * each]."""
        b, v, t, s = self.shape
        return torch.arange(b * v * t * each, device=self.device) // each * s + moment


def frames(
    bodies: Bodies,
    links: Links,
    world_from_camera: np.ndarray,
    intrinsics: np.ndarray,
    seconds: np.ndarray,
    device: torch.device,
    compiled: bool,
) -> Frames:
    """Geometry of bodies before cameras [B, V, T, S, 4, 4] at seconds [B, T, S]."""
    b, v, t, s = world_from_camera.shape[:4]
    poses = world_poses(bodies, links, seconds.reshape(b, -1))
    moves = (poses != poses[:, :, :1]).any((2, 3, 4))
    world_from_body = np.swapaxes(poses, 1, 2).reshape(b, 1, t, s, -1, 4, 4)
    to_camera = torch.from_numpy(invert(world_from_camera)).to(device)
    posed = to_camera[..., None, :, :] @ torch.from_numpy(world_from_body).to(device)
    half = torch.from_numpy(bodies.half).to(device)
    kind = torch.from_numpy(bodies.kind).to(device)
    halves = half[:, None].expand(-1, v * t * s, -1, -1).flatten(0, 1)
    kinds = kind[:, None].expand(-1, v * t * s, -1).flatten(0, 1)
    flat = posed.flatten(0, 3)
    return Frames(
        shape=(b, v, t, s),
        world_from_camera=torch.from_numpy(world_from_camera).to(device),
        camera_from_body=posed,
        half=half,
        kind=kind,
        moves=torch.from_numpy(moves).to(device),
        intrinsics=torch.from_numpy(intrinsics).to(device, torch.float32),
        forms=forms_of(flat, halves, kinds, compiled),
        outlines=outlines(flat[..., :3, :], halves, kinds != ABSENT, compiled),
    )


def forms_of(
    frame_from_body: torch.Tensor, half: torch.Tensor, kind: torch.Tensor, compiled: bool
) -> Forms:
    """Forms of bodies posed [F, P, 4, 4] with half sizes [F, P, 3] and kinds [F, P]."""
    maps = inverse(frame_from_body)[..., :3, :] / half[..., None]
    cut = (kind == WEDGE) | (kind == DOME)
    bent = (kind == ELLIPSOID) | (kind == DOME)
    round_ = (kind == ELLIPSOID) | (kind == CYLINDER)
    return Forms(maps.flatten(2).float(), bent.float(), kind == BOX, round_, cut, compiled)


def inverse(rigid: torch.Tensor) -> torch.Tensor:
    """Inverse of rigid transforms [..., 4, 4]."""
    turned = rigid[..., :3, :3].mT
    out = torch.zeros_like(rigid)
    out[..., :3, :3] = turned
    out[..., :3, 3:] = -turned @ rigid[..., :3, 3:]
    out[..., 3, 3] = 1
    return out


def pixel_rays(
    intrinsics: torch.Tensor, size: tuple[int, int], offset: tuple[float, float] = (0.0, 0.0)
) -> torch.Tensor:
    """Directions (x, y, 1) through pixels in tiles, float32 [B, V, tiles, 3, R].

    intrinsics [B, V, 3, 3]; offset (x, y) from the centres of the pixels.
    """
    x, y = pixel_places(size, intrinsics.device).unbind(-1)
    k = intrinsics[:, :, None, None]
    rays = [
        (x + offset[0] - k[..., 0, 2]) / k[..., 0, 0],
        (y + offset[1] - k[..., 1, 2]) / k[..., 1, 1],
    ]
    return torch.stack([*rays, torch.ones_like(rays[0])], dim=3)


def pixel_places(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Pixels (x, y) in tiles, float32 [tiles, R, 2]."""
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing='ij'
    )
    return tiled(torch.stack([x, y]).float(), size).permute(1, 2, 0)


def tiled(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images [..., H, W] as tiles [..., tiles, R]."""
    height, width = size
    parts = images.unflatten(-1, (width // TILE, TILE)).unflatten(-3, (height // TILE, TILE))
    return parts.transpose(-3, -2).flatten(-2).flatten(-3, -2)


def untiled(tiles: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Tiles [..., tiles, R] as images [..., H, W]."""
    height, width = size
    parts = tiles.unflatten(-1, (TILE, TILE)).unflatten(-3, (height // TILE, width // TILE))
    return parts.transpose(-3, -2).flatten(-2).flatten(-3, -2)
