"""One definition of what moves, for arrays and tensors, generated scenes and data sets."""

from __future__ import annotations

from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
from fourd_perception.geometry.dynamic_label import dynamic_label, own_motion
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.scenes import generate, SceneSpec
from hypothesis import given, strategies as st
import numpy as np
import torch


def test_limits_and_what_is_unknown():
    motion = np.array([0.0, 0.29, 0.3, 0.7, 1.0, 1.01, 50.0, np.nan], np.float32)
    expected = [STATIC] * 2 + [IGNORED] * 3 + [DYNAMIC] * 2 + [IGNORED]
    for label in (dynamic_label(motion), dynamic_label(torch.from_numpy(motion)).numpy()):
        assert label.dtype == np.uint8 and label.tolist() == expected


@given(st.integers(0, 2**32 - 1))
def test_own_motion_is_how_far_the_flow_leads_from_the_point_at_rest(seed):
    rng = np.random.default_rng(seed)
    height, width = 3, 4
    depth = rng.uniform(1, 5, (height, width))
    k, other_k = (
        np.array([[f, 0, 1.7], [0, f * 1.1, 1.2], [0, 0, 1]]) for f in rng.uniform(3, 6, 2)
    )
    angle = rng.uniform(-0.2, 0.2)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    move = transform(turn, rng.uniform(-1, 1, 3))
    flow = rng.uniform(-3, 3, (2, height, width))
    found = own_motion(*map(torch.from_numpy, (depth, k, move, flow, other_k)))
    for y in range(height):
        for x in range(width):
            point = np.linalg.inv(k) @ [x, y, 1] * depth[y, x]
            there = move @ np.append(point, 1)
            if there[2] <= 0:
                assert found[y, x].isnan()
                continue
            still = (other_k @ there[:3])[:2] / there[2]
            wanted = np.hypot(*(flow[:, y, x] + [x, y] - still))
            assert abs(found[y, x].item() - wanted) < 1e-9 * max(1, wanted)


def test_unknown_depth_or_flow_is_unknown_motion():
    depth, flow = torch.ones(2, 2), torch.zeros(2, 2, 2)
    depth[0, 0], flow[1, 1, 1] = float('nan'), float('nan')
    k, move = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 1]]), torch.eye(4)
    assert own_motion(depth, k, move, flow).isnan().tolist() == [[True, False], [False, True]]


def test_labels_of_generated_clips_are_those_that_a_data_set_would_get():
    clips = generate(range(6), SceneSpec(size=(32, 48), instants=2))
    pose = clips.world_from_camera.double()
    for here, other, flow in ((0, 1, clips.flow_forward), (1, 0, clips.flow_backward)):
        move = torch.linalg.inv(pose[:, :, other]) @ pose[:, :, here]
        k = clips.intrinsics[:, :, here].double()
        motion = own_motion(clips.depth[:, :, here].double(), k, move, flow[:, :, here].double())
        known = motion.isfinite()
        # Rounding of the flow may cross a limit.
        clear = known & ((motion - 1).abs() > 1e-2) & ((motion - 0.3).abs() > 1e-2)
        label = clips.dynamic[:, :, here]
        assert torch.equal(dynamic_label(motion)[clear], label[clear])
        assert (label[known] == DYNAMIC).any()
