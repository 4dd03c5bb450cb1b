"""Pixels with depth, and where the flow takes them: what a camera motion is solved from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Sightings:
    """B bodies with V cameras each, N pixels of every camera's image; all on one device.

    A body is what moves rigidly: a rig, or one camera alone (then its places are identities).

    pixels:  float32 [N, 2] (x, y), of images at one instant
    depth:   float32 [B, V, N] of them, along z; NaN unknown
    targets: float32 [B, V, N, 2], where their surface points are in the same camera's image at
             another instant; NaN unknown
    weights: float32 [B, V, N], 0..1: probability of standing still, of being seen at both
             instants, and of a flow to be relied on
    intrinsics, target_intrinsics: float32 [B, V, 3, 3] without skew, pixel (0, 0) centred at
             (0, 0), of the images of the pixels and of the targets
    body_from_camera, body_from_target: float32 [B, V, 4, 4], in the unit of the depth: the
             camera's place on the body at the instant of the pixels and at the other one
    shape:   rows and columns of the N pixels
    """

    pixels: torch.Tensor
    depth: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    intrinsics: torch.Tensor
    target_intrinsics: torch.Tensor
    body_from_camera: torch.Tensor
    body_from_target: torch.Tensor
    shape: tuple[int, int]


def thin_sightings(
    depth: torch.Tensor,
    flow: torch.Tensor,
    weights: torch.Tensor,
    intrinsics: torch.Tensor,
    target_intrinsics: torch.Tensor,
    places: tuple[torch.Tensor, torch.Tensor] | None = None,
    samples: int = 4096,
) -> Sightings:
    """Sightings of every so-many-th pixel of whole images, about `samples` of each.

    depth [B, V, H, W], flow [B, V, 2, H, W] in pixels, weights [B, V, H, W], intrinsics
    [B, V, 3, 3]; places: `body_from_camera` and `body_from_target`, identities when None.
    """
    batch, views, height, width = depth.shape
    stride = max(1, round((height * width / samples) ** 0.5))
    rows = torch.arange(stride // 2, height, stride, device=depth.device)
    columns = torch.arange(stride // 2, width, stride, device=depth.device)
    y, x = torch.meshgrid(rows.float(), columns.float(), indexing='ij')
    pixels = torch.stack([x, y], dim=-1).flatten(0, 1)

    def thin(maps: torch.Tensor) -> torch.Tensor:
        return maps[..., stride // 2 :: stride, stride // 2 :: stride].flatten(-2).float()

    if places is None:
        identity = torch.eye(4, device=depth.device).expand(batch, views, 4, 4)
        places = identity, identity
    return Sightings(
        pixels=pixels,
        depth=thin(depth),
        targets=pixels + thin(flow).transpose(-1, -2),
        weights=thin(weights),
        intrinsics=intrinsics.float(),
        target_intrinsics=target_intrinsics.float(),
        body_from_camera=places[0].float(),
        body_from_target=places[1].float(),
        shape=(len(rows), len(columns)),
    )


def on_one_body(
    sightings: Sightings,
    views: list[int],
    body_from_camera: np.ndarray,
    body_from_target: np.ndarray,
) -> Sightings:
    """The sightings of some single cameras [V, 1, N] as those of one body [1, n, N].

    body_from_camera, body_from_target: float64 [n, 4, 4]
    """

    def chosen(values: torch.Tensor) -> torch.Tensor:
        return values[views, 0][None]

    return Sightings(
        pixels=sightings.pixels,
        depth=chosen(sightings.depth),
        targets=chosen(sightings.targets),
        weights=chosen(sightings.weights),
        intrinsics=chosen(sightings.intrinsics),
        target_intrinsics=chosen(sightings.target_intrinsics),
        body_from_camera=torch.from_numpy(body_from_camera)[None].to(sightings.depth),
        body_from_target=torch.from_numpy(body_from_target)[None].to(sightings.depth),
        shape=sightings.shape,
    )
