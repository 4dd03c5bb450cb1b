"""Examples in TFRecord files, read without TensorFlow.

A file is a row of records: length (8 bytes, little endian), checksum (4), content, checksum (4).
The content is a protocol buffer: Example { Features { map<string, Feature> } }, a Feature one of
BytesList, FloatList, Int64List (tensorflow/core/example/example.proto, feature.proto). Checksums
are not verified; what is cut short is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fourd_perception.datasets.files import DataSetError
import numpy as np

_LENGTH, _CHECKSUM = 8, 4
_DELIMITED = 2


def record_offsets(path: Path) -> list[int]:
    """Where the records of a file begin."""
    content = _mapped(path)
    offsets, place = [], 0
    while place < len(content):
        offsets.append(place)
        place = _end(path, content, place) + _CHECKSUM
    return offsets


def read_example(path: Path, offset: int) -> dict[str, np.ndarray]:
    """The features of the record at an offset, by name, undecoded: views of the file."""
    content = _mapped(path)
    record = content[offset + _LENGTH + _CHECKSUM : _end(path, content, offset)]
    try:
        entries = [e for features in _fields(record) for e in _fields(features)]
        pairs = [tuple(_fields(entry)) for entry in entries]
        return {bytes(name).decode(): feature for name, feature in pairs}
    except (IndexError, ValueError) as error:
        raise DataSetError(f'{path} holds no example at byte {offset}: {error}') from error


def blobs(feature: np.ndarray) -> list[np.ndarray]:
    """The entries of a BytesList, uint8 [n] each."""
    return [blob for values in _fields(feature) for blob in _fields(values)]


def floats(feature: np.ndarray) -> np.ndarray:
    """The values of a FloatList, float32 [N]."""
    return np.concatenate([part.view('<f4') for part in _packed(feature)])


def integers(feature: np.ndarray) -> np.ndarray:
    """The values of an Int64List, int64 [N]."""
    return np.concatenate([_varints(part) for part in _packed(feature)])


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.memmap(path, np.uint8, 'r')
    except (OSError, ValueError) as error:
        raise DataSetError(f'cannot read {path}: {error}') from error


def _end(path: Path, content: np.ndarray, offset: int) -> int:
    """Where the content of the record at an offset ends."""
    start = offset + _LENGTH + _CHECKSUM
    length = int.from_bytes(bytes(content[offset : offset + _LENGTH]), 'little')
    if start + length + _CHECKSUM > len(content):
        raise DataSetError(
            f'{path} has {len(content)} bytes, but a record at byte {offset} needs '
            f'{start + length + _CHECKSUM}; download it again'
        )
    return start + length


def _fields(message: np.ndarray) -> Iterator[np.ndarray]:
    """The length-delimited fields of a message, in order; all that examples consist of."""
    place = 0
    while place < len(message):
        if message[place] & 7 != _DELIMITED:
            raise ValueError(f'field of wire type {message[place] & 7} where 2 is needed')
        length, place = _varint(message, place + 1)
        if place + length > len(message):
            raise ValueError(f'field of {length} bytes in a message of {len(message)}')
        yield message[place : place + length]
        place += length


def _packed(feature: np.ndarray) -> Iterator[np.ndarray]:
    return (part for values in _fields(feature) for part in _fields(values))


def _varint(message: np.ndarray, place: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, least first, and the place after it."""
    value = shift = 0
    while True:
        byte = int(message[place])
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _varints(packed: np.ndarray) -> np.ndarray:
    """All integers of a row of them: the fast path of `_varint`, int64 [N]."""
    ends = np.flatnonzero(packed < 128)
    starts = np.concatenate([[0], ends[:-1] + 1])
    values = np.zeros(len(ends), np.int64)
    for k in range(int((ends - starts).max()) + 1):
        longer = np.flatnonzero(starts + k <= ends)
        values[longer] |= (packed[starts[longer] + k] & 127).astype(np.int64) << (7 * k)
    return values
