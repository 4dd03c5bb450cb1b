"""Depth, clouds, labels, masks and flow of the cameras against the truth, to the last pixel."""

from __future__ import annotations

from dataclasses import dataclass, field

from fourd_perception.engine.scene_update import Label
from fourd_perception.evaluation import metrics
from fourd_perception.evaluation.checks import Check, Faults, Mean, Worst
from fourd_perception.evaluation.true_images import Compared, place, Seen, TrueImages
from fourd_perception.geometry.clips import DYNAMIC
from fourd_perception.synthetic.pinhole import camera_rays
import numpy as np

# Metres below which a point need not be held against every surface of the scene.
NEAR = 1e-3


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
    """Compares one camera's dense outputs at a time."""

    images: TrueImages
    tallies: ImageTallies = field(default_factory=ImageTallies)

    def add(self, seen: Seen) -> None:
        """Score one camera at one instant."""
        depth = self.images.depth(seen)
        self._add_depth(depth, place(seen.camera, seen.stamp))
        self._add_cloud(seen, depth)
        if seen.others:
            self._add_labels(seen, depth.pixels)
            self._add_mask(seen)

    def add_flow(self, name: str, stamp: int) -> None:
        """Score the flow whose older image has this stamp."""
        flow = self.images.flow(name, stamp)
        self.tallies.flow_known.add(*flow.share_known)
        if flow.known.any():
            errors = metrics.endpoint_error(flow.found, flow.truth, flow.known)
            self.tallies.flow.add(errors, place(name, stamp))
            self.tallies.epe.add(float(errors.mean()), len(errors))

    def _add_depth(self, depth: Compared, where: str) -> None:
        tallies, compared = self.tallies, (depth.found, depth.truth, depth.known)
        tallies.known.add(*depth.share_known)
        if depth.known.any():
            errors = metrics.relative_error(*compared)
            tallies.depth.add(errors, where)
            tallies.abs_rel.add(float(errors.mean()), len(errors))
            tallies.delta.add(metrics.delta(*compared), len(errors))
            tallies.scale.add(100 * abs(metrics.scale_error(*compared)), where)

    def _add_cloud(self, seen: Seen, depth: Compared) -> None:
        outputs, recording = self.images.outputs, self.images.recording
        camera = outputs.depth_camera(seen.camera, seen.stamp)
        points = outputs.cloud(f'{camera.name}/points', seen.stamp).cloud.xyz.astype(float)
        shown = depth.pixels & np.isfinite(points).all(axis=-1)
        truth = depth.truth[..., None]
        rays = camera_rays(camera).T.reshape(*depth.truth.shape, 2)
        surface = np.concatenate([rays, np.ones(truth.shape)], axis=-1) * truth
        # The surface that the pixel sees bounds the distance; another one may be nearer.
        distance = np.linalg.norm(points[shown] - surface[shown], axis=-1)
        far = distance > NEAR
        if far.any():
            pose = recording.world_from_camera(camera.name, seen.stamp)
            world = points[shown][far] @ pose[:3, :3].T + pose[:3, 3]
            distance[far] = recording.surfaces(world, seen.stamp)[0]
        self.tallies.surface.add(1e3 * distance, place(camera.name, seen.stamp))

    def _add_labels(self, seen: Seen, comparable: np.ndarray) -> None:
        """At the size of the depth image: every pixel static or dynamic as it truly is."""
        label = self.images.labels(seen, comparable)
        truth = np.where(label.truth == DYNAMIC, Label.DYNAMIC, Label.STATIC)
        differ = label.pixels & (label.found != truth)
        where = place(seen.camera, seen.stamp)
        self.tallies.labels.add(int(differ.sum()), int(label.pixels.sum()), where)

    def _add_mask(self, seen: Seen) -> None:
        """At the size of the input image, which no network pixel has."""
        mask = self.images.mask(seen)
        if mask.pixels.any():
            compared = mask.found, mask.truth, mask.pixels
            count = int(mask.pixels.sum())
            differ = metrics.mask_mismatches(*compared)
            self.tallies.mask.add(differ, count, place(seen.camera, seen.stamp))
            self.tallies.iou.add(metrics.mask_iou(*compared), count)
