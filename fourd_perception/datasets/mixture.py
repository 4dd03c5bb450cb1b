"""Clips drawn from several data sets by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
import warnings

from fourd_perception.datasets.catalogue import AbsentDataSet, open_data_set
from fourd_perception.datasets.dataset import ClipSpec, DataSet
from fourd_perception.datasets.files import DataSetError
from fourd_perception.geometry.clips import Clips, joined
import numpy as np


@dataclass(frozen=True)
class Share:
    """One data set of a mixture.

    name:    of the catalogue; root: folder of the set
    weight:  of its clips among all, whatever its size
    strides: of its windows, drawn evenly; flow is known at stride 1 only
    options: of its `open_...`
    """

    name: str
    root: Path
    weight: float = 1.0
    strides: tuple[int, ...] = (1,)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixture:
    """Data sets, their weights, which add up to 1, and the strides of their windows."""

    sets: tuple[DataSet, ...]
    weights: tuple[float, ...]
    strides: tuple[tuple[int, ...], ...]

    def clip(self, seed: int, spec: ClipSpec) -> Clips:
        """One clip [1, V, T]: a function of the seed and of what is wanted alone.

        Set, stride, window, views, crop and tracks are drawn. Raises DataSetError when no
        recording of the drawn set is long enough.
        """
        generator = np.random.default_rng(seed)
        number = int(generator.choice(len(self.sets), p=self.weights))
        chosen, stride = self.sets[number], int(generator.choice(self.strides[number]))
        windows = chosen.windows(spec, stride)
        if windows == 0:
            raise DataSetError(
                f'no recording of data set {chosen.name} is long enough for {spec.instants} '
                f'instants at stride {stride}; ask for fewer or a smaller stride'
            )
        index = int(generator.integers(windows))
        return chosen.clip(index, spec, stride, seed=int(generator.integers(2**63)))

    def clips(self, seeds: Sequence[int], spec: ClipSpec) -> Clips:
        """One clip per seed, each what `clip` gives for its seed."""
        return joined([self.clip(seed, spec) for seed in seeds])


def open_mixture(shares: Sequence[Share], skip_absent: bool = False) -> Mixture:
    """Open the data sets of a mixture.

    Raises AbsentDataSet, which names the set, when a root is no folder; with `skip_absent` the
    set is named in a warning and left out, and the others keep their proportions.
    """
    opened: list[tuple[Share, DataSet]] = []
    for share in shares:
        _require_sound(share)
        try:
            opened.append((share, open_data_set(share.name, share.root, **share.options)))
        except AbsentDataSet as error:
            if not skip_absent:
                raise
            warnings.warn(f'skipped: {error}', stacklevel=2)
    if not opened:
        names = [share.name for share in shares]
        raise DataSetError(f'no data set of the mixture {names} is there; download one of them')
    total = sum(share.weight for share, _ in opened)
    return Mixture(
        tuple(data_set for _, data_set in opened),
        tuple(share.weight / total for share, _ in opened),
        tuple(share.strides for share, _ in opened),
    )


def _require_sound(share: Share) -> None:
    if not share.weight > 0:
        raise DataSetError(f'data set {share.name} has weight {share.weight}; it must be above 0')
    if not share.strides or min(share.strides) < 1:
        raise DataSetError(f'data set {share.name} has strides {share.strides}; they start at 1')
