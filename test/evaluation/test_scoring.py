"""Scoring keeps quiet about perfect outputs, and names every single thing that is spoilt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys
from types import SimpleNamespace

from fourd_perception.evaluation.scoring import inferred_windows, score, ScoredNode
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from perfect_outputs import BASE, PerfectOutputs, WORLD

NODE = ScoredNode('network', 4_000, 4, 1.0, WORLD, BASE)


@pytest.fixture(scope='module')
def recording() -> SyntheticRecording:
    """Two small cameras, one upright, two instants."""
    made = make_recording('room', cameras=2, seconds=0.2, rate=10.0)
    left, right = made.cameras.values()
    cameras = {left.name: left.resized(80, 60), right.name: right.resized(60, 80)}
    return replace(made, cameras=cameras)


@pytest.fixture
def outputs(recording: SyntheticRecording) -> PerfectOutputs:
    return PerfectOutputs(recording, NODE.pixel_budget)


def broken(outputs: PerfectOutputs) -> set[str]:
    return {c.what for c in score(outputs, outputs.recording, NODE) if not c.passed}


def test_perfect_outputs_keep_every_limit(outputs):
    checks = score(outputs, outputs.recording, NODE)
    assert {c.what for c in checks if not c.passed} == set()
    assert all(c.count > 0 for c in checks)
    pixels = next(c for c in checks if c.what == 'depth: largest relative error').count
    assert pixels > 10_000


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


def test_windows_are_the_newest_slices_without_a_long_gap(recording):
    longer = make_recording('room', cameras=2, seconds=3.0, rate=10.0)
    left, right = (longer.stamps(name) for name in longer.cameras)
    taken = [0, 1, 3, 4, 20, 21]
    windows = inferred_windows(
        {'left': [left[k] for k in taken], 'right': [right[k] for k in taken if k != 3]},
        longer,
        length=3,
        max_gap=1.0,
    )
    others = {
        (name, stamps.index(stamp)): [stamps.index(s) for s in found]
        for name, stamp, found in windows
        for stamps in [longer.stamps(name)]
    }
    assert others['left', 4] == [1, 3]
    assert others['right', 4] == [1]
    assert others['left', 20] == []
    assert others['left', 21] == [20]
