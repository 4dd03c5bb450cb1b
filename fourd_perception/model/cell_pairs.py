"""Pairs of cells of one view at neighbouring instants: their flow, motion, parallax, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fourd_perception.geometry.parallax import (
    joined_depth,
    length_factor,
    lengthened,
    triangulate,
    Triangulation,
)
from fourd_perception.geometry.pose_from_flow import solve_motion
from fourd_perception.geometry.sightings import Sightings, thin_sightings
from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import OtherFrame
import torch

SAMPLES = 3072  # pixels of an image that a motion is solved from


@dataclass(frozen=True, eq=False)
class FlowWay:
    """Flow of P pairs one way.

    flow:      float32 [P, 2, H, W], pixels
    log_scale: float32 [P, 1, H, W], logarithm of the expected length of its error, pixels
    hidden:    bool [P, 1, H, W], where it leads to what is hidden in the other image
    """

    flow: torch.Tensor
    log_scale: torch.Tensor
    hidden: torch.Tensor


@dataclass(frozen=True, eq=False)
class CellPairs:
    """P pairs among N cells, and the flow between them both ways; nothing here has gradients.

    older, newer: P cells each
    """

    older: tuple[int, ...]
    newer: tuple[int, ...]
    there: FlowWay
    back: FlowWay

    @staticmethod
    def of(
        pairs: Sequence[tuple[int, int]],
        there: tuple[torch.Tensor, torch.Tensor],
        back: tuple[torch.Tensor, torch.Tensor],
    ) -> CellPairs:
        """From (older, newer) cells; there, back: flow and log-scale of all, see `FlowWay`."""
        out, out_scale, home, home_scale = (
            part.detach().float() for way in (there, back) for part in way
        )
        return CellPairs(
            tuple(older for older, _ in pairs),
            tuple(newer for _, newer in pairs),
            FlowWay(out, out_scale, occluded(out, home)),
            FlowWay(home, home_scale, occluded(home, out)),
        )

    def __len__(self) -> int:
        return len(self.older)

    @cached_property
    def ways(self) -> tuple[tuple[torch.Tensor, torch.Tensor, FlowWay], ...]:
        """(from, to, flow) forward and backward; cells as int64 [P] on the device of the flow."""
        older, newer = (
            torch.tensor(cells, dtype=torch.int64, device=self.there.flow.device)
            for cells in (self.older, self.newer)
        )
        return (older, newer, self.there), (newer, older, self.back)


@dataclass(frozen=True, eq=False)
class PairMotions:
    """Motions of the P cameras between their two instants.

    older_from_newer: float64 [P, 4, 4]
    covariance:       float64 [P, 6, 6] of it, see `SolvedMotion`; NaN where not solved
    """

    older_from_newer: torch.Tensor
    covariance: torch.Tensor

    def lengthened(self, factor: torch.Tensor) -> PairMotions:
        """The same with translations `factor` [P] times as long."""
        scale = torch.ones_like(self.covariance[:, 0])
        scale[:, :3] = factor.to(scale)[:, None]
        motion = self.older_from_newer.clone()
        motion[:, :3, 3] *= scale[:, :3]
        return PairMotions(motion, scale[:, :, None] * self.covariance * scale[:, None])


def posed_motions(pairs: CellPairs, world_from_camera: torch.Tensor) -> PairMotions:
    """As the poses [N, 4, 4] of the cells say."""
    poses = world_from_camera.double()
    motion = torch.linalg.inv(poses[list(pairs.older)]) @ poses[list(pairs.newer)]
    return PairMotions(motion, motion.new_full((len(motion), 6, 6), torch.nan))


@torch.no_grad()
def solved_motions(
    pairs: CellPairs, depth: torch.Tensor, intrinsics: torch.Tensor, start: PairMotions
) -> PairMotions:
    """As depth [N, H, W] and flow show them (training.md 3.12); the start where they do not.

    intrinsics: [N, 3, 3]
    """
    if not len(pairs):
        return start
    older, newer = (
        _sightings(depth[cells], intrinsics[cells], intrinsics[others], flow)
        for cells, others, flow in pairs.ways
    )
    found = solve_motion(older, start.older_from_newer, newer)
    return PairMotions(found.older_from_newer, found.covariance)


def _sightings(
    depth: torch.Tensor, intrinsics: torch.Tensor, others: torch.Tensor, way: FlowWay
) -> Sightings:
    variance = (2 * way.log_scale[:, 0]).exp()
    middle = variance.flatten(1).median(dim=1).values[:, None, None]
    weights = (middle / variance).clamp(max=1.0) * ~way.hidden[:, 0]
    return thin_sightings(
        depth=depth[:, None].detach(),
        flow=way.flow[:, None],
        weights=weights[:, None],
        intrinsics=intrinsics[:, None].detach(),
        target_intrinsics=others[:, None].detach(),
        samples=SAMPLES,
    )


@torch.no_grad()
def parallaxes(
    pairs: CellPairs, depth: torch.Tensor, intrinsics: torch.Tensor, motions: PairMotions
) -> tuple[tuple[Triangulation, Triangulation], PairMotions]:
    """What the flow forward says of the older cells [P, H, W], and that backward of the newer.

    Nothing where a motion was not solved. Returned with the motions, whose translations are made
    as long as the depths [N, H, W] want them: all is told in their unit.
    """
    pose = motions.older_from_newer
    found, expected = [], []
    for (cells, others, way), motion in zip(pairs.ways, (torch.linalg.inv(pose), pose)):
        error = way.log_scale[:, 0].exp().masked_fill(way.hidden[:, 0], torch.inf)
        k, k_other = intrinsics[cells], intrinsics[others]
        expected.append(depth[cells])
        found.append(
            triangulate(way.flow, error, k, k_other, motion, motions.covariance, expected[-1])
        )
    factor = length_factor(expected, found)
    older, newer = (lengthened(one, factor) for one in found)
    return (older, newer), motions.lengthened(factor)


@torch.no_grad()
def with_parallax(
    log_depth: torch.Tensor,
    log_sigma: torch.Tensor,
    pairs: CellPairs,
    seen: tuple[Triangulation, Triangulation],
    still: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-depth and log-sigma [N, H, W] of all cells, joined with what their pairs show.

    still: [N, H, W], how probable it is that a pixel stands still, without which parallax says
           nothing of depth; 1 everywhere when None
    """
    nothing = Triangulation(*(torch.zeros_like(log_depth) for _ in range(3)))
    shown = []
    for (cells, _, _), one in zip(pairs.ways, seen):
        parts = {}
        for name, values in vars(one).items():
            parts[name] = getattr(nothing, name).index_copy(0, cells, values.to(log_depth.dtype))
        if still is not None:
            parts['information'] = parts['information'] * still
        shown.append(Triangulation(**parts))
    return joined_depth(log_depth, log_sigma, shown)


@torch.no_grad()
def other_frames(
    pairs: CellPairs,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    motions: PairMotions,
    cells: Sequence[int],
) -> tuple[OtherFrame | None, OtherFrame | None]:
    """What the mask head is told of the frames after and before each of some cells.

    depth: [N, H, W] and intrinsics [N, 3, 3] of all cells
    NaN flow for a cell without such a neighbour; None where no cell has one.
    """
    pose = motions.older_from_newer.to(depth)
    wanted, frames = list(cells), []
    identity = torch.eye(4, device=depth.device).expand(len(depth), 4, 4)
    for (here, there, way), motion in zip(pairs.ways, (torch.linalg.inv(pose), pose)):
        flow = torch.full_like(depth, torch.nan)[:, None].repeat(1, 2, 1, 1)
        scale = torch.zeros_like(depth)[:, None]
        # Cells without such a neighbour stand for their own, with unknown flow.
        other = torch.arange(len(depth), device=depth.device).index_copy(0, here, there)[wanted]
        frames.append(
            OtherFrame(
                flow.index_copy(0, here, way.flow)[wanted],
                scale.index_copy(0, here, way.log_scale)[wanted],
                (scale > 0).index_copy(0, here, way.hidden)[wanted],
                depth[other],
                intrinsics[other],
                identity.index_copy(0, here, motion)[wanted],
            )
        )
    after, before = (
        frame if set(wanted) & set(known) else None
        for frame, known in zip(frames, (pairs.older, pairs.newer))
    )
    return after, before
