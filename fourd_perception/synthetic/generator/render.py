"""Scenes as clips: images of 2 x 2 samples a pixel, and the truth at the pixels' centres."""

from __future__ import annotations

from fourd_perception.geometry.clips import Clips
from fourd_perception.synthetic.generator.compose import camera_poses
from fourd_perception.synthetic.generator.frames import Frames, frames
from fourd_perception.synthetic.generator.photograph import photograph
from fourd_perception.synthetic.generator.scene import Scenes
from fourd_perception.synthetic.generator.spec import SceneSpec
from fourd_perception.synthetic.generator.tracks import tracks
from fourd_perception.synthetic.generator.truth import truth
from fourd_perception.synthetic.generator.viewing import MOMENTS, Viewing
import numpy as np
import torch


def render(scenes: Scenes, spec: SceneSpec, device: torch.device, compiled: bool) -> Clips:
    """The clips of some scenes."""
    seen = scene_frames(scenes, device, compiled)
    b, v, t, _ = seen.shape
    known, body = truth(seen, torch.from_numpy(scenes.bodies.instance).to(device), spec.size)
    light = Viewing.of(scenes, seen).images(spec.size)
    points, visible = tracks(seen, known.depth, body, scenes.tracked)
    k = seen.intrinsics[:, :, None].expand(-1, -1, t, -1, -1)
    clip = torch.ones(b, dtype=torch.bool, device=device)
    return Clips(
        images=photograph(light, scenes.cameras),
        present=clip[:, None, None].repeat(1, v, t),
        seconds=torch.from_numpy(scenes.seconds).to(device)[:, None].repeat(1, v, 1),
        intrinsics=k.contiguous(),
        world_from_camera=seen.world_from_camera[:, :, :, 0].float(),
        **vars(known),
        track_points=points,
        track_visible=visible,
        metric=clip,
    )


def scene_frames(scenes: Scenes, device: torch.device, compiled: bool) -> Frames:
    """Where everything is at the instants, and at the moments that open shutters take in."""
    blurred = bool((scenes.exposure > 0).any())
    shares = np.array([0.0, *MOMENTS] if blurred else [0.0])
    moments = scenes.seconds[..., None] + scenes.exposure[:, None, None] * shares
    poses = camera_poses(scenes.rig, scenes.mounts, moments)
    return frames(scenes.bodies, scenes.links, poses, scenes.intrinsics, moments, device, compiled)
