"""A network whose masks come from its own attention, window after window (VGGT4D C.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fourd_perception.geometry.poses import invert
from fourd_perception.model.cross_view import HiddenTokens, ObserveLayer
from fourd_perception.model.grid_cells import GridCells
from fourd_perception.model.known_cells import CellKey
from fourd_perception.model.network import Network
from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.prediction import GridTensors, Prediction, Predictor, PredictorInfo
from fourd_perception.model.presets import NetworkConfig
from fourd_perception.motion.coarse_mask import enlarge
from fourd_perception.motion.cues import cue_bands, CueAccumulator, masked_pairs
from fourd_perception.motion.image_flow import image_flow
from fourd_perception.motion.live import LiveMask, LiveMasks, Observation
from fourd_perception.motion.residual_flow import ego_flow, per_token
from fourd_perception.motion.windows import cue_windows
import numpy as np
import torch

MASKS = ('auto', 'head', 'motion_cues', 'both')
STEEPNESS = 12.0  # logits from a token that surely is still to one that surely moves


def mask_source(masks: str, config: NetworkConfig) -> str:
    """`head`, `motion_cues` or `both` for what `masks` asks for; empty where there is no source.

    `auto` takes a head if there is one, else cues. Raises ValueError for other words, and for what
    these weights cannot give.
    """
    if masks not in MASKS:
        raise ValueError(f'masks {masks!r} is not one of {", ".join(MASKS)}')
    has_head = config.mask is not None or config.motion is not None
    # Cues compare instants, so attention must reach from one to the other.
    has_cues = config.trunk.spatial_mask == 'none'
    if masks == 'auto':
        return 'head' if has_head else 'motion_cues' if has_cues else ''
    if masks != 'motion_cues' and not has_head:
        raise ValueError(
            f'masks {masks!r}: these weights have no mask head; set masks to motion_cues or auto'
        )
    if masks != 'head' and not has_cues:
        raise ValueError(
            f'masks {masks!r}: the attention of these weights stays within one instant '
            f'(spatial_mask {config.trunk.spatial_mask}); set masks to auto'
        )
    return masks


def network_predictor(network: Network, masks: str = 'auto', **options: Any) -> Predictor:
    """The predictor around a network with masks from where `masks` says, see `mask_source`.

    options: of `NetworkPredictor`
    """
    source = mask_source(masks, network.config)
    if source in ('head', ''):
        return NetworkPredictor(network, **options)
    watch = MotionWatch(network)
    return MotionCuePredictor(NetworkPredictor(network, watch=watch, **options), watch, source)


class MotionWatch:
    """Cues of the window that a network is reading, and what to hide from it."""

    def __init__(self, network: Network) -> None:
        self._trunk = network.config.trunk
        self.masks = LiveMasks()
        self.cells: GridCells | None = None
        self.cues: CueAccumulator | None = None
        self.images: torch.Tensor | None = None
        self.features: torch.Tensor | None = None

    def begin(
        self, cells: GridCells, patches: torch.Tensor, images: torch.Tensor
    ) -> tuple[HiddenTokens | None, ObserveLayer | None]:
        """See `model.network_predictor.Watch`."""
        trunk = self._trunk
        height, width = images.shape[-2:]
        grid = height // trunk.patch, width // trunk.patch
        self.cells, self.images = cells, images
        self.features = patches.float().unflatten(1, grid)
        windows = cue_windows(cells.layout)
        self.cues = CueAccumulator(cue_bands(trunk.depth), windows, grid, 1 + trunk.registers)
        tokens = self.masks.hidden(cells.keys, grid)
        if tokens is None:
            return None, self.cues
        return HiddenTokens(tokens.flatten(1)[None], masked_pairs(trunk.depth)), self.cues


class MotionCuePredictor:
    """A `NetworkPredictor` whose masks are found by its own attention, or by both.

    predictor: made with `watch`
    source:    `motion_cues`; or `both`: what either the mask head or the cues call dynamic
    """

    def __init__(self, predictor: NetworkPredictor, watch: MotionWatch, source: str) -> None:
        self._predictor, self._watch, self._source = predictor, watch, source
        self._flows: dict[tuple[CellKey, CellKey], torch.Tensor] = {}

    @property
    def info(self) -> PredictorInfo:
        """As of the network, with masks."""
        words = {'motion_cues': 'motion cues', 'both': 'mask head and motion cues'}[self._source]
        return replace(self._predictor.info, has_mask=True, mask_source=words)

    @torch.no_grad()
    def predict(self, grid: GridTensors) -> Prediction:
        """Read the grid; errors as of `NetworkPredictor`."""
        prediction = self._predictor.predict(grid)
        watch = self._watch
        assert watch.cells is not None and watch.cues is not None and watch.features is not None
        residual, backward = self._residual(prediction)
        cells = watch.cells
        mask = watch.masks.step(
            Observation(
                keys=cells.keys,
                layout=cells.layout,
                cues=watch.cues.maps(),
                features=watch.features,
                residual=residual,
                backward=backward,
            )
        )
        logits = cells.maps(_logits(mask, *grid.images.shape[-2:]), slice(None))
        if self._source == 'both' and prediction.mask_logits is not None:
            logits = torch.fmax(logits, prediction.mask_logits)
        return replace(prediction, mask_logits=logits)

    def _residual(self, prediction: Prediction) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual flow [S, h, w] in pixels and backward flow [S, 2, h, w] in tokens.

        Of every cell to the ones before and after it in its view; NaN where there are none.
        """
        cells, features = self._watch.cells, self._watch.features
        assert cells is not None and features is not None
        shape, patch = features.shape[:3], self._predictor.info.patch
        residual = features.new_full(shape, torch.nan)
        backward = features.new_full((shape[0], 2, *shape[1:]), torch.nan)
        self._flows = {
            pair: flow
            for pair, flow in self._flows.items()
            if pair[0] in cells.keys and pair[1] in cells.keys
        }
        for older, newer in cells.pairs:
            for cell, other in ((newer, older), (older, newer)):
                flow = self._flow(cell, other, prediction)
                beside = flow - self._ego_flow(cell, other, prediction)
                residual[cell] = torch.fmax(residual[cell], per_token(beside.norm(dim=0), patch))
                if cell == newer:
                    backward[cell] = per_token(flow, patch) / patch
        return residual, backward

    def _flow(self, cell: int, other: int, prediction: Prediction) -> torch.Tensor:
        """Flow [2, H, W] of the network, else of the pictures."""
        cells, images = self._watch.cells, self._watch.images
        assert cells is not None and images is not None
        view, time = cells.layout.view_id[cell], cells.layout.time_id[cell]
        forward = cells.layout.time_id[other] > time
        given = prediction.flow_forward if forward else prediction.flow_backward
        if given is not None:
            return given[view, time].to(images.device)
        pair = cells.keys[cell], cells.keys[other]
        if pair not in self._flows:
            self._flows[pair] = image_flow(images[cell], images[other])
        return self._flows[pair]

    def _ego_flow(self, cell: int, other: int, prediction: Prediction) -> torch.Tensor:
        """Flow [2, H, W] that the cameras and the depth of the cell explain."""
        cells, images = self._watch.cells, self._watch.images
        assert cells is not None and images is not None
        here, there = ((cells.layout.view_id[i], cells.layout.time_id[i]) for i in (cell, other))
        poses, intrinsics = prediction.world_from_camera, prediction.intrinsics
        other_from_camera = invert(poses[there]) @ poses[here]
        matrices = [
            torch.from_numpy(np.asarray(m, np.float32))[None].to(images.device)
            for m in (intrinsics[here], intrinsics[there], other_from_camera)
        ]
        depth = prediction.depth[here].to(images.device)
        return ego_flow(depth[None], *matrices)[0]


def _logits(mask: LiveMask, height: int, width: int) -> torch.Tensor:
    """[S, H, W], > 0 where something moves; NaN in cells that nothing was compared with."""
    large = enlarge(mask.moving.float(), height, width)
    logits = STEEPNESS * (large - 0.5)
    return torch.where(mask.known[:, None, None], logits, torch.nan)
