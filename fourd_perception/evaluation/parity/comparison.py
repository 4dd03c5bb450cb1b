"""One output against its reference, and how far apart the two may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path
import re
from zipfile import BadZipFile

import numpy as np
import torch

# Largest |a - b| / max(1, |b|): what float32 evaluations of one network may differ by, and how far
# the reference's own float32 was measured to be from its float64.
LIMITS = {
    'patch_tokens|encoded_tokens': (1e-5, 1.7e-6),
    r'(spatial_|temporal_|fused_)?tap_\d+': (3e-5, 6.7e-6),
    'pose_enc|pose_enc_list': (1e-5, 2.2e-6),
    'depth|depth_conf|world_points_conf|track_features': (5e-5, 7.2e-6),
    'world_points': (2e-4, 3.5e-5),
    'track|track_list': (1e-4, 7.6e-6),
    'track_vis|track_conf': (1e-3, 1.1e-4),
}
# Other networks than those it was measured on round a little differently.
DOUBLE_MARGIN = 2.0


@dataclass(frozen=True)
class Comparison:
    """How far one output of one case is from its reference.

    limit: None for one that nothing here computes
    note:  in plain words, for shapes that differ and for what was not compared
    """

    case: str
    output: str
    error: float
    limit: float | None
    note: str = ''

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; NaN is not."""
        return self.limit is None or self.error <= self.limit


def limit_of(output: str, double: bool = False) -> float | None:
    """The limit for an output by its name, None for a name that is not known.

    double: for a network evaluated in float64, whose difference is the reference's rounding alone
    """
    for names, (limit, rounding) in LIMITS.items():
        if re.fullmatch(names, output):
            return DOUBLE_MARGIN * rounding if double else limit
    return None


def compare(
    case: str, output: str, found: torch.Tensor | np.ndarray, wanted: np.ndarray, limit: float
) -> Comparison:
    """Compare arrays of one shape; another shape is an infinite error."""
    value = found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else found
    if value.shape != wanted.shape:
        note = f'shape {list(value.shape)} instead of {list(wanted.shape)}'
        return Comparison(case, output, math.inf, limit, note)
    return Comparison(case, output, relative_error(value, wanted), limit)


def relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest |a - b| / max(1, |b|); equal infinities are equal, NaN is infinitely wrong."""
    if not wanted.size:
        return 0.0
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid='ignore'):
        error = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    error[found == wanted] = 0.0
    return float(np.nan_to_num(error, nan=math.inf, posinf=math.inf).max())


def table(comparisons: list[Comparison]) -> Iterator[str]:
    """Lines of a table: every output's largest error over the cases, beside its limit."""
    outputs: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        outputs.setdefault(comparison.output, []).append(comparison)
    width = max(map(len, outputs), default=0)
    for output, entries in outputs.items():
        worst = max(entries, key=lambda c: (not c.passed, c.error))
        if worst.limit is None:
            yield f'  {output:{width}}  not compared: {worst.note}'
            continue
        verdict = 'ok' if worst.passed else 'TOO FAR'
        note = f'  {worst.note}' if worst.note else ''
        yield (
            f'  {output:{width}}  {worst.error:8.1e}  limit {worst.limit:.1e}  {verdict:7}  '
            f'worst of {len(entries)} in {worst.case}{note}'
        )


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; ValueError for one that is broken or holds Python objects."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f'{path}: no whole .npz file of arrays; copy it again') from error
