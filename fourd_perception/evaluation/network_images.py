"""How near a network's depth, masks and flow come to the truth, whatever their scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fourd_perception.evaluation import metrics
from fourd_perception.evaluation.checks import Check, Mean
from fourd_perception.evaluation.clip_scores import FLOW_BINS, MOVING_SHARE
from fourd_perception.evaluation.true_images import Seen, TrueImages
import numpy as np


def _range(low: float, high: float) -> str:
    return f'{low:g} to {high:g} px' if high < float('inf') else f'above {low:g} px'


@dataclass(frozen=True, eq=False)
class NetworkTallies:
    """Mean errors of dense outputs over all images.

    epe: by length of the true flow
    """

    abs_rel: Mean = field(
        default_factory=lambda: Mean('depth: AbsRel, after one scale for each slice', '')
    )
    delta: Mean = field(default_factory=lambda: Mean('depth: share within 1.25, likewise', ''))
    known: Mean = field(default_factory=lambda: Mean('depth: share of pixels known', ''))
    scale: Mean = field(default_factory=lambda: Mean('scale: mean error of a slice', '%'))
    iou: Mean = field(
        default_factory=lambda: Mean('dynamic_mask: IoU, mean of images in which things move', '')
    )
    called: Mean = field(
        default_factory=lambda: Mean('dynamic_mask: share called moving of what stands still', '')
    )
    flow_known: Mean = field(default_factory=lambda: Mean('flow: share of pixels known', ''))
    epe: tuple[Mean, ...] = field(
        default_factory=lambda: tuple(
            Mean(f'flow: mean endpoint error where it is {_range(low, high)}', 'px')
            for low, high in FLOW_BINS
        )
    )

    def checks(self) -> list[Check]:
        """Lines of what was compared, in order; none has a limit."""
        return [check for tally in self._all() if (check := tally.check()).count]

    def _all(self) -> Iterator[Mean]:
        for tally in vars(self).values():
            yield from tally if isinstance(tally, tuple) else (tally,)


@dataclass(frozen=True, eq=False)
class NetworkScorer:
    """Compares the dense outputs of one slice at a time.

    metric: whether depth is in metres, so that its scale can be wrong
    """

    images: TrueImages
    metric: bool
    tallies: NetworkTallies = field(default_factory=NetworkTallies)

    def add(self, cameras: Sequence[Seen]) -> None:
        """Score the cameras of one inferred slice."""
        self._add_depth(cameras)
        for seen in cameras:
            if seen.others:
                self._add_mask(seen)

    def add_flow(self, name: str, stamp: int) -> None:
        """Score the flow whose older image has this stamp."""
        flow = self.images.flow(name, stamp)
        self.tallies.flow_known.add(*flow.share_known)
        if not flow.known.any():
            return
        errors = metrics.endpoint_error(flow.found, flow.truth, flow.known)
        length = np.hypot(*flow.truth[flow.known].T)
        for (low, high), tally in zip(FLOW_BINS, self.tallies.epe, strict=True):
            inside = (length >= low) & (length < high)
            tally.add(float(errors[inside].sum()) / max(inside.sum(), 1), int(inside.sum()))

    def _add_depth(self, cameras: Sequence[Seen]) -> None:
        found, truth = [], []
        for seen in cameras:
            depth = self.images.depth(seen)
            self.tallies.known.add(*depth.share_known)
            found.append(depth.found[depth.known])
            truth.append(depth.truth[depth.known])
        p, g = np.concatenate(found), np.concatenate(truth)
        if not len(p):
            return
        every = np.ones(len(p), bool)
        factor = metrics.median_scale(p, g, every)
        self.tallies.abs_rel.add(metrics.abs_rel(factor * p, g, every), len(p))
        self.tallies.delta.add(metrics.delta(factor * p, g, every), len(p))
        if self.metric:
            self.tallies.scale.add(100 * abs(1 / factor - 1), 1)

    def _add_mask(self, seen: Seen) -> None:
        """What is not known to stand still counts as moving, as it does for who reads the mask."""
        mask = self.images.mask(seen)
        moving, still = mask.pixels & mask.truth, mask.pixels & ~mask.truth
        if moving.sum() >= MOVING_SHARE * moving.size:
            self.tallies.iou.add(metrics.mask_iou(mask.found, mask.truth, mask.pixels), 1)
        if still.any():
            self.tallies.called.add(float(mask.found[still].mean()), int(still.sum()))
