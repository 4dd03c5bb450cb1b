"""One window through `fourd-small`, stage by stage, for the bench."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from fourd_perception.evaluation.bench_stages import (
    BenchSettings,
    flow_pairs,
    random_images,
    Stage,
)
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.heads.residual_motion import OtherFrame
from fourd_perception.model.small.decoder import DecodedCells
from fourd_perception.model.small.network import (
    FourdSmall,
    FrameFeatures,
    Identifiers,
    TrunkFeatures,
)
import numpy as np
import torch


class SmallForward:
    """What `Forward` is for `Network`, with calibration, stamps and cameras known."""

    def __init__(self, network: FourdSmall, settings: BenchSettings, autocast: bool) -> None:
        self.network, self.autocast, self.views = network, autocast, settings.views
        height, width = settings.height, settings.width
        self.layout = CellLayout.of_grid(np.ones((settings.views, settings.times), bool), (0, 0))
        self.images = random_images(settings, next(network.parameters()).device)
        self.results: dict[str, torch.Tensor] = {}
        self._tables, self._plan = network.tables(height, width), network.plan(self.layout)
        device, count = self.images.device, len(self.layout)
        known = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
        self._intrinsics = known.to(device).expand(count, 3, 3)
        seconds = 0.1 * torch.tensor(self.layout.time_id, dtype=torch.float64)
        self._identifiers = Identifiers(
            self._intrinsics[None],
            network.camera_identities(self.layout),
            seconds[None].to(device),
        )

    def stages(self) -> Iterator[tuple[str, Stage, Stage]]:
        """Name, the stage for a whole window, and what is left of it for the next window."""
        newest = slice(-self.views, None)
        yield 'encode', partial(self._encode, slice(None)), partial(self._encode, newest)
        yield 'trunk', self._trunk, self._trunk
        yield 'cameras', self._cameras, self._cameras
        yield 'depth', partial(self._decode, slice(None)), partial(self._decode, newest)
        yield 'mask', partial(self._mask, slice(None)), partial(self._mask, newest)
        flow, pairs = self.network.flow_module, len(self.layout) - self.views
        if flow is not None and pairs:
            run = partial(flow_pairs, flow, self.images, self.views)
            yield 'flow', partial(run, pairs), partial(run, self.views)

    def _encode(self, cells: slice) -> None:
        with self._casting():
            frames = self.network.encode(self.images[:, cells], self._tables)
        if cells == slice(None):
            self._frames = FrameFeatures(*(part.float() for part in _parts(frames)))
            self._tokens = frames.tokens

    def _trunk(self) -> None:
        with self._casting():
            features = self.network.trunk(
                self._tokens, self._plan, self._tables, self._identifiers
            )
        self._features = TrunkFeatures(features.patches.float(), features.cameras.float())

    def _cameras(self) -> None:
        cameras = self.network.cameras(self._features, self._plan, self._identifiers)
        self.results['cameras'] = cameras.leader_from_camera

    def _decode(self, cells: slice) -> None:
        frames = FrameFeatures(*(part[:, cells] for part in _parts(self._frames)))
        decoded = self.network.decode(self._features, frames, cells)
        if cells == slice(None):
            self._decoded: DecodedCells = decoded
            self.results['depth'] = decoded.log_depth

    def _mask(self, cells: slice) -> None:
        """Masks beside frames that do not differ, which cost what any others do."""
        depth = self._decoded.log_depth[0, cells].exp()
        intrinsics = self._intrinsics[cells]
        still = torch.zeros_like(depth)[:, None]
        other = OtherFrame(
            still.expand(-1, 2, -1, -1),
            still,
            still.bool(),
            depth,
            intrinsics,
            torch.eye(4, device=depth.device).expand(len(depth), 4, 4),
        )
        self.network.mask_head(self._decoded.features[0, cells], depth, intrinsics, (other, other))

    def _casting(self) -> AbstractContextManager[object]:
        if not self.autocast:
            return nullcontext()
        return torch.autocast(self.images.device.type, torch.bfloat16)


def _parts(frames: FrameFeatures) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return frames.tokens, frames.eighth, frames.quarter
