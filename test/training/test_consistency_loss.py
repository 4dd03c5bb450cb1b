"""Depth that two images of a plane must agree on."""

from __future__ import annotations

from fourd_perception.geometry.clips import VISIBLE
from fourd_perception.training.consistency_loss import consistency_loss
from fourd_perception.training.pose_loss import relative_poses
from plane_clips import plane_clips
import pytest
import torch


def arguments(seed: int = 0) -> dict[str, torch.Tensor]:
    """The first and second instant of two clips, one pair each, with true depth and pose."""
    clips = plane_clips(batch=2, instants=2, seed=seed)
    pose = clips.world_from_camera[:, 0]
    return {
        'log_depth': clips.depth[:, 0, :1].log(),
        'other_log_depth': clips.depth[:, 0, 1:].log(),
        'intrinsics': clips.intrinsics[:, 0, :1],
        'other_intrinsics': clips.intrinsics[:, 0, 1:],
        'other_from_camera': relative_poses(pose[:, 1:], pose[:, :1]),
        'still': clips.occluded_forward[:, 0, :1] == VISIBLE,
    }


def slow_loss(given: dict[str, torch.Tensor]) -> float:
    """Of the first clip, pixel by pixel, with bilinear reading by hand."""
    depth, other = given['log_depth'][0, 0].exp(), given['other_log_depth'][0, 0]
    k, k_other = given['intrinsics'][0, 0], given['other_intrinsics'][0, 0]
    pose, (height, width) = given['other_from_camera'][0, 0], depth.shape
    errors = []
    for v in range(height):
        for u in range(width):
            ray = torch.linalg.inv(k) @ torch.tensor([u, v, 1.0])
            point = pose[:3, :3] @ (depth[v, u] * ray) + pose[:3, 3]
            if not given['still'][0, 0, v, u] or point[2] <= 1e-3:
                continue
            x, y = (k_other @ (point / point[2]))[:2].tolist()
            if not (-0.5 < x < width - 0.5 and -0.5 < y < height - 0.5):
                continue
            x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            left, top = min(int(x), width - 2), min(int(y), height - 2)
            a, b = x - left, y - top
            met = (
                (1 - a) * (1 - b) * other[top, left]
                + a * (1 - b) * other[top, left + 1]
                + (1 - a) * b * other[top + 1, left]
                + a * b * other[top + 1, left + 1]
            )
            errors.append(abs(float(met - point[2].log())))
    return sum(errors) / len(errors)


def test_loss_equals_the_mean_over_pixels():
    given = arguments()
    # Also where nobody says that a pixel leaves the image.
    given['still'] = torch.ones_like(given['still'])
    given['other_log_depth'] = given['other_log_depth'] + 0.1 * torch.randn(
        2, 1, 32, 48, generator=torch.Generator().manual_seed(1)
    )
    assert consistency_loss(**given)[0].item() == pytest.approx(slow_loss(given), rel=1e-3)


def test_truth_agrees_and_any_error_of_depth_or_pose_shows():
    given = arguments()
    assert consistency_loss(**given).max() < 1e-3
    deeper = given | {'log_depth': given['log_depth'] + 0.2}
    assert consistency_loss(**deeper).min() > 0.1
    moved = given['other_from_camera'].clone()
    moved[..., 2, 3] += 0.5
    assert consistency_loss(**given | {'other_from_camera': moved}).min() > 0.1


def test_scale_alone_is_no_disagreement():
    given = arguments()
    pose = given['other_from_camera'].clone()
    pose[..., :3, 3] *= 5
    scaled = given | {
        'log_depth': given['log_depth'] + torch.tensor(5.0).log(),
        'other_log_depth': given['other_log_depth'] + torch.tensor(5.0).log(),
        'other_from_camera': pose,
    }
    assert torch.allclose(consistency_loss(**scaled), consistency_loss(**given), atol=1e-4)


def test_pixels_that_move_or_leave_say_nothing():
    given = arguments()
    given['still'] = torch.zeros_like(given['still'])
    assert consistency_loss(**given).tolist() == [0, 0]
    behind = arguments()
    turned = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0])).expand(2, 1, 4, 4)
    loss = consistency_loss(**behind | {'other_from_camera': turned})
    assert loss.tolist() == [0, 0]


def test_both_depths_and_the_pose_get_finite_gradients():
    given = arguments()
    wanted = ('log_depth', 'other_log_depth', 'other_from_camera')
    for name in wanted:
        given[name] = (given[name] + 0.01).requires_grad_()
    consistency_loss(**given).sum().backward()
    for name in wanted:
        assert given[name].grad.isfinite().all() and given[name].grad.any()
