"""Truth and losses of the VGGT family against plain loops (vggt A.13)."""

from __future__ import annotations

from dataclasses import replace
import math

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.pose_encoding import decode
from fourd_perception.training.network_losses import camera_loss, map_loss, normal_loss
from fourd_perception.training.network_truth import network_truth
import numpy as np
from plane_clips import plane_clips
import pytest
import torch

LAYOUT = CellLayout((0, 0, 0), (0, 1, 2), reference=1)


def test_lengths_are_in_mean_distances_from_the_reference_camera():
    clips = plane_clips()
    truth = network_truth(clips, LAYOUT)
    # By hand: every point of every image in the second camera.
    distances = []
    for t in range(3):
        pose, k = clips.world_from_camera[0, 0, t].double(), clips.intrinsics[0, 0, t].double()
        to_reference = torch.linalg.inv(clips.world_from_camera[0, 0, 1].double()) @ pose
        for v in range(32):
            for u in range(48):
                ray = torch.linalg.inv(k) @ torch.tensor([u, v, 1.0], dtype=torch.double)
                point = to_reference[:3, :3] @ (clips.depth[0, 0, t, v, u] * ray)
                distances.append(float((point + to_reference[:3, 3]).norm()))
    assert truth.scale[0].item() == pytest.approx(np.mean(distances), rel=1e-4)
    assert torch.allclose(truth.depth[0], clips.depth[0, 0] / truth.scale[0])
    assert truth.points.norm(dim=-1).flatten(1).mean(1).tolist() == pytest.approx([1, 1], rel=1e-4)


def test_the_reference_is_the_world_and_encodings_say_where_the_cameras_are():
    clips = plane_clips()
    truth = network_truth(clips, LAYOUT)
    aside = torch.tensor([0.0, 0, 0, 0, 0, 0, 1])
    assert torch.allclose(truth.encodings[:, 1, :7], aside.expand(2, 7), atol=1e-5)
    extrinsics, intrinsics = decode(truth.encodings, 32, 48)
    back = extrinsics[..., :3] @ truth.points[:, :, 3, 5, :, None] + extrinsics[..., 3:]
    assert torch.allclose(back[..., 2, 0], truth.depth[:, :, 3, 5], atol=1e-4)
    assert torch.allclose(intrinsics[..., 0, 0], clips.intrinsics[:, 0, :, 0, 0], rtol=1e-4)


def test_scale_and_world_of_the_truth_do_not_matter():
    clips = plane_clips()
    moved = plane_clips(batch=1, instants=1, seed=3).world_from_camera[0, 0, 0]
    pose = moved @ clips.world_from_camera
    pose[..., :3, 3] *= 5
    there = network_truth(replace(clips, depth=5 * clips.depth, world_from_camera=pose), LAYOUT)
    here = network_truth(clips, LAYOUT)
    for name in ('depth', 'points', 'encodings'):
        assert torch.allclose(getattr(here, name), getattr(there, name), atol=1e-4), name


def test_unknown_poses_leave_depth_in_its_own_scale():
    clips = plane_clips()
    clips.world_from_camera[0] = torch.nan
    truth = network_truth(clips, LAYOUT)
    assert truth.depth[0].isfinite().all() and truth.points[0].isnan().all()
    assert truth.encodings[0, :, :7].isnan().all() and truth.encodings[1].isfinite().all()


def test_camera_loss_weighs_refinements_and_numbers():
    truth = torch.randn(2, 3, 9)
    truth[0, 2, :7] = torch.nan
    refinements = [torch.randn(2, 3, 9) for _ in range(3)]
    found = camera_loss(refinements, truth, torch.tensor([True, False]))
    total = 0.0
    for k, encoding in enumerate(refinements):
        error = (encoding[0] - truth[0]).abs()
        translation = error[:2, :3].mean().item()
        one = translation + error[:2, 3:7].mean().item() + 0.5 * error[:, 7:].mean().item()
        total += 0.6 ** (2 - k) * one
    assert found[0].item() == pytest.approx(total / 3, rel=1e-5) and found[1] == 0


@pytest.mark.parametrize('channels, side', [(1, 12), (3, 40)])
def test_map_loss_equals_the_plain_means_without_the_worst(channels, side):
    generator = torch.Generator().manual_seed(0)
    predicted, truth = (torch.randn(1, 2, side, side, channels, generator=generator) for _ in 'pt')
    confidence = 1 + torch.rand(1, 2, side, side, generator=generator)
    truth[torch.rand(1, 2, side, side, generator=generator) < 0.2] = torch.nan
    terms: tuple[list[float], list[float]] = ([], [])
    for f, y, x in np.ndindex(2, side, side):
        if truth[0, f, y, x].isnan().any():
            continue
        error = math.dist(predicted[0, f, y, x].tolist(), truth[0, f, y, x].tolist())
        c = confidence[0, f, y, x].item()
        terms[0].append(error * c - 0.2 * math.log(c))
        terms[1].append(error)
    total = 0.0
    for some in terms:
        if len(some) > 1000:
            limit = sorted(some)[math.ceil(0.98 * (len(some) - 1))]
            some = [value for value in some if value <= limit]
        total += sum(some) / len(some)
    assert map_loss(predicted, confidence, truth).item() == pytest.approx(total, rel=1e-4)


def test_maps_of_few_pixels_say_nothing_and_leave_finite_gradients():
    predicted = torch.randn(2, 1, 20, 20, 3, requires_grad=True)
    truth = torch.randn(2, 1, 20, 20, 3)
    truth[0, 0, 4:] = torch.nan
    loss = map_loss(predicted, torch.full((2, 1, 20, 20), 2.0), truth)
    assert loss[0] == 0 < loss[1]
    (loss + normal_loss(predicted, truth)).sum().backward()
    assert predicted.grad.isfinite().all()


def test_normals_do_not_mind_scale_or_place_but_shape():
    clips = plane_clips(batch=1)
    points = network_truth(clips, LAYOUT).points
    assert normal_loss(3 * points + 1, points).item() == pytest.approx(0, abs=1e-4)
    # A plane turned by 60 degrees: 1 - cos.
    angle = math.radians(60)
    turn = torch.tensor(
        [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    )
    x, y = torch.meshgrid(torch.arange(24.0), torch.arange(20.0), indexing='xy')
    flat = torch.stack([x, y, torch.ones_like(x)], dim=-1)[None, None]
    assert normal_loss(flat @ turn.T, flat).item() == pytest.approx(0.5, abs=1e-3)
