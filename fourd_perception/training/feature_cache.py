"""What a frozen trunk says of clips, kept in memory or on disk, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from pathlib import Path

import torch

Tensors = Mapping[str, torch.Tensor]


class FeatureCache:
    """Tensors by number; those that no longer fit are made anew whenever they are asked for.

    What has come first stays: where all numbers come round in turn, making room for the newest
    would lose each just before it is wanted again.
    """

    def __init__(self, folder: Path | None, most_bytes: int, title: str) -> None:
        """Keep up to so many bytes in a folder, or, without one, in memory.

        title: what the tensors are made by and of. Raises ValueError for a folder of another one.
        """
        self._folder, self._most = folder, most_bytes
        self._memory: dict[int, Tensors] = {}
        self._bytes = 0
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / 'title'
        if note.exists() and note.read_text() != title:
            raise ValueError(
                f'{folder} keeps what was made of {note.read_text()!r}, not of {title!r}; give '
                'another folder, or delete this one'
            )
        note.write_text(title)
        self._bytes = sum(file.stat().st_size for file in folder.glob('*.pt'))

    def get(self, number: int, make: Callable[[], Tensors]) -> Tensors:
        """The tensors of a number, as `make` gives them; on the CPU."""
        file = None if self._folder is None else self._folder / f'{number}.pt'
        if number in self._memory:
            return self._memory[number]
        if file is not None and file.exists():
            kept: Tensors = torch.load(file, map_location='cpu', weights_only=True)
            return kept
        made = {name: tensor.cpu() for name, tensor in make().items()}
        size = sum(tensor.nbytes for tensor in made.values())
        if self._bytes + size <= self._most:
            self._bytes += size
            if file is None:
                self._memory[number] = made
            else:
                _write(file, made)
        return made


def _write(file: Path, tensors: Tensors) -> None:
    """Write a whole file or none: other processes read the folder too."""
    partial = file.with_suffix(f'.{os.getpid()}.partial')
    torch.save(dict(tensors), partial)
    partial.replace(file)
