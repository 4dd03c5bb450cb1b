"""What tracked points are punished for (vggt A.13), and which points are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.geometry.clips import Clips
from fourd_perception.geometry.track_pixels import track_pixels
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.training.depth_loss import masked_mean
import torch
import torch.nn.functional as F

DECAY = 0.8
# Pixels within which a track is to call itself right.
RIGHT = 3.0


@dataclass(frozen=True, eq=False)
class TrackTruth:
    """Where points of the reference cell are in all cells.

    pixels:  [n, S, Q, 2] (x, y)
    visible: bool [n, S, Q]
    known:   bool [n, Q]: whether there is such a point, seen in the reference cell
    """

    pixels: torch.Tensor
    visible: torch.Tensor
    known: torch.Tensor

    def queries(self, reference: int) -> torch.Tensor:
        """Pixels [n, Q, 2] in the reference cell; the image's corner where no point is known."""
        return torch.where(self.known[..., None], self.pixels[:, reference], 0.0)


def track_truth(clips: Clips, layout: CellLayout, queries: int) -> TrackTruth:
    """The first so many points of each clip that are seen in the reference cell."""
    view, time = list(layout.view_id), list(layout.time_id)
    points = clips.track_points[:, time]  # [n, S, N, 3]
    visible = clips.track_visible[:, view, time]
    pose, k = clips.world_from_camera[:, view, time], clips.intrinsics[:, view, time]
    pixels = track_pixels(points, pose, k)
    visible = visible & pixels.isfinite().all(-1)
    # Points that are seen come first; their order is kept.
    seen = visible[:, layout.reference]
    chosen = seen.int().argsort(dim=1, descending=True, stable=True)[:, :queries]
    where = chosen[:, None].expand(-1, len(layout), -1)
    return TrackTruth(
        pixels.gather(2, where[..., None].expand(-1, -1, -1, 2)),
        visible.gather(2, where),
        seen.gather(1, chosen),
    )


def track_loss(
    tracks: Sequence[torch.Tensor],
    visibility: torch.Tensor,
    confidence: torch.Tensor,
    truth: TrackTruth,
) -> torch.Tensor:
    """Loss [n] of all refinements of the tracks [n, S, Q, 2], of visibility and of confidence.

    visibility, confidence: [n, S, Q] in 0..1. Places count where the point is visible; a
    confident one is within 3 px there. 0 for clips without known points.
    """
    known = truth.known[:, None].expand_as(truth.visible)
    judged = known & truth.visible
    aim = torch.where(judged[..., None], truth.pixels, 0.0)
    total = visibility.new_zeros(len(visibility))
    for age, track in enumerate(reversed(tracks)):
        total = total + DECAY**age * masked_mean((track - aim).abs().mean(-1), judged)
    error = (tracks[-1].detach() - aim).norm(dim=-1)
    seen = F.binary_cross_entropy(visibility, truth.visible.float(), reduction='none')
    right = F.binary_cross_entropy(confidence, (error < RIGHT).float(), reduction='none')
    return total + masked_mean(seen, known) + masked_mean(right, judged)
