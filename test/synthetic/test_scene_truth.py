"""The truth of generated clips equals that of a plain ray caster, and agrees with itself."""

from __future__ import annotations

from fourd_perception.geometry.clips import DYNAMIC, IGNORED, OCCLUDED, UNKNOWN, VISIBLE
from fourd_perception.geometry.dynamic_label import dynamic_label, own_motion
from fourd_perception.synthetic.generator.bodies import BOX
from fourd_perception.synthetic.generator.render import render
from fourd_perception.synthetic.scene import SKY
from fourd_perception.synthetic.scenes import generate, SceneSpec
import numpy as np
from plain_scenes import drawn, handmade, PlainScene
import pytest
import torch

SPEC = SceneSpec(size=(48, 64), instants=4)
RIG = SceneSpec(size=(48, 64), views=2, instants=3, setting='rig')
# A ray along an edge may fall on either side of it.
EDGES = 0.004


@pytest.mark.parametrize('spec, seed', [(SPEC, 1), (SPEC, 2), (SPEC, 5), (SPEC, 11), (RIG, 3)])
def test_depth_flow_occlusion_and_mask_are_those_of_the_plain_ray_caster(spec, seed):
    clips = generate([seed], spec)
    plain = PlainScene(drawn(seed, spec), spec.size)
    instances = np.append(plain.scenes.bodies.instance[0], 0)
    for view in range(spec.views):
        for instant in range(spec.instants):
            body, depth = plain.seen(view, instant)
            cell = 0, view, instant
            found = clips.depth[cell].flatten().double().numpy()
            same = np.isclose(found, depth, rtol=2e-5, equal_nan=True)
            assert same.mean() > 1 - EDGES
            assert np.array_equal(np.isnan(found[same]), body[same] == SKY)
            numbers = clips.instances[cell].flatten().numpy()
            assert (numbers == instances[body]).mean() > 1 - EDGES
            label = dynamic_label(plain.own_motion(view, instant))
            assert (clips.dynamic[cell].flatten().numpy() == label).mean() > 1 - EDGES
            for step, flow, occluded in (
                (1, clips.flow_forward, clips.occluded_forward),
                (-1, clips.flow_backward, clips.occluded_backward),
            ):
                if not 0 <= instant + step < spec.instants:
                    assert flow[cell].isnan().all() and (occluded[cell] == UNKNOWN).all()
                    continue
                wanted, hidden = plain.flow(view, instant, instant + step)
                error = np.abs(flow[cell].flatten(1).double().numpy() - wanted)[:, same].max(0)
                # What nearly touches the camera's plane is projected very far away.
                near = np.abs(wanted)[:, same].max(0) < 200
                assert (error[near] < 1e-3).mean() > 1 - EDGES
                known = occluded[cell].flatten().numpy()
                assert ((known == OCCLUDED) == hidden)[same].mean() > 1 - 2 * EDGES
                assert set(np.unique(known)) <= {VISIBLE, OCCLUDED}


@pytest.mark.parametrize('instants, seen_again', [(2, False), (3, True)])
def test_what_passes_the_camera_is_judged_by_the_instants_before_it_does(instants, seen_again):
    spec = SceneSpec(size=(48, 64), instants=instants)
    ground, box = (BOX, (50.0, 50.0, 1.0), (0.0, 0.0, -1.0)), (BOX, (0.5, 0.5, 0.5), (1.0, 0, 0.5))
    scenes = handmade(spec, [ground, box], velocity=12.0, heading=0.5 * np.pi)
    clips = render(scenes, spec, torch.device('cpu'), compiled=False)
    mover = clips.instances[0, 0, 0] == 1
    assert mover.sum() > 3 and not (clips.instances[0, 0, -1] == 1).any()
    # It is at y = -6 and 6 or -12, 0 and 12, the camera at 5: two instants tell nothing of it.
    assert (clips.dynamic[0, 0, 0][mover] == (DYNAMIC if seen_again else IGNORED)).all()
    for instant in range(instants):
        label = dynamic_label(PlainScene(scenes, spec.size).own_motion(0, instant))
        assert (clips.dynamic[0, 0, instant].flatten().numpy() == label).mean() > 1 - EDGES


def test_depth_and_poses_of_a_clip_predict_the_flow_of_what_stands_still():
    clips = generate(range(20, 28), SPEC)
    poses = clips.world_from_camera.double()
    other_from_camera = torch.linalg.inv(poses[:, :, 1:]) @ poses[:, :, :-1]
    depth, flow = clips.depth[:, :, :-1].double(), clips.flow_forward[:, :, :-1].double()
    apart = own_motion(depth, clips.intrinsics[:, :, :-1].double(), other_from_camera, flow)
    still = (clips.dynamic[:, :, :-1] == 0) & (clips.instances[:, :, :-1] < 100)
    near = still & (flow.abs().amax(3) < 100) & apart.isfinite()
    assert near.sum() > 0.5 * still.sum()
    assert apart[near].max() < 1e-3


def test_visible_points_come_back_along_the_backward_flow():
    clips = generate(range(30, 38), SPEC)
    flow, back = clips.flow_forward[:, :, :-1], clips.flow_backward[:, :, 1:]
    visible = clips.occluded_forward[:, :, :-1] == VISIBLE
    height, width = SPEC.size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    there = flow + torch.stack([x, y]).float()
    grid = (
        torch.stack(
            [(2 * there[:, :, :, 0] + 1) / width, (2 * there[:, :, :, 1] + 1) / height], -1
        )
        - 1
    )
    read = torch.nn.functional.grid_sample(
        back.flatten(0, 2), grid.flatten(0, 2), padding_mode='border', align_corners=False
    ).view_as(back)
    slow = flow.abs().amax(3) < 20
    error = (read + flow).norm(dim=3)[visible & slow]
    # Between neighbours of two surfaces there is no flow to read.
    assert error.median() < 0.01 and (error < 0.2).float().mean() > 0.95


def test_the_sky_moves_as_if_it_were_infinitely_far_away():
    clips = generate(range(40, 52), SceneSpec(size=(48, 64), instants=3, setting='street'))
    sky = clips.depth.isnan()
    assert 0.02 < sky.float().mean() < 0.8
    assert (clips.dynamic[sky] == 0).all() and (clips.instances[sky] == 0).all()
    poses = clips.world_from_camera.double()
    turned = torch.linalg.inv(poses[:, :, 1:]) @ poses[:, :, :-1]
    turned[..., :3, 3] = 0
    far = torch.full_like(clips.depth[:, :, :-1], 1e6).double()
    flow = clips.flow_forward[:, :, :-1].double()
    apart = own_motion(far, clips.intrinsics[:, :, :-1].double(), turned, flow)
    assert apart[sky[:, :, :-1] & apart.isfinite()].max() < 1e-3


def test_tracks_lie_on_surfaces_and_are_seen_where_the_depth_says_so():
    spec = SceneSpec(size=(48, 64), views=2, instants=3, tracks=64)
    clips = generate(range(60, 64), spec)
    assert clips.track_points.shape == (4, 3, 64, 3)
    points = clips.track_points[:, None].double()
    poses = clips.world_from_camera.double()
    local = (points - poses[..., None, :3, 3]) @ poses[..., :3, :3]
    k = clips.intrinsics.double()
    pixel = (local @ k.mT)[..., :2] / local[..., 2:]
    column, row = pixel.round().long().unbind(-1)
    inside = (local[..., 2] > 0) & (column >= 0) & (column < 64) & (row >= 0) & (row < 48)
    assert (inside | ~clips.track_visible).all()
    index = torch.where(inside, row * 64 + column, 0)
    depth = clips.depth.flatten(-2).gather(-1, index).double()
    seen = inside & clips.track_visible
    close = ((depth / local[..., 2] - 1).abs() < 0.05)[seen]
    assert close.float().mean() > 0.9
    # Hidden ones lie behind what is seen there.
    hidden = inside & ~clips.track_visible & depth.isfinite()
    assert hidden.any() and (depth[hidden] < local[..., 2][hidden] * 1.05).float().mean() > 0.9
