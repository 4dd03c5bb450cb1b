"""What a smooth ground shows of the scene above it: labelled as ground all the same."""

from __future__ import annotations

from fourd_perception.synthetic.generator.casting import Beams
from fourd_perception.synthetic.generator.culling import on_the_way
from fourd_perception.synthetic.generator.frames import Frames
import torch

_FAR = 1e3


def reflections(
    frames: Frames, beams: Beams, ground: torch.Tensor, length: torch.Tensor
) -> tuple[torch.Tensor, Beams]:
    """Which beams [n] meet the ground's upper side, and the beams that go on from there.

    Rays go on as if they came from the camera's image below the ground and started there: lengths
    below 1 are under it. ground: bool [N, R]; only its rays mean anything.
    """
    some = ground.any(1).nonzero()[:, 0]
    frame = beams.frame[some]
    # The plane z = 1 of the ground's unit cube, in the frame of the camera.
    row = frames.forms.unit_from_frame[frame, 0, 8:]
    scale = row[:, :3].norm(dim=1, keepdim=True)
    normal, height = row[:, :3] / scale, (row[:, 3:] - 1) / scale
    image = -2 * height * normal
    points = beams.directions[some] * length[some, None].clamp(max=_FAR)
    aim = points - image[..., None]
    low, high = points.amin(2), points.amax(2)
    centre, radius = 0.5 * (low + high), 0.5 * (high - low).norm(dim=1)
    # Ten times as far, the ball around all aims has grown as much.
    far = image + 10 * (centre - image)
    near = on_the_way(frames.outlines, frame, image, far, 10 * radius)
    near[:, 0] = False
    return some, Beams(frame, image, aim, near)
