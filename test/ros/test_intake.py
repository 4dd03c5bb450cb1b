"""Images on the executor thread: what a jump of /clock leaves on its way."""

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.grid.camera_track import SyncSettings
from fourd_perception.ros.calibration import Calibration
from fourd_perception.ros.intake import Intake
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from node_bench import TYPES
import numpy as np

CAMERAS = ('left', 'right')
SECOND = 10**9
STEP = SECOND // 10


def test_an_image_from_before_a_jump_of_the_clock_does_not_make_time_jump_again():
    calibrations = {name: Calibration(name, f'{name}/camera_info') for name in CAMERAS}
    for name, calibration in calibrations.items():
        model = CameraModel(name, 8, 6, np.diag([8.0, 8.0, 1.0]), name)
        calibration.store(camera_info_message(TYPES, 1, model))
    jumps, now = [], [0]
    intake = Intake(calibrations, SyncSettings(), lambda: now[0], lambda event: None, jumps.append)

    def send(camera, stamp):
        picture = np.zeros((6, 8), np.uint8)
        intake.image(camera, image_message(TYPES, stamp, camera, picture, 'mono8'))

    def play(steps):
        for step in steps:
            now[0] = SECOND + step * STEP
            for camera in CAMERAS:
                send(camera, now[0])

    play(range(15))
    now[0] = SECOND
    intake.rewind(15 * STEP)
    epoch = intake.epoch
    send('right', SECOND + 15 * STEP)  # was under way when the clock jumped
    play(range(15))  # at once: the new pass overtakes the straggler within the half second
    assert (jumps, intake.epoch) == ([], epoch)
    counts = {camera: intake.ledger.counts(camera) for camera in CAMERAS}
    assert counts['right']['jump'] == counts['left']['jump'] + 1
    assert counts['right']['received'] == counts['left']['received'] + 1
    assert intake.slot.take(0.0).slice.stamp == SECOND + 14 * STEP, 'the new pass goes on'
