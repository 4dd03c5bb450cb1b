"""Scenes as clips: images of 2 x 2 samples a pixel, and the truth at the pixels' centres."""

from __future__ import annotations

from fourd_perception.geometry.clips import Clips
from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.compose import camera_poses
from fourd_perception.synthetic.generator.culling import in_windows
from fourd_perception.synthetic.generator.frames import Frames, frames, pixel_rays, untiled
from fourd_perception.synthetic.generator.materials import TILES
from fourd_perception.synthetic.generator.scene import Scenes
from fourd_perception.synthetic.generator.shading import Paint, shade
from fourd_perception.synthetic.generator.shadows import shadowed
from fourd_perception.synthetic.generator.sky import sky_colours
from fourd_perception.synthetic.generator.spec import SceneSpec
from fourd_perception.synthetic.generator.stock import stock
from fourd_perception.synthetic.generator.truth import truth
import numpy as np
import torch

# The samples of a pixel, one after the other while the shutter is open.
_SAMPLES = ((-0.25, -0.25), (0.25, 0.25), (0.25, -0.25), (-0.25, 0.25))
_MOMENTS = (-0.375, -0.125, 0.125, 0.375)
_STOCK_SEED = 5


def render(scenes: Scenes, spec: SceneSpec, device: torch.device, compiled: bool) -> Clips:
    """The clips of some scenes."""
    b, v, t = len(scenes.seconds), spec.views, spec.instants
    blurred = bool((scenes.exposure > 0).any())
    shares = np.array([0.0, *_MOMENTS] if blurred else [0.0])
    moments = scenes.seconds[..., None] + scenes.exposure[:, None, None] * shares
    cameras = camera_poses(scenes.rig, scenes.mounts, moments)
    seen = frames(
        scenes.bodies, scenes.links, cameras, scenes.intrinsics, moments, device, compiled
    )
    instances = torch.from_numpy(scenes.bodies.instance).to(device)
    known = truth(seen, instances, spec.size)
    colours = _images(scenes, seen, spec.size)
    clip = torch.zeros(b, dtype=torch.bool, device=device)
    k = seen.intrinsics[:, :, None].expand(-1, -1, t, -1, -1)
    return Clips(
        images=(colours.clamp(0, 1) * 255).round().to(torch.uint8),
        present=~clip[:, None, None].expand(b, v, t),
        seconds=torch.from_numpy(scenes.seconds).to(device)[:, None].expand(b, v, t),
        intrinsics=k.contiguous(),
        world_from_camera=seen.world_from_camera[:, :, :, 0].float(),
        **vars(known),
        track_points=torch.zeros(b, t, 0, 3, device=device),
        track_visible=torch.zeros(b, v, t, 0, dtype=torch.bool, device=device),
        metric=~clip,
    )


def _images(scenes: Scenes, seen: Frames, size: tuple[int, int]) -> torch.Tensor:
    """RGB float32 [B, V, T, 3, H, W]."""
    b, v, t, moments = seen.shape

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(seen.device, torch.float32)

    surface = scenes.bodies.surface[..., None]
    rows = np.take_along_axis(scenes.materials.rows(), surface, axis=1)
    shape = [seen.half.float(), seen.form[..., None]]
    lights = scenes.lights
    paint = Paint(
        bodies=torch.cat([*shape, tensor(rows)], -1),
        lamp=tensor(lights.lamp),
        lamp_colour=tensor(lights.lamp_colour),
        ambient=tensor(lights.ambient),
        texels=stock(TILES, _STOCK_SEED, seen.device),
    )
    caster = torch.from_numpy(scenes.bodies.instance > 0).to(seen.device)
    strength, horizon, zenith = map(tensor, (lights.shadow, lights.horizon, lights.zenith))
    # While the shutter is open nothing else than time tells the samples apart.
    groups = [(k + 1, [offset]) for k, offset in enumerate(_SAMPLES)]
    if moments == 1:
        groups = [(0, list(_SAMPLES))]
    total = torch.zeros(b, v, t, 3, *size, device=seen.device)
    for moment, offsets in groups:
        beams = _beams(seen, moment, offsets, size)
        length, body = cast(beams, seen.forms)
        clip = seen.clip(beams.frame)
        world = seen.world_from_camera.flatten(0, 3)[beams.frame].float()
        lamp = ((paint.lamp[clip] - world[:, :3, 3])[..., None] * world[:, :3, :3]).sum(1)
        dark = shadowed(seen, beams, length, lamp, caster)
        lit = 1 - strength[clip, None] * dark
        colours = shade(seen, paint, beams, length, body, lamp, lit)
        sky = (length > MISS).any(1).nonzero()[:, 0]
        above = sky_colours(
            world[sky], beams.directions[sky], horizon[clip[sky]], zenith[clip[sky]]
        )
        colours[sky] = torch.where((length[sky] > MISS)[:, None], above, colours[sky])
        colours = colours.clamp(0, 1).unflatten(2, (len(offsets), -1)).sum(2)
        total += untiled(colours.unflatten(0, (b, v, t, -1)).movedim(3, -2), size)
    return total / len(_SAMPLES)


def _beams(
    seen: Frames, moment: int, offsets: list[tuple[float, float]], size: tuple[int, int]
) -> Beams:
    """Rays through samples of all pixels at one moment of the exposure, a beam per tile."""
    t = seen.shape[2]
    rays = torch.cat([pixel_rays(seen.intrinsics, size, offset) for offset in offsets], dim=-1)
    rays = rays[:, :, None].expand(-1, -1, t, -1, -1, -1)
    number = seen.number(moment).repeat_interleave(rays.shape[3])
    rays = rays.flatten(0, 3)
    near = in_windows(seen.outlines, number, rays[:, :2].amin(2), rays[:, :2].amax(2))
    return Beams(number, rays.new_zeros(len(rays), 3), rays, near)
