"""Windows of recordings as clips: what is cut, drawn, derived, and where the world is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
import sys

from fourd_perception.datasets.dataset import ClipSpec, DataSet, Recording
from fourd_perception.datasets.raw_frame import RawFrame, Tracks
from fourd_perception.datasets.window_motion import with_dynamic
from fourd_perception.datasets.window_occlusion import with_occlusion
from fourd_perception.geometry.clips import (
    Clips,
    DYNAMIC,
    IGNORED,
    OCCLUDED,
    STATIC,
    UNKNOWN,
    unlabelled,
    VISIBLE,
)
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

SPEC = ClipSpec(size=(48, 64), instants=3)


def frame_of(miniature: Miniature, first: int, view: int, instant: int) -> RawFrame:
    """Everything that the miniature knows, but for occlusion and labels."""
    k = first + instant
    forward = miniature.flow(view, k, 1) if k + 1 < miniature.instants else None
    backward = miniature.flow(view, k, -1) if k else None
    depth = miniature.depth(view, k)
    return RawFrame(
        miniature.image(view, k),
        0.1 * k,
        miniature.intrinsics,
        miniature.pose(view, k),
        np.where(np.isnan(depth), np.inf, depth).astype(np.float32),
        forward,
        backward,
    )


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature((112, 160), instants=5)


@pytest.fixture(scope='module')
def data(miniature: Miniature) -> DataSet:
    """A recording of four frames by two cameras, and one of two that starts later."""
    long = Recording('long', 2, 4, partial(frame_of, miniature, 0))
    short = Recording('short', 1, 2, partial(frame_of, miniature, 3))
    return DataSet('street', metric=True, recordings=(long, short))


def test_every_frame_with_enough_after_it_starts_a_window(data: DataSet) -> None:
    assert data.windows(SPEC) == 2
    assert data.windows(replace(SPEC, instants=2)) == 3 + 1
    assert data.windows(replace(SPEC, instants=2), stride=3) == 1
    assert data.windows(replace(SPEC, instants=1)) == 4 + 2
    assert data.windows(replace(SPEC, instants=5)) == 0
    starts = [data.clip(i, replace(SPEC, instants=2)).seconds[0, 0, 0].item() for i in range(4)]
    np.testing.assert_allclose(starts, [0.0, 0.1, 0.2, 0.3])
    with pytest.raises(IndexError, match='street has 2 windows of 3 instants at stride 1'):
        data.clip(2, SPEC)


def test_a_window_shows_the_street_from_where_it_starts(
    data: DataSet, miniature: Miniature
) -> None:
    clips = data.clip(1, replace(SPEC, views=2))
    seen = Seen(miniature, SPEC.size, first=1)
    seen.check_cameras(clips)
    seen.check_depth(clips, tolerance=0.02)
    seen.check_dynamic(clips)
    assert (clips.dynamic[clips.depth.isnan()] == STATIC).all()


def test_flow_never_leaves_the_window(data: DataSet, miniature: Miniature) -> None:
    clips = data.clip(1, replace(SPEC, size=(96, 128), instants=2))
    # The recording goes on on both sides.
    Seen(miniature, (96, 128), first=1).check_flow(clips)
    apart = data.clip(0, replace(SPEC, instants=2), stride=2)
    assert apart.flow_forward.isnan().all() and apart.flow_backward.isnan().all()
    assert (apart.occluded_forward == UNKNOWN).all()
    np.testing.assert_allclose(apart.seconds[0, 0], [0.0, 0.2])


def test_views_that_there_are_not_are_absent(data: DataSet) -> None:
    clips = data.clip(2, replace(SPEC, views=3, instants=2))
    assert clips.present[0].tolist() == [[True] * 2, [True] * 2, [False] * 2]
    short = data.clip(3, replace(SPEC, views=2, instants=2))
    assert short.present[0].tolist() == [[True] * 2, [False] * 2]
    assert (short.images[0, 1] == 0).all() and short.depth[0, 1].isnan().all()


def test_seeds_draw_views_and_crops(data: DataSet) -> None:
    plain, *drawn = (data.clip(0, SPEC, seed=seed) for seed in (None, *range(8)))
    again = data.clip(0, SPEC, seed=3)
    assert torch.equal(again.images, drawn[3].images)
    assert len({d.images.sum().item() for d in drawn}) > 2
    # The crop is cut from the height or the width alone, which is narrower than the image.
    centres = {round(d.intrinsics[0, 0, 0, 0, 2].item(), 3) for d in drawn}
    both = [data.clip(0, replace(SPEC, views=2, instants=1), seed=seed) for seed in range(8)]
    # The second view is the right camera in some, the left one in others.
    aside = {round(c.world_from_camera[0, 1, 0, 0, 3].item(), 2) for c in both}
    assert aside == {0.4, -0.4}
    assert len(centres) > 2 and plain.intrinsics[0, 0, 0, 0, 2] != max(centres)


def test_the_world_is_the_first_camera_with_a_pose(miniature: Miniature) -> None:
    def read(view: int, instant: int) -> RawFrame:
        frame = frame_of(miniature, 0, view, instant)
        far = np.array([4e6, -3e6, 0.0])
        moved = frame.world_from_camera.copy()
        moved[:3, 3] += far
        return replace(frame, world_from_camera=moved if instant else None)

    clips = DataSet('far', True, (Recording('far', 1, 3, read),)).clip(0, SPEC)
    assert clips.world_from_camera[0, 0, 0].isnan().all()
    np.testing.assert_allclose(clips.world_from_camera[0, 0, 1], np.eye(4), atol=1e-6)
    expected = np.linalg.inv(miniature.pose(0, 1)) @ miniature.pose(0, 2)
    np.testing.assert_allclose(clips.world_from_camera[0, 0, 2], expected, atol=1e-5)


@pytest.mark.parametrize('lacking', ['world_from_camera', 'intrinsics'])
def test_tracks_are_not_visible_to_cameras_that_nobody_knows(
    miniature: Miniature, lacking: str
) -> None:
    points, visible = miniature.tracks(0)

    def read(view: int, instant: int) -> RawFrame:
        tracks = Tracks(points[instant], visible[instant])
        frame = replace(frame_of(miniature, 0, view, instant), tracks=tracks)
        return frame if instant != 1 else replace(frame, **{lacking: None})

    data = DataSet('lost', True, (Recording('lost', 1, 3, read),))
    clips = data.clip(0, replace(SPEC, tracks=1000))
    seen = clips.track_visible[0, 0].sum(dim=1)
    assert seen[0] > 50 and seen[1] == 0 and seen[2] > 50
    assert clips.track_points.isfinite().all()


def test_labels_of_the_set_are_kept(miniature: Miniature) -> None:
    own = np.full(miniature.size, IGNORED, np.uint8)
    own[:, :80] = DYNAMIC

    def read(view: int, instant: int) -> RawFrame:
        return replace(frame_of(miniature, 0, view, instant), dynamic=own)

    clips = DataSet('own', True, (Recording('own', 1, 3, read),)).clip(0, SPEC)
    assert (clips.dynamic[..., :31] == DYNAMIC).all()
    assert (clips.dynamic[..., 33:] != IGNORED).float().mean() > 0.8


def still_camera(flow: float, instants: int = 8) -> Clips:
    """A wall at 5 m before a camera that does not move; it slides right by `flow` an instant."""
    clips = unlabelled(torch.zeros(1, 1, instants, 3, 16, 32, dtype=torch.uint8))
    clips.intrinsics[:] = torch.tensor([[30.0, 0, 16], [0, 30, 8], [0, 0, 1]])
    clips.world_from_camera[:] = torch.eye(4)
    clips.depth[:] = 5.0
    clips.flow_forward[:, :, :-1] = torch.tensor([flow, 0.0])[:, None, None]
    clips.flow_backward[:, :, 1:] = -clips.flow_forward[:, :, :-1]
    return clips


@pytest.mark.parametrize(
    ('flow', 'labels'),
    [
        # To the farthest instant 4 to 7 steps: 0.76 to 1.33 px.
        (0.19, [DYNAMIC, DYNAMIC, IGNORED, IGNORED, IGNORED, IGNORED, DYNAMIC, DYNAMIC]),
        (0.04, [STATIC] * 8),
        (1.5, [DYNAMIC] * 8),
    ],
)
def test_own_motion_is_over_the_whole_window(flow: float, labels: list[int]) -> None:
    clips = with_dynamic(with_occlusion(still_camera(flow)))
    assert clips.dynamic[0, 0, :, 8, 16].tolist() == labels


@pytest.mark.parametrize('flow', [0.19, 0.04, 1.5])
def test_flow_forward_alone_tells_the_same(flow: float) -> None:
    clips = still_camera(flow)
    both = with_dynamic(with_occlusion(clips)).dynamic[0, 0, :, 8, 16]
    visible = clips.occluded_forward.clone()
    visible[:, :, :-1] = VISIBLE
    nothing = torch.full_like(clips.flow_backward, float('nan'))
    alone = replace(clips, flow_backward=nothing, occluded_forward=visible)
    assert torch.equal(with_dynamic(with_occlusion(alone)).dynamic[0, 0, :, 8, 16], both)
    # Nothing is followed beyond the next instant where nobody tells what is hidden there.
    unsure = with_dynamic(replace(clips, flow_backward=nothing))
    moves = DYNAMIC if flow > 1 else IGNORED
    assert unsure.dynamic[0, 0, :, 8, 16].tolist() == [moves] * 7 + [IGNORED]


def test_what_is_lost_on_the_way_is_not_called_static() -> None:
    clips = still_camera(0.04)
    hidden = clips.occluded_forward.clone()
    hidden[0, 0, 1, 8] = OCCLUDED
    label = with_dynamic(with_occlusion(replace(clips, occluded_forward=hidden))).dynamic[0, 0]
    # Of row 8 the first two instants are not seen with the others, which see it all along.
    assert label[:, 8, 16].tolist() == [IGNORED] * 2 + [STATIC] * 6
    assert (label[:, 9, 16] == STATIC).all()


def test_tracks_that_are_lost_tell_motion_but_not_rest() -> None:
    clips = still_camera(0.04, instants=3)
    nothing = torch.full_like(clips.flow_forward, float('nan'))
    # Before columns 16, 20 and 24 of row 8, 5 m away: one rests, one is lost, one runs first.
    points = torch.tensor([[0.0, 0, 5], [4 / 6, 0, 5], [8 / 6, 0, 5]]).repeat(3, 1, 1)
    points[1, 2, 0] += 0.3
    points[2, 1:] = float('nan')
    seen = ~points[:, :, 0].isnan()
    tracked = replace(
        clips,
        flow_forward=nothing,
        flow_backward=nothing,
        track_points=points[None],
        track_visible=seen[None, None],
    )
    assert with_dynamic(tracked).dynamic[0, 0, 0, 8, [16, 20, 24]].tolist() == [
        STATIC,
        IGNORED,
        DYNAMIC,
    ]


def test_points_are_not_followed_behind_others() -> None:
    clips = still_camera(0.2)
    hidden = clips.occluded_forward.clone()
    hidden[0, 0, 1, 8] = OCCLUDED
    clips = replace(clips, occluded_forward=hidden)
    clips = with_dynamic(with_occlusion(clips))
    # Row 8 is lost between instants 1 and 2: at 0, two steps are known, 0.4 px.
    assert clips.dynamic[0, 0, 0, 8, 16] == IGNORED
    assert clips.dynamic[0, 0, 0, 9, 16] == DYNAMIC


def test_occlusion_is_where_flows_contradict_or_leave() -> None:
    clips = still_camera(3.0)
    # At instant 1 a thing that stands still covers columns 10 to 14.
    back = clips.flow_backward.clone()
    back[0, 0, 1, :, :, 10:15] = 0.0
    hidden = with_occlusion(replace(clips, flow_backward=back)).occluded_forward[0, 0, 0, 8]
    expected = torch.full((32,), VISIBLE, dtype=torch.uint8)
    expected[7:12] = OCCLUDED
    expected[29:] = OCCLUDED
    assert hidden.tolist() == expected.tolist()


def test_occlusion_needs_both_flows_inside_the_image() -> None:
    clips = still_camera(3.0)
    lone = replace(clips, flow_backward=torch.full_like(clips.flow_backward, float('nan')))
    hidden = with_occlusion(lone)
    assert (hidden.occluded_forward[0, 0, 0, :, :29] == UNKNOWN).all()
    assert (hidden.occluded_forward[0, 0, 0, :, 29:] == OCCLUDED).all()
    assert (hidden.occluded_backward == UNKNOWN).all()
