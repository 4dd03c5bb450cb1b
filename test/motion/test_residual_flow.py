"""Flow of pictures, of the camera, and what is left of it."""

from __future__ import annotations

import cv2
from fourd_perception.geometry.poses import invert
from fourd_perception.motion.image_flow import image_flow
from fourd_perception.motion.residual_flow import ego_flow, per_token
import numpy as np
import pytest
import torch
from toy_stream import ball_scene


def test_the_flow_of_pictures_that_shift():
    noise = np.random.default_rng(0).random((120, 160)).astype(np.float32)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 1, cv2.NORM_MINMAX)
    here, there = (
        torch.from_numpy(x.copy())[None].expand(3, -1, -1)
        for x in (smooth, np.roll(smooth, (-2, 3), (0, 1)))
    )
    inner = image_flow(here, there)[:, 20:-20, 20:-20].flatten(1)
    assert inner[0].median() == pytest.approx(3.0, abs=0.1)
    assert inner[1].median() == pytest.approx(-2.0, abs=0.1)


@pytest.mark.parametrize('size', [(14, 14), (14, 42), (28, 14), (42, 56)])
def test_pictures_of_any_size_have_a_flow(size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    flow = image_flow(image, image)
    assert flow.shape == (2, *size)
    assert flow.abs().max() < 0.1


def test_the_flow_of_still_points_is_the_cameras():
    """Against the exact flow of a scene in which one thing moves."""
    scene = ball_scene(2.0, 2.0)
    camera, stamps = scene.cameras['eye0'], scene.stamps('eye0')
    depth = torch.from_numpy(scene.depth(camera, stamps[3]))[None]
    poses = [scene.world_from_camera('eye0', stamp) for stamp in (stamps[5], stamps[3])]
    k = torch.from_numpy(camera.intrinsics)[None]
    ego = ego_flow(depth, k, k, torch.from_numpy(invert(poses[0]) @ poses[1])[None])[0]
    flow, _ = scene.flow(camera, stamps[3], stamps[5])
    beside = (torch.from_numpy(flow).permute(2, 0, 1) - ego).norm(dim=0)
    own = torch.from_numpy(scene.own_motion(camera, stamps[3], [stamps[5]]))
    torch.testing.assert_close(beside, own, atol=1e-3, rtol=1e-3)
    assert (own > 1).any() and (own == 0).any()


def test_a_point_behind_the_other_camera_has_no_flow():
    k = torch.eye(3)[None]
    pose = torch.eye(4)[None].clone()
    pose[0, 2, 3] = -2.0
    flow = ego_flow(torch.tensor([[[1.0, 3.0, float('nan')]]]), k, k, pose)
    assert flow[0, 0, 0].isfinite().tolist() == [False, True, False]


def test_a_token_has_the_median_of_its_known_pixels():
    maps = torch.arange(24.0).view(4, 6)
    maps[0, 0], maps[:2, 4:] = float('nan'), float('nan')
    found = per_token(maps, 2)
    assert found[0, 0] == 6.0  # of 1, 6 and 7
    assert found[1, 2] == torch.tensor([16.0, 17, 22, 23]).median()
    assert found[0, 2].isnan()
