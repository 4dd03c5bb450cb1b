"""Every term of the loss of a VGGT or 4D-VGGT (4D-VGGT B.8, vggt A.13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
import contextlib

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Features, Network, SizeTables
from fourd_perception.training.cells import Cells, cells_of
from fourd_perception.training.focus import Focus
from fourd_perception.training.focus_flow import flow_terms, focus_flows
from fourd_perception.training.mask_loss import mask_loss
from fourd_perception.training.network_losses import (
    camera_loss,
    depth_gradient_loss,
    enough,
    map_loss,
    normal_loss,
)
from fourd_perception.training.network_truth import network_truth, NetworkTruth
from fourd_perception.training.track_loss import track_loss, track_truth
import torch


def big_terms(
    network: Network,
    clips: Clips,
    layout: CellLayout,
    heads: Collection[str],
    focus: Focus,
    queries: int,
    frozen: bool = False,
) -> Mapping[str, torch.Tensor]:
    """Terms of these heads by name, without their weights, each [n]; other heads do not run.

    clips:  of the layout
    focus:  the cells whose maps are asked for, and their pairs for the flow
    frozen: encoder and trunk keep no gradients
    """
    cells = cells_of(clips, layout)
    images = cells.images.float() / 255
    height, width = images.shape[-2:]
    tables = network.tables(height, width)
    terms: dict[str, torch.Tensor] = {}
    if 'flow' in heads:
        flows = focus_flows(network.flow_module, images, focus)
        with torch.autocast(images.device.type, enabled=False):
            terms |= flow_terms(flows, cells, focus)
    if not set(heads) - {'flow'}:
        return terms
    with torch.no_grad() if frozen else contextlib.nullcontext():
        features = network.trunk(network.encode(images, tables), layout, tables)
    with torch.autocast(images.device.type, enabled=False):
        features = in_float(features)
        truth = network_truth(clips, layout)
        if 'camera' in heads:
            counts = enough(truth.points[:, layout.reference].isfinite().all(-1)).flatten(1).any(1)
            terms['camera'] = camera_loss(network.cameras(features), truth.encodings, counts)
        terms |= _maps(network, features, tables, truth, cells, heads, list(focus.cells))
        if 'tracks' in heads:
            aim = track_truth(clips, layout, queries)
            found = network.tracks(
                features, tables, aim.queries(layout.reference), layout.reference
            )
            terms['tracks'] = track_loss(*found, aim)
    return terms


def in_float(features: Features) -> Features:
    """The features as the heads read them, whatever autocast has made of them."""

    def floats(taps: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        return {i: tap.float() for i, tap in taps.items()}

    return Features(
        features.tokens.float(),
        floats(features.spatial),
        None if features.temporal is None else floats(features.temporal),
        floats(features.fused),
    )


def _maps(
    network: Network,
    features: Features,
    tables: SizeTables,
    truth: NetworkTruth,
    cells: Cells,
    heads: Collection[str],
    chosen: list[int],
) -> dict[str, torch.Tensor]:
    """Terms of depth, points and mask."""
    terms = {}
    if 'depth' in heads:
        depth, confidence = network.depth(features, tables, chosen)
        aim = truth.depth[:, chosen]
        terms['depth'] = map_loss(depth[..., None], confidence, aim[..., None])
        terms['depth'] = terms['depth'] + depth_gradient_loss(depth, aim)
    if 'points' in heads:
        points, confidence = network.points(features, tables, chosen)
        aim = truth.points[:, chosen]
        terms['points'] = map_loss(points, confidence, aim) + normal_loss(points, aim)
    if 'mask' in heads:
        logits = network.dense('mask_head', features, tables, chosen)[:, :, 0]
        terms['mask'] = mask_loss(logits, cells.dynamic[:, chosen])
    return terms
