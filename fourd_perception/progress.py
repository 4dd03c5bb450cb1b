"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

LINE_SECONDS = 5.0


class Progress:
    """Shows a share of 0 to 1 and a note; one bar, or a plain line every five seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._next_line = time.monotonic() + LINE_SECONDS
        self._bar = (
            tqdm(total=100, desc=title, unit='%', bar_format='{desc} {bar} {n:.0f} % {postfix}')
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, share: float, note: str = '') -> None:
        """Say that `share` of the work is done."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(100.0 * min(share, 1.0) - self._bar.n)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            print(f'{self._title}: {100 * min(share, 1.0):.0f} % {note}', file=sys.stderr)

    def count(self, done: int, total: int) -> None:
        """Say that `done` of `total` pieces are done."""
        self.show(done / max(total, 1))
