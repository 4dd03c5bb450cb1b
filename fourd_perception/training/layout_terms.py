"""Terms of clips of several layouts: each layout is read as a batch of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.training.sub_grids import layouts
import torch

# Terms, each [n], of clips of one layout, given int64 [n] which of all clips they are.
LayoutTerms = Callable[[Clips, torch.Tensor, CellLayout], Mapping[str, torch.Tensor]]


def weighted_terms(
    clips: Clips, weights: Mapping[str, float], terms_of: LayoutTerms
) -> dict[str, torch.Tensor]:
    """The terms that have a weight, times it, [n] each; 0 where a clip's layout gives none."""
    totals = {name: clips.depth.new_zeros(len(clips)) for name in weights}
    for layout, members in layouts(clips):
        for name, term in terms_of(clips[members], members, layout).items():
            totals[name] = totals[name].index_put((members,), weights[name] * term)
    return totals
