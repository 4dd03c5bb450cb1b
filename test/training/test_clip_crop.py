"""The middle of clips is what a camera with a smaller image sees."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import Clips, OCCLUDED, VISIBLE
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import project, transform_points
from fourd_perception.training.clip_crop import covering, cropped
import numpy as np
from plane_clips import plane_clips
import torch


def test_cropping_moves_the_principal_point_and_nothing_else():
    clips = plane_clips(size=(32, 48))
    small = cropped(clips, (28, 42))
    assert torch.equal(small.images, clips.images[..., 2:30, 3:45])
    assert torch.equal(small.depth, clips.depth[..., 2:30, 3:45])
    moved = clips.intrinsics - small.intrinsics
    assert moved[0, 0, 0].tolist() == [[0, 0, 3], [0, 0, 2], [0, 0, 0]]
    assert cropped(clips, (32, 48)) is clips


def test_what_leaves_the_smaller_image_is_hidden():
    clips = plane_clips(size=(32, 48))
    small = cropped(clips, (28, 42))
    flow, hidden = small.flow_forward[0, 0, 0], small.occluded_forward[0, 0, 0]
    for y in range(28):
        for x in range(42):
            u, v = x + flow[0, y, x], y + flow[1, y, x]
            inside = -0.5 <= u <= 41.5 and -0.5 <= v <= 27.5
            assert hidden[y, x] == (VISIBLE if inside else OCCLUDED)
    assert (small.occluded_forward[:, :, -1] == 255).all()
    assert (clips.occluded_forward == plane_clips(size=(32, 48)).occluded_forward).all()


def seen_in(clips: Clips, size: tuple[int, int]) -> torch.Tensor:
    """Whether each tracked point lies in an image of that size, one by one."""
    seen = torch.zeros_like(clips.track_visible)
    for cell in np.ndindex(seen.shape[:3]):
        pose, k = (part[cell].numpy() for part in (clips.world_from_camera, clips.intrinsics))
        points = clips.track_points[cell[0], cell[2]].numpy()
        for n, (x, y) in enumerate(project(transform_points(invert(pose), points), k)):
            inside = -0.5 <= x <= size[1] - 0.5 and -0.5 <= y <= size[0] - 0.5
            seen[(*cell, n)] = bool(inside)
    return seen


def test_points_that_leave_the_smaller_image_are_not_seen():
    clips = plane_clips(views=2, size=(32, 48))
    x, y = torch.meshgrid(torch.linspace(-1.6, 1.6, 9), torch.linspace(-1, 1, 9), indexing='ij')
    plane = torch.stack([x, y, 3 + 0.1 * x + 0.05 * y], dim=-1).flatten(0, 1)
    clips = replace(
        clips,
        track_points=plane.expand(2, 3, -1, -1),
        track_visible=torch.zeros(2, 2, 3, len(plane), dtype=torch.bool),
    )
    clips = replace(clips, track_visible=seen_in(clips, (32, 48)))
    clips.track_visible[..., 40] = False  # Something is in front of it.
    small = cropped(clips, (28, 42))
    expected = seen_in(small, (28, 42))
    assert expected[..., 40].any() and (clips.track_visible & ~expected).any()
    expected[..., 40] = False
    assert torch.equal(small.track_visible, expected)
    assert torch.equal(small.track_points, clips.track_points)


def test_the_covering_size_is_the_next_multiple():
    assert covering((70, 98)) == (80, 112) and covering((96, 128)) == (96, 128)
