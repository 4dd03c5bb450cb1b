"""The middle of clips is what a camera with a smaller image sees."""

from __future__ import annotations

from fourd_perception.geometry.clips import OCCLUDED, VISIBLE
from fourd_perception.training.clip_crop import covering, cropped
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


def test_the_covering_size_is_the_next_multiple():
    assert covering((70, 98)) == (80, 112) and covering((96, 128)) == (96, 128)
