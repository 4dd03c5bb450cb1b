"""Files listed by time stamp, as the RGB-D recordings of TUM and Bonn come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.files import DataSetError, read_bytes, read_table
from fourd_perception.geometry.poses import interpolate_pose, rotation_from_quaternion, transform
import numpy as np

# Seconds between two stamps of what belongs together (specification D.1).
ASSOCIATION = 0.02
# Seconds between two rows of a trajectory across which a pose may be interpolated; both
# recordings have rows at the rate of the images or above, so that longer is a gap.
_NO_GAP = 0.05
# A row this near to the image needs no second one.
_SAME_INSTANT = 1e-3


def read_stamped_files(path: Path) -> tuple[np.ndarray, tuple[Path, ...]]:
    """Stamps [N] in seconds, increasing, and the files of a list like `rgb.txt`."""
    rows = [line.split('#')[0].split() for line in read_bytes(path).decode().splitlines()]
    try:
        listed = sorted((float(row[0]), row[1]) for row in rows if row)
    except (ValueError, IndexError) as error:
        raise DataSetError(f'{path} is no list of "stamp file" lines: {error}') from error
    if not listed:
        raise DataSetError(f'{path} lists no file; copy the recording again')
    return np.array([s for s, _ in listed]), tuple(path.parent / name for _, name in listed)


def associate(first: np.ndarray, second: np.ndarray, limit: float = ASSOCIATION) -> np.ndarray:
    """Pairs of indices [N, 2] of stamps that belong together, each stamp in one pair at most.

    Greedy, best first, as TUM's tool does it: of all pairs at most `limit` seconds apart the
    nearest is taken, both leave, and so on. Stamps in seconds, `second` increasing; the pairs
    come in the order of `first`.
    """
    low = np.searchsorted(second, first - limit, side='left')
    high = np.searchsorted(second, first + limit, side='right')
    candidates = sorted(
        (abs(first[i] - second[j]), i, j)
        for i in range(len(first))
        for j in range(low[i], high[i])
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in candidates:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    return np.array(sorted(partner.items()), dtype=int).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses over time: rows [N, 8] of "t tx ty tz qx qy qz qw", stamps increasing."""

    rows: np.ndarray

    @staticmethod
    def read(path: Path) -> Trajectory:
        """Read `groundtruth.txt`: seconds, metres, quaternion with the scalar last."""
        rows = read_table(path, columns=8)
        norms = np.linalg.norm(rows[:, 4:], axis=1)
        if not np.isfinite(rows).all() or (norms < 0.5).any():
            raise DataSetError(f'{path} holds a row that is no pose; copy the recording again')
        return Trajectory(rows[np.argsort(rows[:, 0], kind='stable')])

    def pose(self, seconds: float) -> np.ndarray | None:
        """World from body [4, 4] at a stamp, None where the recording does not tell it.

        It is told where a row lies within 0.02 s: interpolated between the rows on both sides
        where these are at most 0.05 s apart, never across a longer gap; a row within 1 ms is
        taken as it is.
        """
        stamps = self.rows[:, 0]
        after = int(np.searchsorted(stamps, seconds))
        near = [i for i in (after - 1, after) if 0 <= i < len(stamps)]
        nearest = min(near, key=lambda i: abs(stamps[i] - seconds))
        if abs(stamps[nearest] - seconds) <= _SAME_INSTANT:
            return _pose(self.rows[nearest])
        gap = float(stamps[near[-1]] - stamps[near[0]])
        if len(near) < 2 or gap > _NO_GAP or abs(stamps[nearest] - seconds) > ASSOCIATION:
            return None
        first, second = self.rows[near[0]], self.rows[near[1]]
        return interpolate_pose(_pose(first), _pose(second), (seconds - first[0]) / gap)


def _pose(row: np.ndarray) -> np.ndarray:
    return transform(rotation_from_quaternion(row[4:]), row[1:4])
