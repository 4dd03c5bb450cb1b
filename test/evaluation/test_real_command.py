"""`evaluate real` where recordings are absent, and with weights that do not give everything."""

from __future__ import annotations

import json

from fourd_perception.bag.real_evaluation import evaluate_recordings
from fourd_perception.cli import main
from fourd_perception.evaluation.baselines.clip_answers import CONSTANT, DIS, ZERO_FLOW
from fourd_perception.evaluation.clip_evaluation import NETWORK
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.prediction import GridTensors, Prediction
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.untrained import untrained_small
from real_miniatures import prediction, Told, write_room, write_video

# Without flow.
SMALL = SmallConfig(
    dim=32,
    heads=2,
    stem=(8, 12, 16),
    encoder_depth=1,
    pairs=1,
    temporal_depth=1,
    camera_depth=1,
    decoder=(16, 12),
    mask=8,
)


def test_bars_of_absent_recordings_are_missed_whatever_the_others_say(tmp_path):
    write_video(tmp_path / 'bedroom_video')

    def true_flow(grid: GridTensors) -> Prediction:
        frames = round((grid.stamps[0, 1] - grid.stamps[0, 0]) * 15e-9)
        return prediction(grid, flow=(-2.0 * frames, 0.0))

    shares: dict[str, float] = {}
    tables, examples = evaluate_recordings(Told(true_flow), tmp_path, shares.__setitem__)
    assert shares == {'bedroom_video': 1.0} and [e.name for e in examples] == ['frame 0']
    assert [table.title for table in tables if table.failures] == [
        'room_rgbd',
        'four_cameras_balance',
    ]
    assert tables[1].failures == [
        f'room_rgbd: recording: not found: {tmp_path / "room_rgbd"} (<= 0.27)'
    ]


def test_the_command_scores_what_is_there_and_fails_for_what_is_not(tmp_path, capsys):
    data, out = tmp_path / 'data', tmp_path / 'out'
    write_video(data / 'bedroom_video')
    write_room(data / 'room_rgbd')
    network = untrained_small(SMALL, 0)
    weights = tmp_path / 'no_flow.safetensors'
    stored = {CONFIG_KEY: config_to_json(SMALL), 'licence': 'Apache-2.0'}
    write_safetensors(weights, network.state_dict(), stored)
    command = ['evaluate', 'real', str(data), '--weights', str(weights), '--out', str(out)]
    assert main(command) == 1
    told = capsys.readouterr()
    missed = [line for line in told.err.splitlines() if line.startswith('bar missed: ')]
    rig = data / 'four_cameras_balance'
    assert f'bar missed: four_cameras_balance: recording: not found: {rig} (' in told.err
    assert 'photometric error, stride 1: the weights give no flow (<= 0.6 x zero flow' in told.err
    assert f'{len(missed)} bars missed.' in told.out
    assert f'| recording | <= 0.1, <= 0.5, <= 0.2, <= 1 | **not found: {rig}** |' in told.out
    assert '<= 1.3 x DIS | **the weights give no flow** |' in told.out
    rows = json.loads((out / 'real.json').read_text())['rows']
    found = {(r['table'], r['what']): r['values'] for r in rows}
    assert found['bedroom_video: flow', 'photometric error, stride 4'].keys() == {DIS, ZERO_FLOW}
    depth = found['room_rgbd: depth and poses', 'AbsRel, each image scaled by its median']
    assert depth.keys() >= {NETWORK, CONSTANT}
    assert (out / 'real.png').is_file()


def test_the_command_without_any_recording_says_where_it_looked(tmp_path, capsys):
    command = ['evaluate', 'real', str(tmp_path), '--weights', 'untrained:fourd-small:0']
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f'{tmp_path} holds none of the folders bedroom_video, room_rgbd' in told
