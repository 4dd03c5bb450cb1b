"""Leaving on SIGINT and SIGTERM: orderly where it is quick, with code 0 within 2 s in any case."""

from __future__ import annotations

from collections.abc import Callable
import os
import signal
import sys
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 1.6  # seconds for an orderly end


class StopSignals:
    """Hears the signals on a thread of its own, whatever the other threads do.

    A Python handler runs only when the main thread comes out of the C code that it is in, which
    may be the loading of weights; the byte that Python's C handler writes comes at once.
    """

    def __init__(self) -> None:
        self._pipe, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _ignore)
        self._stop: Callable[[], object] = leave
        threading.Thread(target=self._watch, name='signals', daemon=True).start()

    def on_stop(self, stop: Callable[[], object]) -> None:
        """Call `stop` at the first signal; before this, a signal ends the process at once."""
        self._stop = stop

    def _watch(self) -> None:
        os.read(self._pipe, 1)
        threading.Timer(PATIENCE, leave).start()
        self._stop()


def _ignore(number: int, frame: object) -> None:
    """Python wants a handler before it writes to the pipe; the default would end the process."""


def leave() -> None:
    """End the process with code 0, whatever still runs.

    The interpreter's own end waits for threads, or aborts (code 134) over a daemon in a kernel.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
