"""Real videos of four portrait cameras that stand still: made a recording, through the node."""

from __future__ import annotations

from pathlib import Path
import sys

from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.evaluation.report import unaccounted
from fourd_perception.evaluation.trajectory import pose_errors
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.wire.topics import scene_topics
import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from replays import fourd, OPTIONS

RIG = Path(__file__).parents[3] / 'shared' / 'data' / 'four_cameras_balance' / 'rig.yaml'

pytestmark = pytest.mark.skipif(not RIG.is_file(), reason=f'{RIG.parent} is not there')


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten instants of the laboratory, with untrained weights."""
    folder = tmp_path_factory.mktemp('lab')
    done = fourd('make-bag', RIG, folder / 'lab', '--longest-side', 320, '--every', 10)
    assert done.returncode == 0, done.stderr
    done = fourd(
        'replay',
        folder / 'lab',
        '--fixed',
        'lab',
        '--weights',
        'untrained:0',
        '--allow-unscaled',
        '--rate',
        0.2,
        '--out',
        folder / 'run',
        *OPTIONS,
    )
    assert done.returncode == 0, done.stderr
    return folder / 'run'


def test_every_topic_is_there_and_every_image_accounted_for(run_folder):
    run = yaml.safe_load((run_folder / 'run.yaml').read_text())
    assert run['parameters']['cameras'] == ['cam01', 'cam02', 'cam03', 'cam04']
    names = {f'/{spec.name}' for spec in scene_topics(run['parameters']['cameras'])}
    assert {name for name in names if not run['outputs'][name]['count']} == set()
    assert unaccounted(run) == {}


def test_exposures_are_not_mixed(run_folder):
    with RecordedOutputs(run_folder / 'bag') as outputs:
        stamps = [set(outputs.stamps(f'{name}/pose')) for name in outputs.cameras]
    assert len(stamps) == 4
    assert all(found == stamps[0] for found in stamps)


def test_relative_poses_are_those_of_the_rig(run_folder):
    rig = yaml.safe_load(RIG.read_text())['cameras']
    lab_from_camera = {
        name: transform(np.reshape(c['rotation'], (3, 3)), np.array(c['translation']))
        for name, c in rig.items()
    }
    with RecordedOutputs(run_folder / 'bag') as outputs:
        for stamp in outputs.stamps('cam01/pose'):
            found = {name: outputs.pose(name, stamp) for name in rig}
            for one in rig:
                for other in rig:
                    metres, degrees = pose_errors(
                        (invert(found[one]) @ found[other])[None],
                        (invert(lab_from_camera[one]) @ lab_from_camera[other])[None],
                    )
                    assert metres[0] < 1e-3
                    assert degrees[0] < 0.01


def test_widths_differ_and_clouds_are_in_the_laboratory(run_folder):
    with RecordedOutputs(run_folder / 'bag') as outputs:
        stamp = outputs.stamps('cam01/dynamic_mask')[-1]
        sizes = {name: outputs.dynamic_mask(name, stamp).shape for name in outputs.cameras}
        assert sizes['cam01'] == (320, 180)
        assert sizes['cam03'] == (320, 181)
        assert outputs.cloud('points', stamp).frame_id == 'lab'


def test_the_report_says_that_the_geometry_means_nothing(run_folder):
    done = fourd('evaluate', 'replay', run_folder)
    assert done.returncode == 0, done.stdout
    assert 'UNTRAINED WEIGHTS' in done.stdout
    assert 'scale: none' in done.stdout
    assert 'No table' in done.stdout
