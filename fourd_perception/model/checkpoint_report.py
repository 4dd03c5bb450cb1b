"""Checkpoints in words: what is known, what is here, and what is in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from fourd_perception.model.checkpoint_fetch import sha256_of
from fourd_perception.model.checkpoint_files import files_of, open_tensors
from fourd_perception.model.checkpoints import Checkpoint
from fourd_perception.model.presets import NetworkConfig, PRESETS
from fourd_perception.model.public_checkpoints import (
    fetched,
    Origin,
    origin_of,
    PUBLIC,
    weights_directory,
)
from fourd_perception.model.shipped_weights import SHIPPED, shipped_file
from fourd_perception.model.small.config import SMALL_PRESETS
import torch

UNKNOWN = 'not known'
DIVIDED = ('cross_view_global_fusion.', 'cross_time_local_fusion.', 'dense_head.')


def list_names() -> Iterator[str]:
    """Lines about the checkpoint that ships, every public one, and what else may be named."""
    yield from _shipped()
    for name, public in PUBLIC.items():
        file = fetched(public)
        here = file and origin_of(file)
        yield name
        yield f'  from     {public.repo}{f":{public.file}" if public.file else ""}'
        if here:
            yield f'  here     {file}'
            yield f'           {in_words(here)}'
        else:
            size = f'{_size(public.bytes)}, ' if public.bytes else ''
            sha256 = f', SHA-256 {public.sha256}...' if public.sha256 else ''
            yield f'  not here {size}licence: {public.licence}{sha256}'
    yield ''
    yield 'Also: the path of a .safetensors or .pt file, of a .safetensors.index.json, or of a'
    yield 'folder that holds model.safetensors or its index; a repository id owner/name[:file]'
    yield f'that has been fetched. Fetched files lie in {weights_directory()}'


def _shipped() -> Iterator[str]:
    yield SHIPPED
    yield '  ships with the package'
    try:
        file = shipped_file()
    except FileNotFoundError as error:
        yield f'  not here {error}'
        return
    licence = open_tensors(file).metadata.get('licence', UNKNOWN)
    yield f'  here     {file}'
    yield f'           {_size(_bytes(file))}, licence: {licence}, SHA-256 {sha256_of(file)}'


def in_words(origin: Origin) -> str:
    """Size, licence and SHA-256 of a fetched file."""
    return f'{_size(origin.bytes)}, licence: {origin.licence}, SHA-256 {origin.sha256 or UNKNOWN}'


def _size(count: int) -> str:
    return f'{count / 1e9:.2f} GB' if count >= 1e9 else f'{count / 1e6:.1f} MB'


def _bytes(file: Path) -> int:
    return sum(part.stat().st_size for part in files_of(file))


def licence_of(checkpoint: Checkpoint) -> str:
    """The licence of the weights, as the file or its origin says it; else empty."""
    inside = checkpoint.file.metadata.get('licence')
    origin = origin_of(checkpoint.file.path)
    return str(inside or (origin.licence if origin else ''))


def describe(
    checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Lines: layout, size, type, SHA-256, licence, and the parameters of every part.

    Reads the whole file; `progress(done, total)` in bytes.
    """
    file, config = checkpoint.file, checkpoint.config
    preset = next(
        (name for name, known in (PRESETS | SMALL_PRESETS).items() if known == config), 'none'
    )
    types = Counter(str(t.dtype).removeprefix('torch.') for t in file.tensors.values())
    parts = Counter[str]()
    for name, tensor in file.tensors.items():
        parts[_part(checkpoint.our_name(name))] += tensor.numel()
    tracks = config.tracks if isinstance(config, NetworkConfig) else None
    lines = [
        f'{file.path}: fits its network, tensor by tensor',
        f'  layout      {checkpoint.layout}, preset: {preset}',
        f'  tensors     {len(file.tensors)}, {", ".join(sorted(types))}',
        f'  size        {_bytes(file.path):,} bytes',
        f'  SHA-256     {sha256_of(file.path, progress)}',
        f'  licence     {licence_of(checkpoint) or UNKNOWN}',
    ]
    if tracks is not None and checkpoint.layout == 'vggt':
        fixed = 'corrected' if tracks.dense.uv_embedding else 'first'
        lines.append(f'  tracker     the {fixed} one (see --tracker-fixed)')
    lines.append(f'  parameters  {checkpoint.parameters:,}')
    lines += [f'    {count:15,}  {part}' for part, count in parts.items()]
    return lines


def not_finite(checkpoint: Checkpoint) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    tensors = checkpoint.file.tensors.items()
    return [name for name, tensor in tensors if not torch.isfinite(tensor).all()]


def _part(name: str) -> str:
    """`cross_view_global_fusion.frame_blocks`, `dense_head.depth_head`, `spatial_head`."""
    depth = 2 if name.startswith(DIVIDED) else 1
    return '.'.join(name.split('.')[:depth])
