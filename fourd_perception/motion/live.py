"""Masks of what moves while frames keep coming: windows overlap, time runs forward (C.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.known_cells import CellKey
from fourd_perception.motion.cues import combine, CueMaps
from fourd_perception.motion.kmeans import kmeans
from fourd_perception.motion.residual_flow import along_flow
from fourd_perception.motion.running import RunningRange, RunningThreshold
import torch


@dataclass(frozen=True)
class LiveSettings:
    """How slowly and how surely something counts as moving.

    clusters:      of encoder features
    updates:       of the clusters per slice, from where they were
    still:         residual flow under which a cluster is static, pixels
    half_life:     of the evidence, slices
    confirm, drop: evidence at which a token becomes confirmed, and below which it no longer is
    unmasked_every: every so-many-th pass hides nothing
    most_hidden:   share of tokens above which a pass hides nothing
    """

    clusters: int = 64
    updates: int = 4
    still: float = 0.5
    half_life: float = 3.0
    confirm: float = 0.6
    drop: float = 0.3
    unmasked_every: int = 8
    most_hidden: float = 0.5


@dataclass(frozen=True, eq=False)
class Observation:
    """What one pass over a window showed of its S cells.

    keys:     camera and stamp of each
    layout:   view and time of each
    cues:     maps [S, h, w], NaN where a cell has no other to be compared with
    features: of the encoder [S, h, w, C]
    residual: float32 [S, h, w], pixels, flow beside the camera's own; NaN where unknown
    backward: float32 [S, 2, h, w], flow to the cell before in the same view, in tokens; NaN where
              unknown
    """

    keys: Sequence[CellKey]
    layout: CellLayout
    cues: CueMaps
    features: torch.Tensor
    residual: torch.Tensor
    backward: torch.Tensor


@dataclass(frozen=True, eq=False)
class LiveMask:
    """What moves in the cells of a window.

    moving:    bool [S, h, w], seen to move or confirmed
    confirmed: bool [S, h, w], by the evidence of several slices
    known:     bool [S], whether the cell has been compared with another
    saliency:  float32 [S, h, w] in 0..1
    threshold: on the saliency; infinite while nothing stands out
    """

    moving: torch.Tensor
    confirmed: torch.Tensor
    known: torch.Tensor
    saliency: torch.Tensor
    threshold: float


@dataclass(frozen=True, eq=False)
class _Cell:
    """What is kept of a cell while it is in the window, all [h, w].

    prior, was_confirmed: of the cell before, brought here along the flow
    residual: the largest that was ever seen
    """

    prior: torch.Tensor
    was_confirmed: torch.Tensor
    residual: torch.Tensor
    evidence: torch.Tensor
    confirmed: torch.Tensor


@dataclass
class _State:
    cues: dict[str, RunningRange] = field(default_factory=dict)
    scores: dict[str, RunningRange] = field(default_factory=dict)
    threshold: RunningThreshold = field(default_factory=RunningThreshold)
    centres: torch.Tensor | None = None
    cells: dict[CellKey, _Cell] = field(default_factory=dict)
    passes: int = 0


class LiveMasks:
    """Masks per cell, scored anew whenever later cells join the window.

    Belongs to one stream. A window that shares no cell with the last one begins anew.
    """

    def __init__(self, settings: LiveSettings | None = None) -> None:
        self._settings = settings or LiveSettings()
        self._state = _State()

    def reset(self) -> None:
        """Forget everything."""
        self._state = _State()

    def hidden(self, keys: Sequence[CellKey], shape: tuple[int, int]) -> torch.Tensor | None:
        """Tokens bool [S, h, w] to hide in the next pass; None for a pass that hides nothing.

        Only what is confirmed is hidden, so never anything in a cell that is new.
        """
        state = self._state
        state.passes += 1
        masks = [state.cells[key].confirmed for key in keys if key in state.cells]
        if state.passes % self._settings.unmasked_every == 0 or not masks:
            return None
        nothing = torch.zeros(shape, dtype=torch.bool, device=masks[0].device)
        hidden = torch.stack(
            [state.cells[key].confirmed if key in state.cells else nothing for key in keys]
        )
        if hidden.shape[1:] != shape or hidden.float().mean() > self._settings.most_hidden:
            return None
        return hidden

    def step(self, seen: Observation) -> LiveMask:
        """Score the cells of a window; the newest of each view carry the ranges on."""
        cells = self._state.cells
        shape = seen.residual.shape[1:]
        if cells and not any(
            key in cells and cells[key].evidence.shape == shape for key in seen.keys
        ):
            self.reset()
        known = seen.cues.var3.isfinite().flatten(1).all(1)
        labels = self._clusters(seen.features)
        saliency = self._saliency(seen, labels, known)
        threshold = self._state.threshold.value
        residual = self._residual(seen)
        observed = (saliency > threshold) & ~self._still(labels, residual)
        self._carry(seen, observed, residual)
        kept = [self._state.cells[key] for key in seen.keys]
        confirmed = torch.stack([cell.confirmed for cell in kept])
        return LiveMask(observed | confirmed, confirmed, known, saliency, threshold)

    def _clusters(self, features: torch.Tensor) -> torch.Tensor:
        """Labels [S, h, w], from where the clusters were in the last window."""
        rows, start = features.flatten(0, 2), self._state.centres
        count = self._settings.clusters
        if start is None or len(start) < min(count, len(rows)) or start.shape[1] != rows.shape[1]:
            found = kmeans(rows, count)
        else:
            found = kmeans(rows, count, iterations=self._settings.updates, start=start)
        self._state.centres = found.centres
        return found.labels.view(features.shape[:3])

    def _saliency(
        self, seen: Observation, labels: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """[S, h, w] in 0..1: cues in their running range, averaged over clusters, ranged again."""
        saliency = torch.full_like(seen.cues.var3, torch.nan)
        if not known.any():
            return saliency
        state, names = self._state, [f.name for f in fields(CueMaps)]
        maps = torch.stack([getattr(seen.cues, name) for name in names])
        newest = _newest(seen, known)
        scaled = torch.full_like(maps, torch.nan)
        for i, (camera, _) in enumerate(seen.keys):
            if not known[i]:
                continue
            ranges = state.cues.setdefault(camera, RunningRange())
            if newest[camera] == i:
                ranges.update(maps[:, i])
        for i, (camera, _) in enumerate(seen.keys):
            if known[i]:
                scaled[:, i] = state.cues[camera].scaled(maps[:, i])
        dynamic = combine(CueMaps(**dict(zip(names, scaled))))
        scores = _cluster_means(dynamic, labels, known)
        for camera, i in newest.items():
            state.scores.setdefault(camera, RunningRange()).update(scores[i, None])
        for i, (camera, _) in enumerate(seen.keys):
            if known[i]:
                saliency[i] = state.scores[camera].scaled(scores[i, None])[0]
        state.threshold.update(saliency[list(newest.values())])
        return saliency

    def _residual(self, seen: Observation) -> torch.Tensor:
        """Largest residual flow of every token so far, NaN where it never was known."""
        cells = self._state.cells
        before = [
            cells[key].residual if key in cells else torch.full_like(now, torch.nan)
            for key, now in zip(seen.keys, seen.residual)
        ]
        return torch.fmax(torch.stack(before), seen.residual)

    def _still(self, labels: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Tokens whose cluster stays, in this cell, with what the camera's motion explains."""
        cells = len(labels)
        count = int(labels.max()) + 1
        group = labels.flatten(1) + count * torch.arange(cells, device=labels.device)[:, None]
        value, index = residual.flatten(), group.flatten()
        sure = value.isfinite()
        sums = value.new_zeros(cells * count).index_add_(0, index[sure], value[sure])
        sizes = torch.bincount(index[sure], minlength=cells * count)
        still = (sizes > 0) & (sums < self._settings.still * sizes)
        return still[index].view(labels.shape)

    def _carry(self, seen: Observation, observed: torch.Tensor, residual: torch.Tensor) -> None:
        """Evidence of every cell, oldest first, and what of it goes on to the next."""
        old, settings = self._state.cells, self._settings
        decay = 2 ** (-1 / settings.half_life)
        cells: dict[CellKey, _Cell] = {}
        last: dict[int, _Cell] = {}
        order = sorted(range(len(seen.keys)), key=lambda i: seen.layout.time_id[i])
        for i in order:
            key, view = seen.keys[i], seen.layout.view_id[i]
            nothing = torch.zeros_like(residual[i])
            prior, confirmed = nothing, nothing > 0
            if view in last:
                both = torch.stack([last[view].evidence, last[view].confirmed.float()])
                flow = seen.backward[i].expand(2, -1, -1, -1)
                brought = along_flow(both, flow)
                prior, confirmed = brought[0], brought[1] > 0.5
            elif key in old:
                prior, confirmed = old[key].prior, old[key].was_confirmed
            evidence = decay * prior + (1 - decay) * observed[i].float()
            sure = (evidence > settings.confirm) | (confirmed & (evidence > settings.drop))
            cells[key] = last[view] = _Cell(prior, confirmed, residual[i], evidence, sure)
        self._state = replace(self._state, cells=cells)


def _newest(seen: Observation, known: torch.Tensor) -> dict[str, int]:
    """Position of the newest known cell of every camera."""
    newest: dict[str, int] = {}
    for i, (camera, stamp) in enumerate(seen.keys):
        if known[i] and (camera not in newest or stamp > seen.keys[newest[camera]][1]):
            newest[camera] = i
    return newest


def _cluster_means(
    dynamic: torch.Tensor, labels: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Every token the mean of its cluster over the known cells."""
    count = int(labels.max()) + 1
    flat = labels[known].flatten()
    sums = dynamic.new_zeros(count).index_add_(0, flat, dynamic[known].flatten())
    sizes = torch.bincount(flat, minlength=count).clamp(min=1)
    return (sums / sizes)[labels]
