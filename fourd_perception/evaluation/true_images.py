"""Outputs of the cameras beside the truth, and the pixels at which the two can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fourd_perception.evaluation.comparable import certain_labels, LeftOut, near_edges
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import DYNAMIC, IGNORED
from fourd_perception.synthetic.pinhole import camera_rays, pixels_of
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np

# An input pixel lies within two pixels of all that the network's pixels around it have seen.
INPUT_MARGIN = 2
# Why pixels are left out.
SKY = 'sky'
EDGES = 'edges of depth'
THRESHOLD = 'motion at the threshold of labels'


@dataclass(frozen=True)
class Seen:
    """One camera at one inferred instant, and its other stamps in the window of then."""

    camera: str
    stamp: int
    others: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Compared:
    """One output and its truth, [h, w] or [h, w, 2], and bool [h, w]: the pixels that count."""

    found: np.ndarray
    truth: np.ndarray
    pixels: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Bool [h, w]: the pixels of which the output says something."""
        finite = np.isfinite(self.found)
        return self.pixels & (finite if finite.ndim == 2 else finite.all(axis=-1))

    @property
    def share_known(self) -> tuple[float, int]:
        """Of the pixels that count, and how many these are."""
        count = int(self.pixels.sum())
        return float(self.known.sum()) / max(count, 1), count


@dataclass(frozen=True, eq=False)
class TrueImages:
    """Finds the truth of what was recorded.

    margin:        pixels around edges of depth and labels that are left out at the published
                   size: 0 where that is the network's own, else `INPUT_MARGIN`
    network_scale: by camera, pixels of the network's image per pixel of the input image: motion
                   counts as motion in pixels of the network
    """

    outputs: Outputs
    recording: SyntheticRecording
    margin: int
    network_scale: Mapping[str, float]
    left_out: LeftOut = field(default_factory=LeftOut)

    def depth(self, seen: Seen) -> Compared:
        """Depth of one camera, metres."""
        camera = self.outputs.depth_camera(seen.camera, seen.stamp)
        truth = self.recording.depth(camera, seen.stamp)
        comparable = self.left_out.compared(
            'depth and camera clouds',
            self.inside(camera),
            {SKY: ~np.isfinite(truth), EDGES: near_edges(truth, self.margin)},
        )
        return Compared(self.outputs.depth(seen.camera, seen.stamp), truth, comparable)

    def labels(self, seen: Seen, comparable: np.ndarray) -> Compared:
        """`Label` at the size of the depth image; the truth is static, dynamic or ignored.

        comparable: bool [h, w], the pixels that count in `depth`
        """
        camera = self.outputs.depth_camera(seen.camera, seen.stamp)
        truth = certain_labels(self.own_motion(camera, seen.stamp, seen.others), self.margin)
        compared = self.left_out.compared(
            'labels',
            self.inside(camera),
            {'as depth': ~comparable, THRESHOLD: truth == IGNORED},
        )
        return Compared(self.outputs.labels(seen.camera, seen.stamp), truth, compared)

    def mask(self, seen: Seen) -> Compared:
        """What moves or may move, and what does; at the size of the input image."""
        camera = self.recording.cameras[seen.camera]
        depth = self.recording.depth(camera, seen.stamp)
        truth = certain_labels(self.own_motion(camera, seen.stamp, seen.others), INPUT_MARGIN)
        compared = self.left_out.compared(
            'dynamic_mask',
            np.ones(depth.shape, bool),
            {
                SKY: ~np.isfinite(depth),
                EDGES: near_edges(depth, INPUT_MARGIN),
                THRESHOLD: truth == IGNORED,
            },
        )
        mask = self.outputs.dynamic_mask(seen.camera, seen.stamp)
        return Compared(mask != 0, truth == DYNAMIC, compared)

    def flow(self, name: str, stamp: int) -> Compared:
        """The flow whose older image has this stamp, pixels of the published size."""
        camera = self.outputs.depth_camera(name, stamp)
        found = self.outputs.flow(name, stamp)
        # What becomes hidden moves as well, and its motion is known.
        truth, _ = self.recording.flow(camera, stamp, found.newer)
        comparable = self.left_out.compared(
            'flow',
            self.inside(camera),
            {
                SKY: ~np.isfinite(truth).all(axis=-1),
                EDGES: near_edges(self.recording.depth(camera, stamp), self.margin),
            },
        )
        return Compared(found.flow, truth, comparable)

    def own_motion(self, camera: CameraModel, stamp: int, others: Sequence[int]) -> np.ndarray:
        """Float32 [h, w]: motion of what each pixel sees, in pixels of the network's image."""
        given = self.recording.cameras[camera.name]
        assert camera.intrinsics is not None and given.intrinsics is not None
        published = camera.intrinsics[0, 0] / given.intrinsics[0, 0]
        own = self.recording.own_motion(camera, stamp, others)
        return own * (self.network_scale[camera.name] / published)

    def inside(self, camera: CameraModel) -> np.ndarray:
        """Bool [h, w]: pixels that show the input image, not padding around it."""
        given = self.recording.cameras[camera.name]
        x, y = pixels_of(given, camera_rays(camera))
        inside = (x >= -0.5) & (x <= given.width - 0.5) & (y >= -0.5) & (y <= given.height - 0.5)
        return inside.reshape(camera.height, camera.width)


def place(camera: str, stamp: int) -> str:
    """How tables name an image."""
    return f'{camera} at {stamp}'
