"""Scenes as clips: images of 2 x 2 samples a pixel, and the truth at the pixels' centres."""

from __future__ import annotations

from fourd_perception.geometry.clips import Clips
from fourd_perception.synthetic.generator.casting import Beams, cast
from fourd_perception.synthetic.generator.compose import camera_poses
from fourd_perception.synthetic.generator.culling import in_windows
from fourd_perception.synthetic.generator.frames import Frames, frames, pixel_rays, untiled
from fourd_perception.synthetic.generator.materials import TILES
from fourd_perception.synthetic.generator.scene import Scenes
from fourd_perception.synthetic.generator.shading import Light, shade
from fourd_perception.synthetic.generator.spec import SceneSpec
from fourd_perception.synthetic.generator.stock import stock
from fourd_perception.synthetic.generator.truth import truth
import numpy as np
import torch

# The samples of a pixel, one after the other while the shutter is open.
_SAMPLES = ((-0.25, -0.25), (0.25, 0.25), (0.25, -0.25), (-0.25, 0.25))
_STOCK_SEED = 5


def render(scenes: Scenes, spec: SceneSpec, device: torch.device) -> Clips:
    """The clips of some scenes."""
    b, v, t = len(scenes.seconds), spec.views, spec.instants
    blurred = bool((scenes.exposure > 0).any())
    shares = np.array([0.0, -0.375, -0.125, 0.125, 0.375] if blurred else [0.0])
    moments = scenes.seconds[..., None] + scenes.exposure[:, None, None] * shares
    cameras = camera_poses(scenes.rig, scenes.mounts, moments)
    scene_frames = frames(scenes.bodies, scenes.links, cameras, scenes.intrinsics, moments, device)
    instances = torch.from_numpy(scenes.bodies.instance).to(device)
    known = truth(scene_frames, instances, spec.size)
    colours = _images(scenes, scene_frames, spec.size)
    clip = torch.zeros(b, dtype=torch.bool, device=device)
    k = scene_frames.intrinsics[:, :, None].expand(-1, -1, t, -1, -1)
    return Clips(
        images=(colours.clamp(0, 1) * 255).round().to(torch.uint8),
        present=~clip[:, None, None].expand(b, v, t),
        seconds=torch.from_numpy(scenes.seconds).to(device)[:, None].expand(b, v, t),
        intrinsics=k.contiguous(),
        world_from_camera=scene_frames.world_from_camera[:, :, :, 0].float(),
        **vars(known),
        track_points=torch.zeros(b, t, 0, 3, device=device),
        track_visible=torch.zeros(b, v, t, 0, dtype=torch.bool, device=device),
        metric=~clip,
    )


def _images(scenes: Scenes, scene_frames: Frames, size: tuple[int, int]) -> torch.Tensor:
    """RGB float32 [B, V, T, 3, H, W]."""
    device = scene_frames.device
    b, v, t, s = scene_frames.shape
    surface = scenes.bodies.surface[..., None]
    rows = np.take_along_axis(scenes.materials.rows(), surface, axis=1)
    materials = torch.from_numpy(rows).to(device, torch.float32)
    light = Light(
        **{
            name: torch.from_numpy(value).to(device, torch.float32)
            for name, value in vars(scenes.lights).items()
        }
    )
    texels = stock(TILES, _STOCK_SEED, device)
    total = torch.zeros(b, v, t, 3, *size, device=device)
    for sample, offset in enumerate(_SAMPLES):
        rays = pixel_rays(scene_frames.intrinsics, size, offset)
        tiles = rays.shape[2]
        rays = rays[:, :, None].expand(-1, -1, t, -1, -1, -1).flatten(0, 3)
        number = scene_frames.number(sample + 1 if s > 1 else 0).repeat_interleave(tiles)
        near = in_windows(scene_frames.outlines, number, rays[:, :2].amin(2), rays[:, :2].amax(2))
        beams = Beams(number, rays.new_zeros(len(rays), 3), rays, near)
        length, body = cast(beams, scene_frames.forms)
        colours = shade(scene_frames, light, materials, texels, beams, length, body)
        total += untiled(colours.unflatten(0, (b, v, t, tiles)).movedim(3, -2), size)
    return total / len(_SAMPLES)
