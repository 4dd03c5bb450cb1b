"""The checkpoint that ships with the package."""

from __future__ import annotations

from pathlib import Path

from fourd_perception.model.checkpoint_files import files_of, INDEX_SUFFIX

SHIPPED = 'fourd-small'
FOLDER = Path(__file__).resolve().parents[1] / 'weights' / SHIPPED
# Below this is what git LFS leaves in the place of a file that it has not brought yet.
LEAST_BYTES = 1024


def shipped_file() -> Path:
    """The index of its parts; FileNotFoundError, with the remedy, unless all are there."""
    index = FOLDER / f'model{INDEX_SUFFIX}'
    try:
        whole = all(file.stat().st_size >= LEAST_BYTES for file in files_of(index))
    except (OSError, ValueError):
        whole = False
    if not whole:
        raise FileNotFoundError(
            f'weights {SHIPPED!r} ship with the package, but {FOLDER} does not hold all of them; '
            f'in a clone bring them with `git checkout HEAD -- {FOLDER}` (with git LFS: `git lfs '
            'pull`), elsewhere install the package again'
        )
    return index
