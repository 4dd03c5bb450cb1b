"""Live masks on synthetic truth: what moves, what stops, what never moved."""

from __future__ import annotations

from dataclasses import fields, replace

from fourd_perception.motion.coarse_mask import cluster_saliency
from fourd_perception.motion.cues import CueMaps, dynamic_map
from fourd_perception.motion.kmeans import kmeans
from fourd_perception.motion.live import LiveMasks, LiveSettings
from fourd_perception.motion.otsu import motion_threshold
from fourd_perception.motion.residual_flow import along_flow
from fourd_perception.motion.running import RunningRange, RunningThreshold
import pytest
import torch
from toy_stream import ball_scene, still_room, Toy

WINDOW = 4
STOP = 40  # slice in which the ball stops


def run(toy, cameras, frames, masks=None):
    """Yield (newest frame, observation, mask) of a window that slides over the frames."""
    masks = masks or LiveMasks()
    for last in range(frames):
        seen = toy.observe(cameras, max(0, last - WINDOW + 1), last)
        yield last, seen, masks.step(seen)


def iou(a, b):
    return float((a & b).sum() / (a | b).sum().clamp(min=1))


@pytest.fixture(scope='module')
def ball():
    """The toy, its observations and its masks, newest frame by newest frame."""
    toy = Toy(ball_scene(6.0, STOP / 10))
    return toy, list(run(toy, ['eye0'], 55))


def test_a_still_scene_under_a_moving_camera_has_under_one_percent_dynamic():
    toy, dynamic, total = Toy(still_room(51.0)), 0, 0
    for _, _, mask in run(toy, ['front'], 500):
        dynamic += int(mask.moving[-1].sum())
        total += mask.moving[-1].numel()
    print(f'still scene, moving camera, 500 steps: {dynamic / total:.3%} dynamic')
    assert dynamic / total < 0.01


def test_a_mover_is_found_and_turns_static_within_six_slices_of_its_stop(ball):
    toy, steps = ball
    found = [iou(mask.moving[-1], toy.truth('eye0', last)) for last, _, mask in steps[1:STOP]]
    seen = [i for i in range(1, STOP) if toy.truth('eye0', i).any()]
    mean = sum(found[i - 1] for i in seen) / len(seen)
    after = [int(mask.moving[-1].sum()) for _, _, mask in steps[STOP:]]
    print(f'newest cell against truth: IoU {mean:.2f}; tokens after the stop: {after[:8]}')
    assert mean > 0.6
    assert steps[STOP - 1][2].confirmed[-1].any()
    assert not any(after[6:])


def test_live_and_clip_mode_agree(ball):
    toy, steps = ball
    kept = {}
    for _, seen, mask in steps[:STOP]:
        kept |= dict(zip(seen.keys, mask.moving))
    whole = toy.observe(['eye0'], 0, STOP - 1)
    dynamic = dynamic_map(whole.cues)
    labels = kmeans(whole.features.flatten(0, 2), 64).labels.view(dynamic.shape)
    saliency = cluster_saliency(dynamic, labels)
    clip = saliency > motion_threshold(saliency)
    live = torch.stack([kept[key] for key in whole.keys])
    truth = torch.stack([toy.truth('eye0', max(1, i)) for i in range(STOP)])
    print(
        f'IoU live against clip mode {iou(live, clip):.2f}, live against truth '
        f'{iou(live, truth):.2f}, clip mode against truth {iou(clip, truth):.2f}'
    )
    assert iou(live, clip) > 0.6
    assert iou(live, truth) > iou(clip, truth) - 0.2


def test_two_cameras_see_the_same_mover_at_the_same_instant():
    toy = Toy(ball_scene(3.0, 3.0, cameras=2))
    both = ['eye0', 'eye1']
    scores = []
    for last, _, mask in run(toy, both, 28):
        if last > 5:
            truth = torch.stack([toy.truth(camera, last) for camera in both])
            scores.append(iou(mask.moving[-2:], truth) if truth.any() else 1.0)
    assert sum(scores) / len(scores) > 0.6


def test_cells_are_scored_anew_when_later_neighbours_arrive(ball):
    _, steps = ball
    changed = 0
    for (_, seen, mask), (_, later, again) in zip(steps[:STOP], steps[1:STOP]):
        place = {key: i for i, key in enumerate(later.keys)}
        newest = seen.keys[-1]
        changed += int((mask.moving[-1] != again.moving[place[newest]]).sum())
    assert changed > 0


def test_nothing_is_hidden_in_every_eighth_pass_nor_when_most_would_be(ball):
    toy, steps = ball
    masks = LiveMasks()
    hidden = []
    for last in range(24):
        seen = toy.observe(['eye0'], max(0, last - WINDOW + 1), last)
        hidden.append(masks.hidden(seen.keys, (9, 12)))
        masks.step(seen)
    given = [i for i, tokens in enumerate(hidden) if tokens is not None]
    assert not [i for i in given if i % 8 == 7]
    assert len(given) == 24 - 3 - 1  # the first pass knows no cell yet
    assert all(not hidden[i][-1].any() for i in given)  # the newest cell is new
    assert hidden[20].any()
    assert hidden[20].float().mean() < 0.5
    strict = LiveMasks(LiveSettings(most_hidden=0.0))
    for last in range(12):
        seen = toy.observe(['eye0'], max(0, last - WINDOW + 1), last)
        tokens = strict.hidden(seen.keys, (9, 12))
        assert tokens is None or not tokens.any()
        strict.step(seen)


def test_the_evidence_halves_in_three_slices(ball):
    toy, steps = ball
    masks = LiveMasks()
    for last in range(STOP - 5):
        masks.step(toy.observe(['eye0'], max(0, last - WINDOW + 1), last))

    def newest():
        cells = masks._state.cells
        return cells[max(cells, key=lambda key: key[1])].evidence.max().item()

    before = newest()
    for last in range(STOP - 5, STOP - 2):  # nothing moves, and the camera seems to stand
        seen = toy.observe(['eye0'], last - WINDOW + 1, last)
        still = torch.zeros_like(seen.residual), torch.zeros_like(seen.backward)
        masks.step(replace(seen, residual=still[0], backward=still[1]))
    assert newest() == pytest.approx(before / 2, rel=0.2)


def test_a_stream_that_starts_anew_forgets(ball):
    toy, steps = ball
    masks, fresh = LiveMasks(), LiveMasks()
    for last in range(10):
        masks.step(toy.observe(['eye0'], max(0, last - WINDOW + 1), last))
    seen = toy.observe(['eye0'], 30, 33)
    a, b = masks.step(seen), fresh.step(seen)
    assert torch.equal(a.moving, b.moving)
    assert a.threshold == b.threshold


def test_the_first_cell_alone_is_not_known(ball):
    _, seen, mask = ball[1][0]
    assert not mask.known.any()
    assert not mask.moving.any()
    assert mask.threshold == float('inf')


def test_the_units_of_the_cues_do_not_matter(ball):
    toy, _ = ball
    a, b = LiveMasks(), LiveMasks()
    for last in range(12):
        seen = toy.observe(['eye0'], max(0, last - WINDOW + 1), last)
        other = CueMaps(**{f.name: 8 * getattr(seen.cues, f.name) - 3 for f in fields(CueMaps)})
        one, two = a.step(seen), b.step(replace(seen, cues=other))
    assert (one.moving != two.moving).float().mean() < 0.01


def test_a_running_range_takes_the_mean_first_and_a_half_life_of_32_slices_later():
    running, generator = RunningRange(), torch.Generator().manual_seed(0)
    noise = torch.rand(1, 100, 100, generator=generator)
    for _ in range(64):
        running.update(noise)
    assert running.scaled(noise).quantile(0.5) == pytest.approx(0.5, abs=0.02)
    assert running.scaled(noise).min() == 0 and running.scaled(noise).max() == 1
    for _ in range(32):
        running.update(noise + 10)
    # Half way: 5 up, so what was the middle lies far below and the new one far above.
    middle = running.scaled(torch.full((1, 1, 1), 5.5))
    assert middle.item() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(RuntimeError, match='update before'):
        RunningRange().scaled(noise)


def test_a_running_threshold_is_that_of_all_values_at_first_and_forgets():
    generator = torch.Generator().manual_seed(1)
    values = torch.cat(
        [
            0.2 + 0.05 * torch.randn(900, generator=generator),
            0.8 + 0.05 * torch.randn(100, generator=generator),
        ]
    ).clamp(0, 1)
    threshold = RunningThreshold()
    assert threshold.value == float('inf')
    threshold.update(values)
    assert threshold.value == pytest.approx(motion_threshold(values), abs=0.02)
    assert 0.35 < threshold.value
    for _ in range(300):
        threshold.update(values / 2)
    assert 0.15 < threshold.value < 0.35  # between 0.1 and 0.4 now


def test_what_flow_brings():
    maps = torch.zeros(1, 4, 5)
    maps[0, 1, 3] = 1.0
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    assert along_flow(maps, flow)[0, 2, 1] == 1.0
    assert along_flow(maps, torch.full_like(flow, torch.nan)).equal(maps)
    assert along_flow(maps, flow + 100).abs().max() == 0
