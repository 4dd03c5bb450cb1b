"""An engine driven over a recording."""

from collections import Counter
from dataclasses import replace

from fourd_perception.engine.engine import Engine
from fourd_perception.engine.scene_update import Output
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.geometry.cameras import Rig
from fourd_perception.geometry.poses import invert, rotation_angle
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.synthetic.truth_predictor import TruthPredictor
import numpy as np

ALL = frozenset(Output)
POSES = frozenset({Output.POSE})
SMALL = 8 * 6 * 14 * 14  # pixels; enough where only poses and scale are looked at


class Drive:
    """Hands the slices of a recording to an engine, grey images unless asked otherwise."""

    def __init__(self, recording, predictor=None, images=None, **settings):
        self.recording = recording
        self.cameras = tuple(recording.cameras)
        self.rig = Rig(recording.cameras)
        self.decoded = Counter()
        self.images = images or self.grey
        settings = {'pixel_budget': SMALL} | settings
        predictor = predictor or TruthPredictor(recording)
        self.engine = Engine(predictor, EngineSettings(**settings), self.decode)

    def grey(self, frame):
        camera = self.recording.cameras[frame.camera]
        return np.full((camera.height, camera.width, 3), 128, np.uint8)

    def decode(self, frame):
        self.decoded[frame.camera, frame.stamp] += 1
        return self.images(frame)

    def slice(self, k, missing=()):
        frames = tuple(
            None if name in missing else Frame(name, self.recording.stamps(name)[k], None)
            for name in self.cameras
        )
        return TimeSlice(self.cameras, frames, next(f.camera for f in frames if f))

    def step(self, k, wanted=ALL, missing=(), rig=None):
        return self.engine.step(self.slice(k, missing), rig or self.rig, wanted)

    def run(self, steps, wanted=ALL, **options):
        return [self.step(k, wanted, **options) for k in steps]


def check_poses(update, recording, start):
    """Poses within 1 mm and 0.01 degrees; the world is the base at the first slice."""
    pairs = [(update.world_from_base, recording.world_from_base(update.slice.stamp))]
    for name, camera in update.cameras.items():
        truth = recording.world_from_camera(name, camera.frame.stamp)
        pairs.append((camera.world_from_camera, truth))
    for found, truth in pairs:
        off = invert(truth) @ recording.world_from_base(start) @ found
        assert np.linalg.norm(off[:3, 3]) < 1e-3
        assert np.degrees(rotation_angle(off[:3, :3])) < 0.01


def without_rig(recording):
    return Rig({n: replace(c, base_from_camera=None) for n, c in recording.cameras.items()})
