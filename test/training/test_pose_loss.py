"""Losses of relative poses and fields of view against plain loops."""

from __future__ import annotations

import math

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.camera import Cameras, compose, rigid
from fourd_perception.model.small.grid_plan import grid_plan
from fourd_perception.training.pose_loss import (
    field_of_view_loss,
    pose_errors,
    pose_loss,
    relative_poses,
)
import pytest
import torch

LAYOUT = CellLayout((0, 1, 1, 0, 1), (0, 0, 1, 2, 2))
PLAN = grid_plan(LAYOUT, 3, 'cpu')
GENERATOR = torch.Generator().manual_seed(0)


def poses(*shape: int) -> torch.Tensor:
    return rigid(0.3 * torch.randn(*shape, 7, generator=GENERATOR))


def answer(clips: int) -> Cameras:
    """Some head's answer for clips of the layout."""
    within = torch.where(PLAN.is_leader[:, None, None], torch.eye(4), poses(clips, 5))
    between = poses(clips, 3)
    between[:, 0] = torch.eye(4)
    return Cameras(within, between, torch.ones(clips, 5, 2))


def error(predicted: torch.Tensor, truth: torch.Tensor, factor: float) -> tuple[float, float]:
    rotation = sum(abs(float(predicted[i, j] - truth[i, j])) for i in range(3) for j in range(3))
    translation = sum(abs(float(factor * predicted[i, 3] - truth[i, 3])) for i in range(3))
    return rotation / 2, translation


def slow_loss(cameras: Cameras, truth: torch.Tensor, unit: float, factor: float) -> float:
    """Of one clip, everything known."""
    truth = truth.clone()
    truth[:, :3, 3] /= unit
    # Cell 0 leads the first slice, 2 the second, 3 the third; 1 and 4 follow.
    told = [
        (cameras.leader_from_camera[0, 1], torch.linalg.inv(truth[0]) @ truth[1]),
        (cameras.leader_from_camera[0, 4], torch.linalg.inv(truth[3]) @ truth[4]),
        (cameras.previous_from_leader[0, 1], torch.linalg.inv(truth[0]) @ truth[2]),
        (cameras.previous_from_leader[0, 2], torch.linalg.inv(truth[2]) @ truth[3]),
    ]
    composed = compose(cameras, PLAN)[0]
    pairs = [
        (torch.linalg.inv(composed[i]) @ composed[j], torch.linalg.inv(truth[i]) @ truth[j])
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    total = 0.0
    for some in (told, pairs):
        errors = [error(p, t, factor) for p, t in some]
        total += sum(r + t for r, t in errors) / len(errors)
    return total


def test_loss_equals_the_mean_over_told_and_over_composed_pairs():
    cameras, truth = answer(1), poses(1, 5)
    found = pose_loss(cameras, PLAN, truth, torch.tensor([2.0]), torch.tensor([1.3]))
    assert found.item() == pytest.approx(slow_loss(cameras, truth[0], 2.0, 1.3), rel=1e-4)


def test_true_poses_in_any_world_and_scale_cost_nothing():
    cameras = answer(2)
    world = compose(cameras, PLAN)
    elsewhere = poses(2, 1) @ world
    elsewhere[..., :3, 3] *= 7.0
    seven, one = torch.tensor([7.0, 7.0]), torch.ones(2)
    assert pose_loss(cameras, PLAN, elsewhere, seven, one).tolist() == pytest.approx(
        [0, 0], abs=1e-5
    )
    far = torch.eye(4).repeat(2, 1, 1, 1)
    assert pose_loss(cameras, PLAN, far @ elsewhere, one, 7 * one).tolist() == pytest.approx(
        [0, 0], abs=1e-4
    )


def test_relative_poses_survive_a_far_origin():
    near = poses(2)
    far = near.clone()
    far[:, :3, 3] += 4096.0
    assert torch.allclose(
        relative_poses(far[0], far[1]), relative_poses(near[0], near[1]), atol=1e-3
    )
    assert torch.allclose(
        relative_poses(near[0], near[1]), torch.linalg.inv(near[0]) @ near[1], atol=1e-6
    )


@pytest.mark.parametrize('degrees', [0.1, 1.0, 5.0])
def test_rotation_errors_are_angles(degrees):
    angle = math.radians(degrees)
    turned = torch.eye(4)
    turned[:2, :2] = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    rotation, translation = pose_errors(turned, torch.eye(4))
    assert rotation.item() == pytest.approx(angle, rel=0.06) and translation == 0


def test_unknown_poses_and_units_say_nothing():
    cameras, truth = answer(3), poses(3, 5)
    truth[0, 1:] = torch.nan
    truth[1, 4] = torch.nan
    unit = torch.tensor([1.0, 1.0, torch.nan])
    loss = pose_loss(cameras, PLAN, truth, unit, torch.ones(3))
    assert loss[0] == 0 and loss.isfinite().all()
    moved = truth.clone()
    moved[2, :, :3, 3] += torch.randn(5, 3, generator=GENERATOR)
    assert pose_loss(cameras, PLAN, moved, unit, torch.ones(3))[2] == loss[2] > 0


def test_gradients_of_unknown_poses_are_finite():
    told = poses(1, 5).requires_grad_()
    cameras = Cameras(told, poses(1, 3), torch.ones(1, 5, 2))
    truth = poses(1, 5)
    truth[0, 2] = torch.nan
    pose_loss(cameras, PLAN, truth, torch.ones(1), torch.ones(1)).sum().backward()
    assert told.grad.isfinite().all() and told.grad.any()


def test_field_of_view_is_the_angle_that_the_image_spans():
    k = torch.eye(3).repeat(2, 2, 1, 1)
    k[..., 0, 0], k[..., 1, 1] = 64.0, 48.0  # of 96x128: 90 degrees both ways
    k[1, 1] = torch.nan
    right = torch.full((2, 2, 2), math.pi / 2)
    assert field_of_view_loss(right, k, 96, 128).tolist() == pytest.approx([0, 0], abs=1e-6)
    wrong = right.clone()
    wrong[0, 0, 0] += 0.4
    wrong[1, 1] = 0.0
    assert field_of_view_loss(wrong, k, 96, 128).tolist() == pytest.approx([0.1, 0], abs=1e-6)
