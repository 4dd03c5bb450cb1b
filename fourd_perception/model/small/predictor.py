"""The predictor around `fourd-small`: grids in, answers by the conventions of `prediction`."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert, nearest_rotation
from fourd_perception.model.cell_pairs import posed_motions, solved_motions
from fourd_perception.model.grid_cells import GridCells
from fourd_perception.model.grid_predictor import GridPredictor
from fourd_perception.model.precision import default_precision, placed
from fourd_perception.model.prediction import Prediction, PredictorInfo
from fourd_perception.model.small.camera import compose, used_intrinsics
from fourd_perception.model.small.config import PATCH
from fourd_perception.model.small.moving import CellDepths, moving
from fourd_perception.model.small.network import (
    FourdSmall,
    FrameFeatures,
    Identifiers,
    SmallTables,
    TrunkFeatures,
)
import numpy as np
import torch

NANOSECONDS = 1e-9


class SmallPredictor(GridPredictor):
    """Reads grids with a `FourdSmall`, which is told calibration, stamps and cameras as well."""

    def __init__(
        self,
        network: FourdSmall,
        name: str,
        licence: str,
        notice: str = '',
        sha256: str = '',
        device: str | torch.device = 'cpu',
        precision: str | None = None,
    ) -> None:
        """Take over `network` and put it on `device`.

        name, licence, notice, sha256: see `PredictorInfo`
        precision: `fp32`, or `bf16` for encoder and trunk; None: what suits the device
        """
        device = torch.device(device)
        precision = precision or default_precision(device)
        info = PredictorInfo(
            name=name,
            patch=PATCH,
            licence=licence,
            notice=notice,
            sha256=sha256,
            parameters=sum(p.numel() for p in network.parameters()),
            has_flow=network.flow_module is not None,
            mask_source='mask head',
            pose='head' if network.flow_module is None else 'solved',
        )
        self._network = placed(network, device, precision)
        super().__init__(info, network.flow_module, device)
        self._autocast = precision == 'bf16'
        self._tables: SmallTables | None = None

    def _read(self, cells: GridCells, images: torch.Tensor) -> Prediction:
        height, width = images.shape[2:]
        network, tables = self._network, self._tables_of(height, width)
        identifiers, plan = self._identifiers(cells), network.plan(cells.layout)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            tokens, eighth, quarter = self._known.features(
                cells.keys, images, lambda new: _parts(network.encode(new[None], tables))
            )
            features = network.trunk(tokens[None], plan, tables, identifiers)
        features = TrunkFeatures(features.patches.float(), features.cameras.float())
        cameras = network.cameras(features, plan, identifiers)
        poses = _world_from_camera(compose(cameras, plan)[0], cells.layout.reference)
        used = used_intrinsics(identifiers.intrinsics, cameras.field_of_view, height, width)[0]
        # The wanted cells are seen beside the ones before them.
        around = FrameFeatures(
            *(part[None, cells.around].float() for part in (tokens, eighth, quarter))
        )
        decoded = network.decode(features, around, cells.around)
        flows = self._flows(cells, images)
        said = CellDepths(
            decoded.log_depth[0], decoded.log_sigma[0], decoded.features[0], used[cells.around]
        )
        pairs = self._around(cells, images, flows)
        motions = solved_motions(
            pairs,
            said.log_depth.exp(),
            said.intrinsics,
            posed_motions(pairs, torch.from_numpy(poses[cells.around]).to(self._device)),
        )
        wanted = range(cells.dense.start - cells.around.start, len(said.log_depth))
        logits, log_depth, log_sigma = moving(network, said, pairs, motions, wanted)
        alone = len(cells.layout.instants) < 2  # what moves shows between two instants
        return Prediction(
            depth=cells.maps(log_depth.exp(), cells.dense),
            # The reciprocal of the expected error, so that 1 - 1 / confidence = 1 / (1 + error).
            depth_confidence=cells.maps(1 + log_sigma.neg().exp(), cells.dense),
            world_from_camera=cells.numbers(poses),
            intrinsics=cells.numbers(used.double().cpu().numpy()),
            mask_logits=cells.maps(logits * torch.nan if alone else logits, cells.dense),
            **self._flow_maps(cells, images, flows),
        )

    def _identifiers(self, cells: GridCells) -> Identifiers:
        stamps = np.array([stamp for _, stamp in cells.keys])
        seconds = NANOSECONDS * (stamps - stamps.min()).astype(float)
        return Identifiers(
            torch.from_numpy(cells.intrinsics())[None].to(self._device, torch.float32),
            self._network.camera_identities(cells.layout),
            torch.from_numpy(seconds)[None].to(self._device),
        )

    def _tables_of(self, height: int, width: int) -> SmallTables:
        if self._tables is None or (self._tables.height, self._tables.width) != (height, width):
            self._tables = self._network.tables(height, width)
        return self._tables


def _parts(frames: FrameFeatures) -> tuple[torch.Tensor, ...]:
    return frames.tokens[0], frames.eighth[0], frames.quarter[0]


def _world_from_camera(poses: torch.Tensor, reference: int) -> np.ndarray:
    """Poses float64 [S, 4, 4] in the camera of the reference cell, rigid to the last digits."""
    any_from_camera = poses.double().cpu().numpy()
    any_from_camera[:, :3, :3] = nearest_rotation(any_from_camera[:, :3, :3])
    world_from_camera = invert(any_from_camera[reference]) @ any_from_camera
    world_from_camera[reference] = np.eye(4)
    return world_from_camera
