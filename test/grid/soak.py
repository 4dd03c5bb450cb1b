"""Holds the synchroniser to its contract over very many random streams; not part of CI.

python test/grid/soak.py --streams 100000
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
import os
from pathlib import Path
from random import Random
import sys
import time

sys.path.insert(0, str(Path(__file__).parents[2]))

from streams import random_plan
from walk import check_everything, check_full_slices


def soak_one(seed: int) -> tuple[int, str, Counter[str]]:
    """Seed, what failed if anything, and what was seen on the way."""
    plan = random_plan(Random(seed))
    try:
        walk = check_everything(plan)
    except Exception as error:  # any failure is the finding: report its seed and go on
        return seed, f'{type(error).__name__}: {error}', Counter()
    seen = Counter(
        {f'event {kind}': n for kind, n in Counter(e.kind for e in walk.events).items()}
    )
    seen['streams'] = 1
    seen['frames'] = sum(walk.received.values())
    seen['triggers in time'] = check_full_slices(plan, walk)
    seen['slices'] = len(walk.slices)
    seen['full slices'] = sum(len(s) == len(s.cameras) for s in walk.slices)
    for camera in plan.names:
        for outcome, n in walk.ledger.counts(camera).items():
            seen[f'frames {outcome}'] += n
    return seed, '', seen


def main() -> int:
    """Soak, show progress, and return 1 if any stream failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--streams', type=int, default=100_000)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--processes', type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.streams)
    start, seen, failed = time.monotonic(), Counter(), 0
    with ProcessPoolExecutor(arguments.processes) as pool:
        for done, (seed, failure, counts) in enumerate(pool.map(soak_one, seeds, chunksize=20), 1):
            seen += counts
            if failure:
                failed += 1
                print(f'seed {seed}: {failure}', flush=True)
            if done % 1000 == 0:
                print(f'{done} streams, {time.monotonic() - start:.0f} s', flush=True)
    print(f'{len(seeds)} streams, {failed} failed, {time.monotonic() - start:.0f} s')
    for what, count in sorted(seen.items()):
        print(f'  {what}: {count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
