"""Which torch training needs; imported before anything that an older one lacks."""

from __future__ import annotations

LEAST = (2, 9)


def check_torch(version: str) -> None:
    """Raise ValueError for a torch that is too old to train."""
    if tuple(int(part) for part in version.split('.')[:2]) < LEAST:
        raise ValueError(
            f'torch {version} is installed; training needs 2.9 or newer: pip install -U torch'
        )
