"""What a perfect node would have published for a synthetic recording, to be spoilt by tests."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from fourd_perception.engine.network_size import lay_out, Layout, network_size
from fourd_perception.engine.scene_update import Label
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import DYNAMIC
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.synthetic.pinhole import camera_rays
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np

WORLD, BASE = 'world', 'base_link'
PATCH = 14  # pixels


@dataclass
class PerfectOutputs:
    """`evaluation.outputs.Outputs` at network size; overriding a method spoils it."""

    recording: SyntheticRecording
    pixel_budget: int
    patch: int = PATCH

    @property
    def topics(self) -> tuple[str, ...]:
        kinds = ('depth/image_rect', 'labels', 'dynamic_mask', 'flow', 'points', 'pose')
        names = [f'{camera}/{kind}' for camera in self.recording.cameras for kind in kinds]
        return (*names, 'points', 'points_static', 'points_dynamic')

    def stamps(self, topic: str) -> tuple[int, ...]:
        camera, _, kind = topic.rpartition('/')
        owner = topic.partition('/')[0] if camera else next(iter(self.recording.cameras))
        stamps = self.recording.stamps(owner)
        if kind == 'flow':
            return stamps[:-1]
        moving = ('labels', 'dynamic_mask', 'points_static', 'points_dynamic')
        return stamps[1:] if kind in moving else stamps

    def depth(self, camera: str, stamp: int) -> np.ndarray:
        depth = self.recording.depth(self.depth_camera(camera, stamp), stamp)
        return np.where(self.shown(camera), depth, np.float32(np.nan))

    def depth_camera(self, camera: str, stamp: int) -> CameraModel:
        layout, network = self._layout(camera)
        return self.recording.cameras[camera].mapped(layout.pixel_map, *network)

    def labels(self, camera: str, stamp: int) -> np.ndarray:
        label = self._labels(self.depth_camera(camera, stamp), stamp, 1.0)
        return np.where(self.shown(camera), label, Label.UNKNOWN)

    def dynamic_mask(self, camera: str, stamp: int) -> np.ndarray:
        model = self.recording.cameras[camera]
        published = self.depth_camera(camera, stamp)
        scale = published.intrinsics[0, 0] / model.intrinsics[0, 0]
        return np.where(self._labels(model, stamp, scale) == Label.STATIC, 0, 255)

    def flow(self, camera: str, stamp: int) -> SimpleNamespace:
        stamps = self.recording.stamps(camera)
        newer = stamps[stamps.index(stamp) + 1]
        flow, _ = self.recording.flow(self.depth_camera(camera, stamp), stamp, newer)
        return SimpleNamespace(flow=flow, older=stamp, newer=newer)

    def cloud(self, topic: str, stamp: int) -> SimpleNamespace:
        camera, _, points = topic.partition('/')
        if points:
            xyz = self._points(self.depth_camera(camera, stamp), stamp)
            return SimpleNamespace(cloud=SimpleNamespace(xyz=xyz), frame_id=camera)
        camera = next(iter(self.recording.cameras))
        model = self.depth_camera(camera, stamp)
        wanted = {'points_static': [Label.STATIC], 'points_dynamic': [Label.DYNAMIC]}.get(topic)
        kept = np.isin(self._labels(model, stamp, 1.0), wanted or list(Label))
        pose = model.base_from_camera
        xyz = self._points(model, stamp)[kept] @ pose[:3, :3].T + pose[:3, 3]
        return SimpleNamespace(cloud=SimpleNamespace(xyz=xyz), frame_id=BASE)

    def pose(self, camera: str, stamp: int) -> np.ndarray:
        return self.gauge @ self.recording.world_from_camera(camera, stamp)

    def transforms(self, static: bool = False) -> list[SimpleNamespace]:
        if static:
            return [
                self.edge(BASE, camera.frame_id, camera.base_from_camera, 0)
                for camera in self.recording.cameras.values()
            ]
        stamps = self.stamps('points')
        return [
            self.edge(WORLD, BASE, self.gauge @ self.recording.world_from_base(stamp), stamp)
            for stamp in stamps
        ]

    @property
    def gauge(self) -> np.ndarray:
        """Where the node's world begins is its own affair."""
        first = next(iter(self.recording.cameras))
        start = self.recording.world_from_base(self.recording.stamps(first)[0])
        return transform(np.eye(3), np.array([5.0, 6.0, 7.0])) @ invert(start)

    @staticmethod
    def edge(parent: str, child: str, pose: np.ndarray, stamp: int) -> SimpleNamespace:
        return SimpleNamespace(parent=parent, child=child, parent_from_child=pose, stamp=stamp)

    def _layout(self, camera: str) -> tuple[Layout, tuple[int, int]]:
        sizes = {n: (c.width, c.height) for n, c in self.recording.cameras.items()}
        network = network_size(sizes.values(), self.patch, self.pixel_budget)
        return lay_out(sizes[camera], network), network

    def shown(self, camera: str) -> np.ndarray:
        """Not padding."""
        layout, (width, height) = self._layout(camera)
        shown = np.zeros((height, width), bool)
        shown[layout.rows, layout.columns] = True
        return shown

    def _labels(self, camera: CameraModel, stamp: int, scale: float) -> np.ndarray:
        stamps = self.recording.stamps(camera.name)
        others = list(stamps[: stamps.index(stamp)])
        label = dynamic_label(scale * self.recording.own_motion(camera, stamp, others))
        unknown = np.where(label == 0, Label.STATIC, Label.UNKNOWN)
        return np.where(label == DYNAMIC, Label.DYNAMIC, unknown)

    def _points(self, camera: CameraModel, stamp: int) -> np.ndarray:
        depth = self.recording.depth(camera, stamp)
        rays = np.vstack([camera_rays(camera), np.ones(depth.size)])
        return (rays * depth.ravel()).T.reshape(*depth.shape, 3).astype(np.float32)
