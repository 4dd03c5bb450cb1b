"""Narrow variants of `fourd-small` with random weights everywhere, and clips to feed them."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.camera import Cameras
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.small.network import FourdSmall, Identifiers, TrunkFeatures
import torch
from torch import nn

HEIGHT, WIDTH = 32, 48
NARROW = SmallConfig(
    dim=32,
    heads=2,
    stem=(8, 8, 16),
    encoder_depth=1,
    pairs=2,
    temporal_depth=2,
    camera_depth=2,
    decoder=(16, 8),
    mask=8,
)


def network(seed: int = 0, **changes: object) -> FourdSmall:
    """A narrow network in which nothing is zero: initial zeros would hide mistakes."""
    torch.manual_seed(seed)
    model = FourdSmall(replace(NARROW, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            spread = 1.0 / fan_in**0.5 if parameter.ndim > 1 else 0.3
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def layout(views: int, times: int, missing: tuple[tuple[int, int], ...] = ()) -> CellLayout:
    """All cells of a grid but the missing (view, time) ones; views may be empty."""
    cells = [(v, t) for t in range(times) for v in range(views) if (v, t) not in missing]
    return CellLayout(tuple(v for v, _ in cells), tuple(t for _, t in cells))


def clip(cells: CellLayout, batch: int = 1, seed: int = 1) -> tuple[torch.Tensor, Identifiers]:
    """Images and identifiers whose every cell depends on its (view, time) alone."""
    images, intrinsics, seconds, cameras = [], [], [], []
    for view, time in zip(cells.view_id, cells.time_id):
        own = torch.Generator().manual_seed(1000 * seed + 100 * view + time)
        images.append(torch.rand(batch, 3, HEIGHT, WIDTH, generator=own))
        focal = 30.0 + 5 * view
        intrinsics.append([[focal, 0, 20.0], [0, focal + 1, 17.0], [0, 0, 1]])
        seconds.append(0.1 * time + 0.003 * view)
        cameras.append(view)
    matrices = torch.tensor(intrinsics, dtype=torch.float64)
    # The second camera is not calibrated.
    matrices[[view == 1 for view in cells.view_id]] = torch.nan
    count = len(cells)
    return torch.stack(images, dim=1), Identifiers(
        matrices.expand(batch, count, 3, 3),
        torch.tensor(cameras).expand(batch, count),
        torch.tensor(seconds, dtype=torch.float64).expand(batch, count),
    )


def picked(identifiers: Identifiers, cells: list[int] | slice) -> Identifiers:
    """The identifiers of some cells."""
    cameras, seconds = identifiers.cameras, identifiers.seconds
    return Identifiers(
        identifiers.intrinsics[:, cells],
        None if cameras is None else cameras[:, cells],
        None if seconds is None else seconds[:, cells],
    )


def read(
    model: FourdSmall,
    cells: CellLayout,
    images: torch.Tensor,
    identifiers: Identifiers,
    band: int | None = None,
) -> tuple[TrunkFeatures, Cameras]:
    """Trunk and cameras of a whole grid."""
    tables = model.tables(*images.shape[-2:])
    plan = model.plan(cells, band)
    features = model.trunk(model.encode(images, tables).tokens, plan, tables, identifiers)
    return features, model.cameras(features, plan, identifiers)


def error(a: object, b: object) -> float:
    """Largest relative difference of the tensors of two results of one kind."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        assert a.shape == b.shape
        assert b.std() > 1e-3, 'a constant tells nothing'
        return float((a - b).abs().max() / b.abs().max())
    return max(error(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def zero_parameters(model: nn.Module) -> list[str]:
    """Names of parameters without a gradient, or with one that is zero."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
