"""Losses of cameras, depth and points of the VGGT family (vggt A.13, 4D-VGGT B.8)."""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.training.depth_loss import gradient_loss, masked_mean
import torch

DECAY = 0.6
FIELD_OF_VIEW = 0.5
# Of errors and of single terms: whatever lies above is a blunder of the data.
CLAMP = 100.0
KEPT, KEPT_FROM = 0.98, 1000
LEAST_PIXELS = 100
GAMMA, ALPHA = 1.0, 0.2
NORMAL_STRIDES = (1, 2, 4)


def camera_loss(
    encodings: Sequence[torch.Tensor], truth: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """L1 loss [n] of every refinement [n, S, 9], the last with weight 1, each before with .6.

    truth:  [n, S, 9], NaN where unknown
    counts: bool [n], clips whose reference shows enough to fix the scale
    """
    known = truth.isfinite() & counts[:, None, None]
    aim = torch.where(known, truth, 0)
    total = truth.new_zeros(len(truth))
    for age, encoding in enumerate(reversed(encodings)):
        error = (encoding - aim).abs()
        translation, rotation, field = (
            masked_mean(part, which)
            for part, which in zip(error.split([3, 4, 2], -1), known.split([3, 4, 2], -1))
        )
        one = translation.clamp(max=CLAMP) + rotation + FIELD_OF_VIEW * field
        total = total + DECAY**age * one
    return total / len(encodings)


def map_loss(
    predicted: torch.Tensor, confidence: torch.Tensor, truth: torch.Tensor
) -> torch.Tensor:
    """Loss [n] of maps [n, F, H, W, C] with their confidence [n, F, H, W] >= 1.

    e c - .2 log c and e, e the length of the error, each without its greatest 2 % in every clip;
    NaN truth is unknown. 0 for clips of fewer than 100 known pixels.
    """
    valid = enough(truth.isfinite().all(-1))
    difference = predicted - torch.where(valid[..., None], truth, predicted.detach())
    # A length has no gradient at zero.
    error = (difference.square().sum(-1) + 1e-12).sqrt()
    weighted = GAMMA * error * confidence - ALPHA * confidence.log()
    return _trimmed_mean(weighted, valid) + _trimmed_mean(error, valid)


def depth_gradient_loss(depth: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Differences of the error between neighbours [n], of depth [n, F, H, W] (A.13 "grad")."""
    return gradient_loss(depth, truth, enough(truth.isfinite()))


def normal_loss(points: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - cosine [n] between normals of predicted and true points [n, F, H, W, 3], three strides.

    Four normals a pixel, of its neighbours above, left, below and right, two by two.
    """
    total = points.new_zeros(len(points))
    for stride in NORMAL_STRIDES:
        own, known = _normals(points[:, :, ::stride, ::stride])
        aim, valid = _normals(truth[:, :, ::stride, ::stride])
        cosine = (own * aim.nan_to_num(0.0)).sum(-1)
        total = total + masked_mean(1 - cosine, valid & known)
    return total / len(NORMAL_STRIDES)


def enough(valid: torch.Tensor) -> torch.Tensor:
    """The valid pixels [n, ...] of clips that have at least a hundred."""
    count = valid.flatten(1).sum(1)
    return valid & (count >= LEAST_PIXELS).view(-1, *([1] * (valid.ndim - 1)))


def _trimmed_mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean [n] of the valid values, at most 100, without those above each clip's quantile."""
    values = values.clamp(max=CLAMP)
    sorted_values = torch.where(valid, values, torch.inf).detach().flatten(1).sort(dim=1).values
    count = valid.flatten(1).sum(1)
    place = (KEPT * (count - 1)).ceil().long().clamp(min=0)
    limit = sorted_values.gather(1, place[:, None])[:, 0]
    limit = torch.where(count > KEPT_FROM, limit, torch.inf)
    return masked_mean(values, valid & (values <= limit.view(-1, *([1] * (values.ndim - 1)))))


def _normals(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit normals [..., 4, H - 2, W - 2, 3] of points [..., H, W, 3], and which there are."""
    centre = points[..., 1:-1, 1:-1, :]
    up = points[..., :-2, 1:-1, :] - centre
    left = points[..., 1:-1, :-2, :] - centre
    down = points[..., 2:, 1:-1, :] - centre
    right = points[..., 1:-1, 2:, :] - centre
    pairs = ((up, left), (left, down), (down, right), (right, up))
    normals = torch.stack([torch.linalg.cross(a, b) for a, b in pairs], dim=-4)
    length = (normals.square().sum(-1, keepdim=True) + 1e-24).sqrt()
    return normals / length, normals.isfinite().all(-1) & (length[..., 0] > 1e-10)
