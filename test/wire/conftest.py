"""A scene of two cameras with numbers that can be followed by hand."""

from fourd_perception.engine.scene_update import (
    CameraUpdate,
    ForwardFlow,
    Label,
    Scale,
    SceneUpdate,
)
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import transform
from fourd_perception.grid.frame import Frame, TimeSlice
import numpy as np
import pytest

STAMP = 1_700_000_000_123_456_789
OLDER = STAMP - 100_000_007


def camera_update(name: str, stamp: int, size: tuple[int, int]) -> CameraUpdate:
    """A camera whose input is twice as large as its outputs; depth holds one invalid pixel."""
    width, height = size
    rng = np.random.default_rng(len(name))
    intrinsics = np.array([[200.0, 0.0, width - 0.5], [0.0, 201.0, height - 0.5], [0, 0, 1.0]])
    model = CameraModel(
        name, 2 * width, 2 * height, intrinsics, f'{name}_optical_frame', np.eye(4)
    )
    depth = rng.uniform(1, 5, (height, width)).astype(np.float32)
    depth[0, 0] = np.nan
    label = rng.integers(0, 3, (height, width)).astype(np.uint8)
    label[:2, :2] = [[Label.UNKNOWN, Label.STATIC], [Label.DYNAMIC, Label.STATIC]]
    return CameraUpdate(
        frame=Frame(name, stamp, None),
        input=model,
        output=model.resized(width, height),
        world_from_camera=transform(np.eye(3), np.array([1.0, 2.0, 3.0])),
        colour=rng.integers(0, 256, (height, width, 3)).astype(np.uint8),
        depth=depth,
        confidence=rng.random((height, width)).astype(np.float32),
        label=label,
        input_label=label.repeat(2, axis=0).repeat(2, axis=1),
        flow_forward=ForwardFlow(
            rng.normal(size=(height, width, 2)).astype(np.float32), OLDER + stamp - STAMP, stamp
        ),
    )


@pytest.fixture
def update() -> SceneUpdate:
    """Cameras `front` (reference) and `left/rear` (411 ns later) of different sizes."""
    cameras = {
        'front': camera_update('front', STAMP, (7, 5)),
        'left/rear': camera_update('left/rear', STAMP + 411, (4, 6)),
    }
    return SceneUpdate(
        slice=TimeSlice(tuple(cameras), tuple(c.frame for c in cameras.values()), 'front'),
        cameras=cameras,
        scale=Scale(2.0, 'rig', 0.001),
        world_from_base=transform(np.eye(3), np.array([0.5, 0.0, 0.0])),
        covariance=np.diag(np.arange(1.0, 7.0)) * 1e-4,
        rig_known=True,
        window_fill=2,
    )
