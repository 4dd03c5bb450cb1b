"""Weights in files of limited size, by the index that model hubs use."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path

from fourd_perception.model.checkpoint_files import INDEX_SUFFIX, write_safetensors
import torch

ALONE, INDEX = 'model.safetensors', f'model{INDEX_SUFFIX}'
MOST_BYTES = 16 * 2**20
# A part's names, shapes and offsets, and the metadata, which every part carries.
HEADER_BYTES = 2**16


def write_parts(
    folder: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """Write model.safetensors, or parts of it and model.safetensors.index.json; returns that path.

    most_bytes: of a part, unless a single tensor needs more
    Files of those names in the folder are replaced; that path appears last, and whole. Raises as
    `write_safetensors`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('model*.safetensors*'):
        old.unlink()
    parts = _parts(tensors, dtype, most_bytes - HEADER_BYTES)
    if len(parts) == 1:
        path, partial = (folder / name for name in (ALONE, f'{ALONE}.partial'))
        write_safetensors(partial, parts[0], metadata, dtype)
        return partial.replace(path)
    places: dict[str, str] = {}
    for i, part in enumerate(parts, 1):
        name = f'model-{i:05}-of-{len(parts):05}.safetensors'
        write_safetensors(folder / name, part, metadata, dtype)
        places |= dict.fromkeys(part, name)
    total = sum(tensor.numel() * (dtype or tensor.dtype).itemsize for tensor in tensors.values())
    index, partial = (folder / name for name in (INDEX, f'{INDEX}.partial'))
    content = {'metadata': {'total_size': total}, 'weight_map': places}
    partial.write_text(json.dumps(content, indent=1) + '\n')
    return partial.replace(index)


def written(folder: Path) -> Path | None:
    """What `write_parts` returned; None where it has not come to its end."""
    return next((path for n in (ALONE, INDEX) if (path := folder / n).is_file()), None)


def _parts(
    tensors: Mapping[str, torch.Tensor], dtype: torch.dtype | None, most_bytes: int
) -> list[dict[str, torch.Tensor]]:
    parts: list[dict[str, torch.Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * (dtype or tensor.dtype).itemsize
        if parts[-1] and filled + size > most_bytes:
            parts.append({})
            filled = 0
        parts[-1][name] = tensor
        filled += size
    return parts
