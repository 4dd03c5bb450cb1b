"""Depth, clouds, labels, masks and flow of the cameras against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fourd_perception.engine.scene_update import Label
from fourd_perception.evaluation import metrics
from fourd_perception.evaluation.checks import Check, Faults, Mean, Worst
from fourd_perception.evaluation.comparable import certain_labels, LeftOut, near_edges
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import DYNAMIC, IGNORED
from fourd_perception.synthetic.pinhole import camera_rays, pixels_of
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np

# An input pixel lies within two pixels of all that the network's pixels around it have seen.
INPUT_MARGIN = 2
# Metres below which a point need not be held against every surface of the scene.
NEAR = 1e-3
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
class ImageTallies:
    """Errors of dense outputs over all images."""

    depth: Worst = field(default_factory=lambda: Worst('depth: largest relative error', '', 1e-3))
    abs_rel: Mean = field(default_factory=lambda: Mean('depth: AbsRel', ''))
    delta: Mean = field(default_factory=lambda: Mean('depth: share within 1.25', ''))
    known: Mean = field(
        default_factory=lambda: Mean('depth: share of comparable pixels known', '', 0.95, True)
    )
    scale: Worst = field(default_factory=lambda: Worst('scale: largest error', '%', 0.1))
    surface: Worst = field(
        default_factory=lambda: Worst('camera clouds: farthest from a surface', 'mm', 1.0)
    )
    labels: Faults = field(default_factory=lambda: Faults('labels: pixels that differ', 'px'))
    mask: Faults = field(default_factory=lambda: Faults('dynamic_mask: pixels that differ', 'px'))
    iou: Mean = field(default_factory=lambda: Mean('dynamic_mask: IoU of what moves', ''))
    flow: Worst = field(default_factory=lambda: Worst('flow: largest endpoint error', 'px', 0.05))
    flow_known: Mean = field(
        default_factory=lambda: Mean('flow: share of comparable pixels known', '', 0.95, True)
    )
    epe: Mean = field(default_factory=lambda: Mean('flow: mean endpoint error (EPE)', 'px'))

    def checks(self) -> list[Check]:
        """Lines of the table, in order."""
        return [tally.check() for tally in vars(self).values()]


@dataclass(frozen=True, eq=False)
class ImageScorer:
    """Compares one camera's dense outputs at a time.

    margin:        pixels around edges of depth and labels that are left out at the published
                   size: 0 where that is the network's own, else `INPUT_MARGIN`
    network_scale: by camera, pixels of the network's image per pixel of the input image: motion
                   counts as motion in pixels of the network
    """

    outputs: Outputs
    recording: SyntheticRecording
    margin: int
    network_scale: Mapping[str, float]
    tallies: ImageTallies = field(default_factory=ImageTallies)
    left_out: LeftOut = field(default_factory=LeftOut)

    def add(self, seen: Seen) -> None:
        """Score one camera at one instant."""
        name, stamp = seen.camera, seen.stamp
        camera = self.outputs.depth_camera(name, stamp)
        truth = self.recording.depth(camera, stamp)
        comparable = self.left_out.compared(
            'depth and camera clouds',
            self._inside(camera),
            {SKY: ~np.isfinite(truth), EDGES: near_edges(truth, self.margin)},
        )
        self._add_depth(camera, stamp, truth, comparable)
        self._add_cloud(camera, stamp, truth, comparable)
        if seen.others:
            self._add_labels(camera, seen, comparable)
            self._add_mask(self.recording.cameras[name], seen)

    def add_flow(self, name: str, stamp: int) -> None:
        """Score the flow whose older image has this stamp."""
        camera = self.outputs.depth_camera(name, stamp)
        found = self.outputs.flow(name, stamp)
        # What becomes hidden moves as well, and its motion is known.
        truth, _ = self.recording.flow(camera, stamp, found.newer)
        comparable = self.left_out.compared(
            'flow',
            self._inside(camera),
            {
                SKY: ~np.isfinite(truth).all(axis=-1),
                EDGES: near_edges(self.recording.depth(camera, stamp), self.margin),
            },
        )
        valid = comparable & np.isfinite(found.flow).all(axis=-1)
        self.tallies.flow_known.add(*_share(valid, comparable))
        if valid.any():
            errors = metrics.endpoint_error(found.flow, truth, valid)
            self.tallies.flow.add(errors, place(name, stamp))
            self.tallies.epe.add(float(errors.mean()), len(errors))

    def _add_depth(
        self, camera: CameraModel, stamp: int, truth: np.ndarray, comparable: np.ndarray
    ) -> None:
        depth = self.outputs.depth(camera.name, stamp)
        tallies, where = self.tallies, place(camera.name, stamp)
        valid = comparable & np.isfinite(depth)
        tallies.known.add(*_share(valid, comparable))
        if valid.any():
            errors = metrics.relative_error(depth, truth, valid)
            tallies.depth.add(errors, where)
            tallies.abs_rel.add(float(errors.mean()), len(errors))
            tallies.delta.add(metrics.delta(depth, truth, valid), len(errors))
            tallies.scale.add(100 * abs(metrics.scale_error(depth, truth, valid)), where)

    def _add_cloud(
        self, camera: CameraModel, stamp: int, truth: np.ndarray, comparable: np.ndarray
    ) -> None:
        points = self.outputs.cloud(f'{camera.name}/points', stamp).cloud.xyz.astype(float)
        shown = comparable & np.isfinite(points).all(axis=-1)
        rays = camera_rays(camera).T.reshape(*truth.shape, 2)
        surface = np.concatenate([rays, np.ones((*truth.shape, 1))], axis=-1) * truth[..., None]
        # The surface that the pixel sees bounds the distance; another one may be nearer.
        distance = np.linalg.norm(points[shown] - surface[shown], axis=-1)
        far = distance > NEAR
        if far.any():
            pose = self.recording.world_from_camera(camera.name, stamp)
            world = points[shown][far] @ pose[:3, :3].T + pose[:3, 3]
            distance[far] = self.recording.surfaces(world, stamp)[0]
        self.tallies.surface.add(1e3 * distance, place(camera.name, stamp))

    def _add_labels(self, camera: CameraModel, seen: Seen, comparable: np.ndarray) -> None:
        """At the size of the depth image: every pixel static or dynamic as it truly is."""
        label = self.outputs.labels(seen.camera, seen.stamp)
        truth = certain_labels(self.own_motion(camera, seen.stamp, seen.others), self.margin)
        compared = self.left_out.compared(
            'labels',
            self._inside(camera),
            {'as depth': ~comparable, THRESHOLD: truth == IGNORED},
        )
        differ = compared & (label != np.where(truth == DYNAMIC, Label.DYNAMIC, Label.STATIC))
        where = place(seen.camera, seen.stamp)
        self.tallies.labels.add(int(differ.sum()), int(compared.sum()), where)

    def _add_mask(self, camera: CameraModel, seen: Seen) -> None:
        """At the size of the input image, which no network pixel has."""
        mask = self.outputs.dynamic_mask(seen.camera, seen.stamp) != 0
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
        if compared.any():
            moving = truth == DYNAMIC
            differ = metrics.mask_mismatches(mask, moving, compared)
            count = int(compared.sum())
            self.tallies.mask.add(differ, count, place(seen.camera, seen.stamp))
            self.tallies.iou.add(metrics.mask_iou(mask, moving, compared), count)

    def own_motion(self, camera: CameraModel, stamp: int, others: Sequence[int]) -> np.ndarray:
        """Float32 [h, w]: motion of what each pixel sees, in pixels of the network's image."""
        given = self.recording.cameras[camera.name]
        assert camera.intrinsics is not None and given.intrinsics is not None
        published = camera.intrinsics[0, 0] / given.intrinsics[0, 0]
        own = self.recording.own_motion(camera, stamp, others)
        return own * (self.network_scale[camera.name] / published)

    def _inside(self, camera: CameraModel) -> np.ndarray:
        """Bool [h, w]: pixels that show the input image, not padding around it."""
        given = self.recording.cameras[camera.name]
        x, y = pixels_of(given, camera_rays(camera))
        inside = (x >= -0.5) & (x <= given.width - 0.5) & (y >= -0.5) & (y <= given.height - 0.5)
        return inside.reshape(camera.height, camera.width)


def _share(some: np.ndarray, of: np.ndarray) -> tuple[float, int]:
    count = int(of.sum())
    return float(some.sum()) / max(count, 1), count


def place(camera: str, stamp: int) -> str:
    """How tables name an image."""
    return f'{camera} at {stamp}'
