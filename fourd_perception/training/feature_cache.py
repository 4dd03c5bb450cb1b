"""What a frozen trunk says of clips, kept in memory or on disk, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import hashlib
import os
from pathlib import Path

import torch
from torch import nn

Tensors = Mapping[str, torch.Tensor]


class FeatureCache:
    """Tensors by number; those that no longer fit are made anew whenever they are asked for.

    What has come first stays: where all numbers come round in turn, making room for the newest
    would lose each just before it is wanted again. Several processes may share a folder.
    """

    def __init__(self, folder: Path | None, most_bytes: int, title: str, processes: int) -> None:
        """Keep up to so many bytes in a folder, or, without one, in memory.

        most_bytes: of all the processes that do so at once
        title: what the tensors are made by and of. Raises ValueError for a folder of another one.
        """
        self._folder = folder
        self._memory: dict[int, Tensors] = {}
        there = 0
        if folder is not None:
            _claim(folder, title)
            there = sum(file.stat().st_size for file in folder.glob('*.pt'))
        self._free = (most_bytes - there) // processes

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
        if size <= self._free:
            self._free -= size
            if file is None:
                self._memory[number] = made
            else:
                _write(file, lambda partial: torch.save(made, partial))
        return made


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of all that is frozen in a network, names and values."""
    digest = hashlib.sha256()
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    for name, tensor in network.state_dict().items():
        if name not in learning:
            digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _claim(folder: Path, title: str) -> None:
    """Write a folder's title where it has none; ValueError where it has another one."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / 'title'
    if not note.exists():
        _write(note, lambda partial: partial.write_text(title))
    if (found := note.read_text()) != title:
        raise ValueError(
            f'{folder} keeps what was made of {found!r}, not of {title!r}; give another folder, '
            'or delete this one'
        )


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Write a whole file or none: other processes read the folder too."""
    partial = file.with_suffix(f'.{os.getpid()}.partial')
    write(partial)
    partial.replace(file)
