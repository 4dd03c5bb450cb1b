"""The shared-memory files of DDS that processes hold."""

from pathlib import Path


def held_by(pid: int) -> set[Path]:
    """Files in /dev/shm that a process has mapped or open, but this one has not."""
    return _held(Path(f'/proc/{pid}')) - _held(Path('/proc/self'))


def held_by_anyone() -> set[Path]:
    """Files in /dev/shm that any process has mapped or open."""
    return set().union(*map(_held, Path('/proc').glob('[0-9]*')))


def _held(process: Path) -> set[Path]:
    try:
        names = {line.split()[-1] for line in (process / 'maps').read_text().splitlines()}
        names |= {str(each.resolve()) for each in (process / 'fd').iterdir()}
    except OSError:  # it is gone, or another user's
        return set()
    return {Path(name) for name in names if name.startswith('/dev/shm/')}
