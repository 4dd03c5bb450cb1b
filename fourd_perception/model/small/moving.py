"""What moves, and depth from parallax, by the motion of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.model.cell_pairs import (
    CellPairs,
    other_frames,
    PairMotions,
    parallaxes,
    with_parallax,
)
from fourd_perception.model.small.network import FourdSmall
import torch


@dataclass(frozen=True, eq=False)
class CellDepths:
    """What the decoder says of N cells.

    log_depth, log_sigma: float32 [N, H, W]
    features:   [N, C, h, w]
    intrinsics: [N, 3, 3]
    """

    log_depth: torch.Tensor
    log_sigma: torch.Tensor
    features: torch.Tensor
    intrinsics: torch.Tensor


def moving(
    network: FourdSmall,
    said: CellDepths,
    pairs: CellPairs,
    motions: PairMotions,
    cells: Sequence[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mask logits, log-depth and log-sigma [n, H, W] of some of the cells.

    Motion gives parallax, and parallax better depth, beside which the flow shows what moves; of
    that, parallax says nothing. Gradients reach the mask head and the decoder's features.
    """
    wanted, config = list(cells), network.config
    expected = said.log_depth.detach(), said.log_sigma.detach()
    k = said.intrinsics.detach()
    depth = expected[0].exp()
    seen, joined = None, expected[0]
    if config.parallax:
        seen, motions = parallaxes(pairs, depth, k, motions)
        joined = with_parallax(*expected, pairs, seen)[0]
    others = (
        other_frames(pairs, joined.exp(), k, motions, wanted)
        if config.residual_motion
        else (None, None)
    )
    logits = network.mask_head(said.features[wanted], joined[wanted].exp(), k[wanted], others)
    if seen is None:
        return logits, expected[0][wanted], expected[1][wanted]
    still = torch.ones_like(depth)
    still[wanted] = torch.sigmoid(-logits.detach())
    log_depth, log_sigma = with_parallax(*expected, pairs, seen, still)
    return logits, log_depth[wanted], log_sigma[wanted]
