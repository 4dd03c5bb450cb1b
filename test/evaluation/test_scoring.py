"""Scoring keeps quiet about perfect outputs, and names every single thing that is spoilt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import re
import sys
from types import SimpleNamespace

from fourd_perception.evaluation.scoring import (
    inferred_slices,
    score,
    score_network,
    ScoredNode,
)
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from perfect_outputs import BASE, PATCH, PerfectOutputs, WORLD

NODE = ScoredNode(PATCH, 'network', 4_000, 4, 1.0, WORLD, BASE)


def small_recording(instants: int) -> SyntheticRecording:
    """Two small cameras, one upright."""
    made = make_recording('room', cameras=2, seconds=0.1 * instants, rate=10.0)
    left, right = made.cameras.values()
    cameras = {left.name: left.resized(80, 60), right.name: right.resized(60, 80)}
    return replace(made, cameras=cameras)


@pytest.fixture(scope='module')
def recording() -> SyntheticRecording:
    return small_recording(instants=2)


@pytest.fixture
def outputs(recording: SyntheticRecording) -> PerfectOutputs:
    return PerfectOutputs(recording, NODE.pixel_budget)


def broken(outputs: PerfectOutputs) -> set[str]:
    return {c.what for c in score(outputs, outputs.recording, NODE).checks if not c.passed}


@pytest.mark.parametrize('patch', [14, 50])
def test_perfect_outputs_keep_every_limit(recording, patch):
    outputs = PerfectOutputs(recording, NODE.pixel_budget, patch)
    scores = score(outputs, recording, replace(NODE, patch=patch))
    checks = scores.checks
    assert {c.what for c in checks if not c.passed} == set()
    assert all(c.count > 0 for c in checks)
    assert 'depth and camera clouds 0 %,' in scores.left_out
    pixels = next(c for c in checks if c.what == 'depth: largest relative error').count
    assert pixels > 5_000


def test_what_is_left_out_at_other_sizes_is_told_with_the_reason(outputs):
    told = score(outputs, outputs.recording, replace(NODE, output_size='input')).left_out
    assert re.search(r'depth and camera clouds \d.* % \(edges of depth', told)
    assert re.search(r'labels \d.* % \(as depth \d', told)
    assert re.search(r'flow \d.* % \(edges of depth \d', told)
    assert '2 px around' in told and 'fused clouds' in told


def scaled(factor):
    return lambda array: array * np.float32(factor)


def nudged(array):
    array = array.copy()
    array[20, 30] += 0.1
    return array


def moved_point(found):
    found.cloud.xyz = found.cloud.xyz.copy()
    middle = tuple(n // 2 for n in found.cloud.xyz.shape[:-1])
    found.cloud.xyz[middle] *= 1.01
    return found


@pytest.mark.parametrize(
    'method, change, expected',
    [
        ('depth', nudged, {'depth: largest relative error'}),
        ('depth', scaled(1.0009), set()),
        (
            'depth',
            scaled(1.0011),
            {'depth: largest relative error', 'scale: largest error'},
        ),
        (
            'depth',
            lambda d: np.full_like(d, np.nan),
            {
                'depth: largest relative error',
                'depth: share of comparable pixels known',
                'scale: largest error',
            },
        ),
        ('labels', lambda found: 2 + 0 * found, {'labels: pixels that differ'}),
        ('dynamic_mask', lambda found: 255 - found, {'dynamic_mask: pixels that differ'}),
        (
            'cloud',
            moved_point,
            {
                'camera clouds: farthest from a surface',
                'fused clouds: farthest from a surface',
            },
        ),
        ('pose', lambda p: p @ transform(np.eye(3), [0, 0, 0.02]), {'pose topics: distance'}),
    ],
)
def test_what_is_spoilt_is_named(outputs, monkeypatch, method, change, expected):
    perfect = getattr(outputs, method)
    monkeypatch.setattr(outputs, method, lambda *args: change(perfect(*args)))
    assert broken(outputs) == expected


def test_a_mover_among_the_static_points_is_named(outputs, monkeypatch):
    perfect = outputs.cloud
    monkeypatch.setattr(
        outputs,
        'cloud',
        lambda topic, stamp: perfect('points' if topic == 'points_static' else topic, stamp),
    )
    assert broken(outputs) == {'points_static: points of movers'}


def test_a_mover_that_rests_within_the_window_is_static_and_counted():
    made = make_recording('room', cameras=2, seconds=0.002, rate=1000.0)
    cameras = {name: c.resized(80, 60) for name, c in made.cameras.items()}
    recording = replace(made, cameras=cameras)
    checks = score(PerfectOutputs(recording, NODE.pixel_budget), recording, NODE).checks
    found = {c.what: c.value for c in checks}
    assert found['points_static: points of movers'] == 0
    assert found['points_static: points of movers that rest'] > 10


def test_flow_that_is_a_tenth_of_a_pixel_off_is_named(outputs, monkeypatch):
    perfect = outputs.flow

    def shifted(camera, stamp):
        found = perfect(camera, stamp)
        return SimpleNamespace(flow=found.flow + 0.1, older=found.older, newer=found.newer)

    monkeypatch.setattr(outputs, 'flow', shifted)
    assert broken(outputs) == {'flow: largest endpoint error'}


def test_poses_that_drift_are_named(outputs, monkeypatch):
    edges = outputs.transforms()
    edges[-1].parent_from_child = edges[-1].parent_from_child @ transform(
        np.eye(3), [0.0, 0.0012, 0.0]
    )
    monkeypatch.setattr(
        outputs,
        'transforms',
        lambda static=False: PerfectOutputs.transforms(outputs, True) if static else edges,
    )
    assert broken(outputs) == {'camera poses in TF: distance'}


def test_a_second_parent_is_named(outputs, monkeypatch):
    first = outputs.transforms()[0]
    extra = PerfectOutputs.edge('map', BASE, np.eye(4), first.stamp)
    monkeypatch.setattr(
        outputs,
        'transforms',
        lambda static=False: [
            *PerfectOutputs.transforms(outputs, static),
            *([] if static else [extra]),
        ],
    )
    assert 'frames with more than one parent in TF' in broken(outputs)


def test_a_stamp_that_went_through_a_float_is_named(outputs, monkeypatch):
    perfect = outputs.stamps

    def rounded(topic):
        stamps = perfect(topic)
        return tuple(int(float(s)) for s in stamps) if topic.endswith('/dynamic_mask') else stamps

    monkeypatch.setattr(outputs, 'stamps', rounded)
    assert broken(outputs) == {'stamps that no input image has'}


def network_table(outputs: PerfectOutputs, metric: bool = True) -> dict[str, float]:
    scores = score_network(outputs, outputs.recording, NODE, metric)
    assert all(check.passed and check.count for check in scores.checks)
    return {check.what: check.value for check in scores.checks}


DEPTH = 'depth: AbsRel, after one scale for each slice'
IOU = 'dynamic_mask: IoU, mean of images in which things move'
CALLED = 'dynamic_mask: share called moving of what stands still'


def test_a_perfect_network_has_no_errors_and_its_scale_is_one_of_them(outputs):
    table = network_table(outputs)
    assert table[DEPTH] < 1e-6 and table['scale: mean error of a slice'] < 1e-4
    assert table['depth: share within 1.25, likewise'] == 1
    assert table['depth: share of pixels known'] == 1
    assert (table[IOU], table[CALLED]) == (1, 0)
    lengths = [value for what, value in table.items() if what.startswith('flow: mean')]
    assert len(lengths) > 1 and max(lengths) == 0
    assert 'stamps that no input image has' in table
    assert 'camera poses in TF: not to be looked up' in table


def test_the_shape_of_depth_is_told_apart_from_its_scale(outputs, monkeypatch):
    perfect = outputs.depth
    factors = dict(zip(outputs.recording.cameras, (1.1, 1.1)))
    monkeypatch.setattr(outputs, 'depth', lambda c, s: perfect(c, s) * np.float32(factors[c]))
    table = network_table(outputs)
    assert table[DEPTH] < 1e-6
    assert table['scale: mean error of a slice'] == pytest.approx(10, abs=1e-3)
    assert 'scale: mean error of a slice' not in network_table(outputs, metric=False)
    # One scale for all cameras of a slice: that they differ is a wrong shape.
    factors['right'] = 0.9
    assert 0.05 < network_table(outputs)[DEPTH] < 0.2


def test_masks_and_flow_of_a_network_are_scored_by_what_is_there(outputs, monkeypatch):
    flow, mask = outputs.flow, outputs.dynamic_mask
    lengths = [
        np.linalg.norm(flow(camera, stamp).flow[outputs.shown(camera)], axis=-1)
        for camera in outputs.recording.cameras
        for stamp in outputs.stamps(f'{camera}/flow')
    ]

    def nothing(camera, stamp):
        found = flow(camera, stamp)
        return SimpleNamespace(flow=0 * found.flow, older=found.older, newer=found.newer)

    monkeypatch.setattr(outputs, 'flow', nothing)
    monkeypatch.setattr(outputs, 'dynamic_mask', lambda c, s: np.full_like(mask(c, s), 255))
    table = network_table(outputs)
    for low, high in ((0, 1), (1, 4), (4, 12)):
        inside = [x[(x >= low) & (x < high)] for x in lengths]
        mean = np.concatenate(inside).mean()
        name = f'flow: mean endpoint error where it is {low} to {high} px'
        assert table[name] == pytest.approx(mean, rel=1e-4)
    assert table[CALLED] == 1 and table[IOU] < 0.5
    monkeypatch.setattr(outputs, 'dynamic_mask', lambda c, s: 0 * mask(c, s))
    table = network_table(outputs)
    assert (table[CALLED], table[IOU]) == (0, 0)


def test_a_network_that_knows_no_motion_is_scored_all_the_same(monkeypatch):
    outputs = PerfectOutputs(small_recording(instants=3), NODE.pixel_budget)
    assert network_table(outputs)['trajectory: ATE after Sim(3) alignment'] < 1e-6
    edges = outputs.transforms()
    still = [PerfectOutputs.edge(WORLD, BASE, np.eye(4), edge.stamp) for edge in edges]
    monkeypatch.setattr(
        outputs,
        'transforms',
        lambda static=False: PerfectOutputs.transforms(outputs, True) if static else still,
    )
    assert not any(what.startswith('trajectory') for what in network_table(outputs))


def test_windows_are_the_newest_slices_without_a_long_gap(recording):
    longer = make_recording('room', cameras=2, seconds=3.0, rate=10.0)
    left, right = (longer.stamps(name) for name in longer.cameras)
    taken = [0, 1, 3, 4, 20, 21]
    slices = inferred_slices(
        {'left': [left[k] for k in taken], 'right': [right[k] for k in taken if k != 3]},
        longer,
        length=3,
        max_gap=1.0,
    )
    others = {
        (seen.camera, stamps.index(seen.stamp)): [stamps.index(s) for s in seen.others]
        for one in slices
        for seen in one
        for stamps in [longer.stamps(seen.camera)]
    }
    assert others['left', 4] == [1, 3]
    assert others['right', 4] == [1]
    assert others['left', 20] == []
    assert others['left', 21] == [20]
