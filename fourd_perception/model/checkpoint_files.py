"""Files of tensors: safetensors and PyTorch's own, read lazily, never as arbitrary pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import json
from math import prod
from pathlib import Path
import pickle
import struct
from typing import Any

import torch

TORCH_SUFFIXES = ('.pt', '.pth', '.bin')
SUFFIXES = ('.safetensors', *TORCH_SUFFIXES)
INDEX_SUFFIX = '.safetensors.index.json'
SAFETENSORS_TYPES = {torch.float32: 'F32', torch.bfloat16: 'BF16', torch.float16: 'F16'}


@dataclass(frozen=True, eq=False)
class TensorFile:
    """An open file of tensors.

    tensors:  by name, as the file names them; memory-mapped, read from disk when touched
    metadata: what the file says beside them: strings in safetensors, plain values in .pt
    """

    path: Path
    tensors: Mapping[str, torch.Tensor]
    metadata: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def open_tensors(path: Path) -> TensorFile:
    """Map a .safetensors or .pt file, or all files of a .safetensors.index.json, into memory.

    A .pt file is loaded as tensors and plain values only (`weights_only`), and is a bare state
    dictionary, or a dictionary that holds one under `model`. Raises FileNotFoundError, and
    ValueError for a file that is neither, is cut off, or holds other Python objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    if path.suffix == '.safetensors':
        return _open_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return _open_torch(path)
    if path.name.endswith(INDEX_SUFFIX):
        return _open_index(path)
    raise ValueError(
        f'{path}: weights are files that end in {", ".join((*SUFFIXES, INDEX_SUFFIX))}'
    )


def files_of(path: Path) -> list[Path]:
    """The file itself; of an index also the files that it names, behind it."""
    if not path.name.endswith(INDEX_SUFFIX):
        return [path]
    return [path, *(path.with_name(name) for name in sorted({*_weight_map(path).values()}))]


def _weight_map(index: Path) -> dict[str, str]:
    """Name of the file, beside the index, of every tensor."""
    try:
        places = json.loads(index.read_text())['weight_map']
        # What lies elsewhere is not part of these weights.
        whole = bool(places) and all(Path(name).name == name for name in places.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f'{index}: no index of safetensors files beside it; fetch it again')
    return places


def _open_index(path: Path) -> TensorFile:
    places = _weight_map(path)
    parts = {file.name: _open_safetensors(file) for file in files_of(path)[1:]}
    lost = [name for name, file in places.items() if name not in parts[file].tensors]
    if lost:
        raise ValueError(f'{path}: {listed(lost)} are not in the files that it names')
    tensors = {name: parts[file].tensors[name] for name, file in places.items()}
    return TensorFile(path, tensors, next(iter(parts.values())).metadata)


def _open_safetensors(path: Path) -> TensorFile:
    try:
        from safetensors import safe_open, SafetensorError
    except ImportError:
        raise ValueError(
            f'{path}: reading it needs safetensors; pip install safetensors'
        ) from None
    try:
        with safe_open(str(path), framework='pt') as file:
            tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
            return TensorFile(path, tensors, file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f'{path}: no whole safetensors file ({error}); fetch it again') from None


def _open_torch(path: Path) -> TensorFile:
    try:
        content = torch.load(path, map_location='cpu', mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'{path}: holds more than tensors and plain values, which is never loaded ({reason}); '
            'save its state dictionary alone'
        ) from None
    except (RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'{path}: no whole file of torch.save since 1.6 ({reason}); fetch it again'
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: holds a {type(content).__name__}, not a state dictionary')
    metadata: dict[str, Any] = {}
    if isinstance(content.get('model'), dict):
        metadata = {name: value for name, value in content.items() if name != 'model'}
        content = content['model']
    strangers = [str(k) for k, value in content.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise ValueError(
            f'{path}: {listed(strangers)} are no tensors; give a state dictionary, bare or under '
            'the name `model`'
        )
    return TensorFile(path, content, metadata)


def converted(
    file: TensorFile, dtype: torch.dtype | None, device: torch.device
) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in another type (None: their own) or on another device, with little memory.

    What has been read of a mapped file counts as used memory until the mapping is gone, so the
    file is mapped afresh for every fortieth of it. On the CPU and in their own type, the mapped
    tensors themselves are handed out.
    """
    if device.type == 'cpu' and all(t.dtype == (dtype or t.dtype) for t in file.tensors.values()):
        yield from file.tensors.items()
        return
    limit, done = file.bytes / 40, file.bytes
    read: Callable[[str], torch.Tensor] = file.tensors.__getitem__
    for name, untouched in file.tensors.items():
        done += untouched.nbytes
        if done > limit:
            read, done = _reader(file.path), untouched.nbytes
        yield name, read(name).to(device, dtype, copy=True)


def _reader(path: Path) -> Callable[[str], torch.Tensor]:
    """A mapping of the file of its own, to take single tensors from."""
    if path.name.endswith(INDEX_SUFFIX):
        places = _weight_map(path)
        return lambda name: _reader(path.with_name(places[name]))(name)
    if path.suffix == '.safetensors':
        from safetensors import safe_open

        return safe_open(str(path), framework='pt').get_tensor
    return open_tensors(path).tensors.__getitem__


def write_safetensors(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
) -> None:
    """Write tensors one after the other, each in `dtype` (None: its own).

    Needs memory for one tensor, and writes tensors that share memory as often as they are named,
    where the library's own writer refuses them. Raises FileExistsError, and ValueError for a type
    other than float32, bfloat16 and float16.
    """
    header: dict[str, Any] = {'__metadata__': {'format': 'pt', **metadata}}
    end = 0
    for name, tensor in tensors.items():
        kind = dtype or tensor.dtype
        if kind not in SAFETENSORS_TYPES:
            raise ValueError(f'{name} is {kind}; weights are float32, bfloat16 or float16')
        start, end = end, end + prod(tensor.shape) * kind.itemsize
        header[name] = {
            'dtype': SAFETENSORS_TYPES[kind],
            'shape': list(tensor.shape),
            'data_offsets': [start, end],
        }
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)  # the data starts aligned
    with path.open('xb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for tensor in tensors.values():
            plain = tensor.detach().to('cpu', dtype).contiguous()
            file.write(plain.flatten().view(torch.uint8).numpy().tobytes())


def listed(names: list[str], most: int = 5) -> str:
    """Some names and how many more there are, for a message."""
    rest = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + rest
