"""VGGT4D on a clip in one call: cues, mask, masked second pass, refinement (C.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fourd_perception.model import pose_encoding
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cross_view import HiddenTokens
from fourd_perception.model.network import Features, Network, SizeTables
from fourd_perception.motion.coarse_mask import coarse_mask, CoarseMask, token_mask
from fourd_perception.motion.cues import (
    cue_bands,
    CueAccumulator,
    CueMaps,
    dynamic_map,
    masked_pairs,
)
from fourd_perception.motion.otsu import CLASS_COUNTS
from fourd_perception.motion.refine_paper import refine_paper
from fourd_perception.motion.refine_released import refine_released, refine_robust
from fourd_perception.motion.refinement_clip import RefinementClip
from fourd_perception.motion.windows import cue_windows, PAPER_OFFSETS, RELEASED_OFFSETS
import torch

Variant = Literal['released', 'paper', 'robust']

REFINE: dict[str, Callable[[RefinementClip], torch.Tensor]] = {
    'released': refine_released,
    'paper': refine_paper,
    'robust': refine_robust,
}


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is treated; the defaults are the release's.

    variant:         `released`; `robust`, another refinement; `paper`: cues with variances and the
                     whole deep band, a threshold by Otsu of two classes, its refinement (C.9)
    offsets:         of the cue window, in time steps; None: the variant's
    mask_for_stage2: `coarse`; or `refined`: with the poses of the first pass, and again with those
                     of the second; None: refined in the paper, else coarse
    depth_source:    `pass1`; or `fused`: depth of the masked pass joins in where nothing moves
    """

    variant: Variant = 'released'
    offsets: tuple[int, ...] | None = None
    mask_for_stage2: Literal['coarse', 'refined'] | None = None
    depth_source: Literal['pass1', 'fused'] = 'pass1'

    def __post_init__(self) -> None:
        for name, known in (
            ('variant', tuple(REFINE)),
            ('mask_for_stage2', (None, 'coarse', 'refined')),
            ('depth_source', ('pass1', 'fused')),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f'{name} {getattr(self, name)!r}; use one of {known}')


@dataclass(frozen=True, eq=False)
class Cameras:
    """Poses and intrinsics of S frames.

    camera_from_world: float32 [S, 3, 4]
    world_from_camera: float64 [S, 4, 4]
    intrinsics: float32 [S, 3, 3], principal point at (W/2, H/2)
    """

    camera_from_world: torch.Tensor
    world_from_camera: torch.Tensor
    intrinsics: torch.Tensor


@dataclass(frozen=True, eq=False)
class ClipMotion:
    """What moves in a clip, and the geometry without it.

    depth, confidence: float32 [S, H, W]
    cameras:  poses of the masked pass, intrinsics of the unmasked one
    cues:     the five maps as the network gave them
    dynamic:  float32 [S, h, w], their published combination, 0..1
    coarse:   see `CoarseMask`
    mask:     bool [S, H, W], refined
    """

    depth: torch.Tensor
    confidence: torch.Tensor
    cameras: Cameras
    cues: CueMaps
    dynamic: torch.Tensor
    coarse: CoarseMask
    mask: torch.Tensor


def decode_cameras(encoding: torch.Tensor, height: int, width: int) -> Cameras:
    """Cameras of pose encodings [S, 9]."""
    extrinsics, intrinsics = pose_encoding.decode(encoding.float(), height, width)
    wide = extrinsics.double()
    rotation = wide[:, :, :3].transpose(1, 2)
    world = torch.eye(4, dtype=torch.float64, device=encoding.device).repeat(len(wide), 1, 1)
    world[:, :3, :3] = rotation
    world[:, :3, 3:] = -rotation @ wide[:, :, 3:]
    return Cameras(extrinsics, world, intrinsics)


@torch.no_grad()
def clip_motion(
    network: Network,
    images: torch.Tensor,
    layout: CellLayout | None = None,
    settings: ClipSettings | None = None,
) -> ClipMotion:
    """Masks, poses and depth of a clip [S, 3, H, W] in 0..1, RGB.

    layout: view and time of every frame; one camera's video by default

    Raises ValueError for pixels that are not finite, and for a network without camera or depth
    head, or whose global attention stays within one instant.
    """
    _check(network, images)
    settings = settings or ClipSettings()
    layout = layout or CellLayout.sequence(len(images))
    height, width = images.shape[-2:]
    tables = network.tables(height, width)
    patches = network.encode(images[None], tables)
    trunk = network.config.trunk
    grid = (height // trunk.patch, width // trunk.patch)
    paper = settings.variant == 'paper'
    offsets = settings.offsets
    if offsets is None:
        offsets = PAPER_OFFSETS if paper else RELEASED_OFFSETS
    windows = cue_windows(layout, offsets)
    cues = CueAccumulator(cue_bands(trunk.depth, paper), windows, grid, 1 + trunk.registers)
    features = network.trunk(patches, layout, tables, observe=cues)
    first = decode_cameras(network.cameras(features)[-1][0], height, width)
    depth, confidence = (x[0] for x in network.depth(features, tables))
    del features
    maps = cues.maps()
    dynamic = dynamic_map(maps.with_variances() if paper else maps)
    classes = (2,) if paper else CLASS_COUNTS
    encoded = patches[0].unflatten(1, grid)
    coarse = coarse_mask(dynamic, encoded, height, width, classes=classes)

    def refined(cameras: Cameras) -> torch.Tensor:
        clip = RefinementClip(
            images,
            depth,
            coarse.mask,
            cameras.world_from_camera,
            first.intrinsics.double(),
            layout,
            confidence,
        )
        return REFINE[settings.variant](clip)

    masking = settings.mask_for_stage2 or ('refined' if paper else 'coarse')
    mask = refined(first) if masking == 'refined' else coarse.mask
    second = _masked_pass(network, patches, layout, tables, mask)
    encoding = network.cameras(second)[-1][0]
    poses = decode_cameras(encoding, height, width)
    mask = refined(poses)
    if settings.depth_source == 'fused':
        other, trust = (x[0] for x in network.depth(second, tables))
        depth, confidence = fuse_depth(depth, confidence, other, trust, mask)
    cameras = Cameras(poses.camera_from_world, poses.world_from_camera, first.intrinsics)
    return ClipMotion(depth, confidence, cameras, maps, dynamic, coarse, mask)


def _check(network: Network, images: torch.Tensor) -> None:
    config = network.config
    if config.camera is None or config.depth is None or config.trunk.spatial_mask != 'none':
        raise ValueError(
            'clips need a network with camera and depth heads whose attention reaches all instants'
        )
    broken = (~images.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    if broken:
        raise ValueError(
            f'{len(broken)} of {len(images)} images hold pixels that are not finite, the first is '
            f'image {broken[0]}; a network reads RGB in 0..1'
        )


def _masked_pass(
    network: Network,
    patches: torch.Tensor,
    layout: CellLayout,
    tables: SizeTables,
    mask: torch.Tensor,
) -> Features:
    tokens = token_mask(mask, network.config.trunk.patch).flatten(1)[None]
    hidden = HiddenTokens(tokens, masked_pairs(network.config.trunk.depth))
    return network.trunk(patches, layout, tables, hidden)


def fuse_depth(
    depth: torch.Tensor,
    confidence: torch.Tensor,
    other: torch.Tensor,
    trust: torch.Tensor,
    dynamic: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Static pixels by inverse variance of the two passes, dynamic ones from the first (C.11).

    The passes may differ in scale, so the other is first brought to the first by the median ratio
    over static pixels. A confidence c stands for a standard deviation of 1 / c. All [S, H, W].
    """
    still = ~dynamic
    if not still.any():
        return depth, confidence
    other = other * (depth[still] / other[still]).median()
    a, b = confidence.square(), trust.square()
    fused = (a * depth + b * other) / (a + b)
    return (
        torch.where(still, fused, depth),
        torch.where(still, (a + b).sqrt(), confidence),
    )
