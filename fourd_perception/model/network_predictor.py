"""The predictor around a network: grids in, answers by the conventions of `prediction`."""

from __future__ import annotations

from typing import Protocol

from fourd_perception.geometry.poses import invert, transform
from fourd_perception.model.cell_pairs import CellPairs, other_frames, posed_motions
from fourd_perception.model.cross_view import HiddenTokens, ObserveLayer
from fourd_perception.model.grid_cells import GridCells
from fourd_perception.model.grid_predictor import GridPredictor
from fourd_perception.model.network import Features, Network, SizeTables
from fourd_perception.model.pose_encoding import decode, pixel_centred
from fourd_perception.model.precision import default_precision, placed
from fourd_perception.model.prediction import Prediction, PredictorInfo
import numpy as np
import torch

# A field of view outside of these, radians, is no camera; only untrained networks see one.
FIELD_OF_VIEW = (0.02, 3.0)


class Watch(Protocol):
    """Looks on while the trunk runs, and may hide tokens from it."""

    def begin(
        self, cells: GridCells, patches: torch.Tensor, images: torch.Tensor
    ) -> tuple[HiddenTokens | None, ObserveLayer | None]:
        """What to hide and who observes, see `Network.trunk`, told before the trunk runs.

        patches: encoder features [S, N, C]; images [S, 3, H, W]
        """


class NetworkPredictor(GridPredictor):
    """Reads grids with a VGGT or 4D-VGGT."""

    def __init__(
        self,
        network: Network,
        name: str,
        licence: str,
        notice: str = '',
        sha256: str = '',
        device: str | torch.device = 'cpu',
        precision: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Take over `network` and put it on `device`.

        name, licence, notice, sha256: see `PredictorInfo`
        precision: `fp32`, or `bf16` for encoder and trunk; None: what suits the device
        watch: looks on in every window
        Raises ValueError for a network that gives no cameras or no depth, or whose mask head
        wants a flow that it does not give.
        """
        if network.config.camera is None or network.config.depth is None:
            raise ValueError(f'{name}: without cameras or depth; use weights that have both')
        if network.config.motion is not None and network.flow_module is None:
            raise ValueError(
                f'{name}: its mask head sees residual motion, but there is no flow module; use '
                'weights that have both'
            )
        device = torch.device(device)
        precision = precision or default_precision(device)
        has_mask = network.config.mask is not None or network.config.motion is not None
        info = PredictorInfo(
            name=name,
            patch=network.config.trunk.patch,
            licence=licence,
            notice=notice,
            sha256=sha256,
            parameters=sum(p.numel() for p in network.parameters()),
            has_mask=has_mask,
            has_flow=network.flow_module is not None,
            mask_source='mask head' if has_mask else '',
        )
        self._network = placed(network, device, precision)
        super().__init__(info, network.flow_module, device)
        self._autocast = precision == 'bf16'
        self._tables: SizeTables | None = None
        self._watch = watch

    def _read(self, cells: GridCells, images: torch.Tensor) -> Prediction:
        height, width = images.shape[2:]
        network, tables = self._network, self._tables_of(height, width)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            (patches,) = self._known.features(
                cells.keys, images, lambda new: (network.encode(new[None], tables)[0],)
            )
            hidden, observe = None, None
            if self._watch is not None:
                hidden, observe = self._watch.begin(cells, patches, images)
            features = network.trunk(patches[None], cells.layout, tables, hidden, observe)
        encodings = network.cameras(features)[-1][0].double().cpu()
        poses, intrinsics = _cameras(encodings, cells.layout.reference, height, width)
        flows = self._flows(cells, images)
        # Residual motion in the wanted cells looks at the depth of the ones before them.
        mapped = cells.dense if network.config.motion is None else cells.around
        depth, confidence = (maps[0] for maps in network.depth(features, tables, mapped))
        wanted = cells.dense.start - mapped.start
        if network.config.motion is None:
            mask = self._mask(cells, features, tables)
        else:
            seen = network.motion_features(features, tables, cells.dense)[0]
            pairs = self._around(cells, images, flows)
            k, where = (torch.from_numpy(n[cells.around]).to(depth) for n in (intrinsics, poses))
            mask = self._motion_mask(cells, pairs, seen, depth, k, where)
        return Prediction(
            depth=cells.maps(depth[wanted:], cells.dense),
            depth_confidence=cells.maps(confidence[wanted:], cells.dense),
            world_from_camera=cells.numbers(poses),
            intrinsics=cells.numbers(intrinsics),
            mask_logits=mask,
            **self._flow_maps(cells, images, flows),
        )

    def _mask(
        self, cells: GridCells, features: Features, tables: SizeTables
    ) -> torch.Tensor | None:
        if not self._info.has_mask:
            return None
        if len(cells.layout.instants) < 2:  # what moves shows between two instants
            nothing = torch.zeros(0, tables.height, tables.width)
            return cells.maps(nothing, slice(0, 0))
        logits = self._network.dense('mask_head', features, tables, cells.dense)
        return cells.maps(logits[0, :, 0], cells.dense)

    def _motion_mask(
        self,
        cells: GridCells,
        pairs: CellPairs,
        features: torch.Tensor,
        depth: torch.Tensor,
        intrinsics: torch.Tensor,
        poses: torch.Tensor,
    ) -> torch.Tensor:
        """Features of the wanted cells, all else of `cells.around`."""
        if len(cells.layout.instants) < 2:
            return cells.maps(depth[:0], slice(0, 0))
        wanted = cells.dense.start - cells.around.start
        motions = posed_motions(pairs, poses)
        others = other_frames(pairs, depth, intrinsics, motions, range(wanted, len(depth)))
        logits = self._network.motion_head(features, depth[wanted:], intrinsics[wanted:], others)
        return cells.maps(logits, cells.dense)

    def _tables_of(self, height: int, width: int) -> SizeTables:
        if self._tables is None or (self._tables.height, self._tables.width) != (height, width):
            self._tables = self._network.tables(height, width)
        return self._tables


def _cameras(
    encodings: torch.Tensor, reference: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """world_from_camera [S, 4, 4] and intrinsics [S, 3, 3] of encodings float64 [S, 9].

    The world is exactly the camera of the reference cell: the networks place theirs only near it.
    """
    encodings = torch.cat([encodings[:, :7], encodings[:, 7:].clamp(*FIELD_OF_VIEW)], dim=1)
    extrinsics, intrinsics = decode(encodings, height, width)
    matrices = extrinsics.numpy()
    camera_from_world = transform(matrices[:, :, :3], matrices[:, :, 3])
    world_from_camera = camera_from_world[reference] @ invert(camera_from_world)
    world_from_camera[reference] = np.eye(4)
    return world_from_camera, pixel_centred(intrinsics).numpy()
