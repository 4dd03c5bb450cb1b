"""The evidence of the mask head against plain geometry, and that the head can read it."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.poses import transform
from fourd_perception.geometry.projection import project, transform_points, unproject
from fourd_perception.model.heads.residual_motion import (
    OtherFrame,
    residual_motion,
    ResidualMotionHead,
)
import numpy as np
import pytest
import torch

HEIGHT, WIDTH = 32, 40
INTRINSICS = np.array([[40.0, 0, 21], [0, 44, 14], [0, 0, 1]])
OTHER_INTRINSICS = np.array([[42.0, 0, 19], [0, 41, 15], [0, 0, 1]])
# The plane n . p = 1 in the first camera, and the second camera turned and moved.
NORMAL = np.array([0.05, -0.08, 0.25])
ANGLE = 0.05
MOTION = transform(
    [[np.cos(ANGLE), 0, np.sin(ANGLE)], [0, 1, 0], [-np.sin(ANGLE), 0, np.cos(ANGLE)]],
    [0.2, -0.1, 0.15],
)


def plane_depth(normal: np.ndarray, offset: float, intrinsics: np.ndarray) -> np.ndarray:
    """Depth [H, W] of the plane normal . p = offset."""
    rays = unproject(np.ones((HEIGHT, WIDTH)), intrinsics)
    return offset / (rays @ normal)


def still_plane() -> tuple[torch.Tensor, torch.Tensor, OtherFrame]:
    """Depth, intrinsics and the other frame of a still plane seen by a moving camera."""
    depth = plane_depth(NORMAL, 1.0, INTRINSICS)
    points = transform_points(MOTION, unproject(depth, INTRINSICS).astype(float))
    pixels = project(points, OTHER_INTRINSICS)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    flow = (pixels - np.stack([u, v], -1)).transpose(2, 0, 1)
    normal = MOTION[:3, :3] @ NORMAL
    other = plane_depth(normal, 1 + normal @ MOTION[:3, 3], OTHER_INTRINSICS)

    def batch(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, np.float32))[None]

    return (
        batch(depth),
        batch(INTRINSICS),
        OtherFrame(
            batch(flow),
            torch.full((1, 1, HEIGHT, WIDTH), float(np.log(0.5))),
            torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.bool),
            batch(other),
            batch(OTHER_INTRINSICS),
            batch(MOTION),
        ),
    )


def test_a_still_plane_leaves_nothing_but_the_image_border() -> None:
    depth, intrinsics, other = still_plane()
    assert other.flow.abs().mean() > 1
    found = residual_motion(depth, intrinsics, other)
    assert found[:, :4].abs().max() < 1e-4
    # Bilinear depth on a plane is not quite exact, and off the image there is no depth to meet.
    assert found[:, 4, 4:-4, 4:-4].abs().max() < 2e-3
    assert not found[:, 5:].any()


def test_autocast_takes_no_digit_from_the_evidence() -> None:
    depth, intrinsics, other = still_plane()
    with torch.autocast('cpu', torch.bfloat16):
        found = residual_motion(depth, intrinsics, other)
    assert torch.equal(found, residual_motion(depth, intrinsics, other))


def test_own_motion_is_what_remains() -> None:
    depth, intrinsics, other = still_plane()
    moved = other.flow.clone()
    moved[:, 0, 10:20, 10:20] += 3.0
    moved[:, 1, 10:20, 10:20] -= 1.5
    occluded = other.occluded.clone()
    occluded[:, :, :5] = True
    found = residual_motion(depth, intrinsics, replace(other, flow=moved, occluded=occluded))
    inside = found[0, :, 10:20, 10:20].mean((1, 2))
    # Sigma is half a pixel: twice as many sigmas as pixels.
    expected = torch.tensor([3.0, 1.5, 6.0, 3.0]).log1p() * torch.tensor([1, -1, 1, -1])
    torch.testing.assert_close(inside[:4], expected, atol=1e-3, rtol=1e-3)
    assert found[0, :4, 22:].abs().max() < 1e-4
    assert found[0, 5, :5].min() > 0.6
    assert not found[0, 5, 5:].any()


def test_a_surface_nearer_than_expected_shows_in_depth() -> None:
    depth, intrinsics, other = still_plane()
    nearer = replace(other, depth=other.depth * 0.5)
    found = residual_motion(depth, intrinsics, nearer)[:, 4, 4:-4, 4:-4]
    expected = -torch.tensor(2.0).log().log1p()
    torch.testing.assert_close(found, expected.expand_as(found), atol=2e-3, rtol=0)


def test_scale_of_the_gauge_does_not_matter() -> None:
    depth, intrinsics, other = still_plane()
    other = replace(other, flow=other.flow + torch.randn_like(other.flow))
    pose = other.other_from_camera.clone()
    pose[:, :3, 3] *= 7
    scaled = replace(other, depth=7 * other.depth, other_from_camera=pose)
    torch.testing.assert_close(
        residual_motion(7 * depth, intrinsics, scaled),
        residual_motion(depth, intrinsics, other),
        atol=1e-4,
        rtol=1e-4,
    )


def test_what_is_not_known_is_said_and_nothing_else() -> None:
    depth, intrinsics, other = still_plane()
    flow = other.flow.clone()
    flow[:, 0, :4] = torch.nan
    behind = other.other_from_camera.clone()
    behind[:, 2, 3] = -50.0
    found = residual_motion(depth, intrinsics, replace(other, flow=flow))
    assert found[0, 6, :4].eq(1).all()
    assert not found[0, :6, :4].any()
    assert not found[0, 6, 4:].any()
    found = residual_motion(depth, intrinsics, replace(other, other_from_camera=behind))
    assert found[0, 6].eq(1).all()
    assert not found[0, :6].any()


def test_no_other_frame_means_unknown_flow() -> None:
    torch.manual_seed(0)
    head = ResidualMotionHead(8, 16)
    depth, intrinsics, other = still_plane()
    nothing = replace(other, flow=torch.full_like(other.flow, torch.nan))
    features = torch.randn(1, 8, HEIGHT // 4, WIDTH // 4)
    without = head(features, depth, intrinsics, (other, None))
    assert without.equal(head(features, depth, intrinsics, (other, nothing)))
    assert not without.equal(head(features, depth, intrinsics, (None, None)))


@pytest.mark.parametrize(
    ('channels', 'grid', 'size'), [(32, (7, 9), (26, 35)), (5, (13, 18), (26, 35))]
)
def test_features_of_any_trunk_will_do(
    channels: int, grid: tuple[int, int], size: tuple[int, int]
) -> None:
    """Such as a VGGT's, whose image sizes are multiples of 14 and not of 4."""
    head = ResidualMotionHead(channels, 16)
    features = torch.randn(2, channels, *grid)
    depth = torch.rand(2, *size) + 1
    logits = head(features, depth, torch.eye(3).expand(2, 3, 3), (None, None))
    assert logits.shape == (2, *size)
    assert logits.isfinite().all()


def test_the_mask_bends_neither_depth_nor_pose_nor_flow() -> None:
    head = ResidualMotionHead(8, 16)
    depth, intrinsics, other = still_plane()
    given = [depth, intrinsics, other.flow, other.depth, other.other_from_camera]
    for tensor in given:
        tensor.requires_grad_()
    features = torch.randn(1, 8, HEIGHT // 4, WIDTH // 4, requires_grad=True)
    head(features, depth, intrinsics, (other, other)).square().sum().backward()
    assert all(tensor.grad is None for tensor in given)
    assert features.grad.any()
    assert all(parameter.grad.any() for parameter in head.parameters())


def test_learns_to_tell_what_moves() -> None:
    """From motion alone: squares of own motion before a plane, under flow noise."""
    torch.manual_seed(0)
    head = ResidualMotionHead(4, 16)
    depth, intrinsics, other = (
        still_plane()[0].expand(8, -1, -1), still_plane()[1].expand(8, -1, -1), still_plane()[2]
    )  # fmt: skip
    other = OtherFrame(*(t.expand(8, *t.shape[1:]) for t in vars(other).values()))

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        moving = torch.zeros(8, HEIGHT, WIDTH)
        for i in range(8):
            y, x = int(torch.randint(2, 18, ())), int(torch.randint(2, 26, ()))
            moving[i, y : y + 12, x : x + 12] = 1
        own = 2 * torch.nn.functional.normalize(torch.randn(8, 2, 1, 1), dim=1)
        flow = other.flow + moving[:, None] * own + 0.2 * torch.randn_like(other.flow)
        features = torch.randn(8, 4, HEIGHT // 4, WIDTH // 4)
        return head(features, depth, intrinsics, (replace(other, flow=flow), None)), moving

    optimiser = torch.optim.AdamW(head.parameters(), lr=5e-3)
    for _ in range(80):
        logits, moving = batch()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, moving)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits, moving = batch()
    found = logits > 0
    overlap = (found & (moving > 0)).sum() / (found | (moving > 0)).sum()
    assert overlap > 0.8
