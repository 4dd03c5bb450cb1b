"""Reading files of data sets; what cannot be used is an error that names the file."""

from __future__ import annotations

from pathlib import Path
import re

import cv2
import numpy as np
from PIL import Image


class DataSetError(ValueError):
    """A file or folder of a data set that cannot be used; the message names it."""


def require_folder(path: Path, content: str) -> Path:
    """The folder, or DataSetError that says what should be in it."""
    if not path.is_dir():
        raise DataSetError(f'{path} is no folder; {content} should be there')
    return path


def frame_runs(folder: Path, name: str) -> list[range]:
    """Runs of consecutive numbers of the files called like `frame_%04d.png` in a folder.

    Raises DataSetError when there is none.
    """
    head, tail = re.split(r'%0\d+d', name)
    pattern = re.compile(re.escape(head) + r'(\d+)' + re.escape(tail))
    matches = [pattern.fullmatch(path.name) for path in require_folder(folder, name).iterdir()]
    runs: list[range] = []
    for number in sorted(int(match[1]) for match in matches if match):
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    if not runs:
        raise DataSetError(f'{folder} holds no {name}; extract the data set again')
    return runs


def frame_numbers(folder: Path, name: str) -> range:
    """Numbers of the files called like `frame_%04d.png`; DataSetError when one is missing."""
    runs = frame_runs(folder, name)
    if len(runs) > 1:
        raise DataSetError(
            f'{folder / (name % runs[0].stop)} is missing, though there are files up to '
            f'{runs[-1].stop - 1}; extract the data set again'
        )
    return runs[0]


def folders(parent: Path, content: str) -> list[Path]:
    """The folders in a folder, sorted; DataSetError when there is none."""
    found = sorted(p for p in require_folder(parent, content).iterdir() if p.is_dir())
    if not found:
        raise DataSetError(f'{parent} holds no folder; {content} should be there')
    return found


def require_folders(root: Path, pattern: str, remedy: str) -> list[Path]:
    """The folders below root that match a pattern, sorted; DataSetError when there is none."""
    found = sorted(p for p in require_folder(root, pattern).glob(pattern) if p.is_dir())
    if not found:
        raise DataSetError(f'{root} holds no folder {pattern}; {remedy}')
    return found


def read_bytes(path: Path) -> bytes:
    """All of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataSetError(f'cannot read {path}: {error.strerror}') from error


def read_rgb(path: Path) -> np.ndarray:
    """An image file of 8 bits as uint8 [H, W, 3] RGB."""
    return decode_rgb(read_bytes(path), str(path))


def decode_rgb(data: bytes, origin: str) -> np.ndarray:
    """The bytes of an image file as uint8 [H, W, 3] RGB; `origin` is named in errors."""
    return np.ascontiguousarray(_decoded(data, origin, cv2.IMREAD_COLOR)[..., ::-1])


def read_png(path: Path, dtype: type, channels: int = 1) -> np.ndarray:
    """A PNG as it is: [H, W], or [H, W, channels] in the file's order (R, G, B)."""
    values = _decoded(read_bytes(path), str(path), cv2.IMREAD_UNCHANGED)
    found = 1 if values.ndim == 2 else values.shape[2]
    if values.dtype != dtype or found != channels:
        raise DataSetError(
            f'{path} holds {found} channels of {values.dtype}, not {channels} of '
            f'{np.dtype(dtype)}; it is another kind of file than its place says'
        )
    return values if channels == 1 else np.ascontiguousarray(values[..., ::-1])


def read_palette(path: Path) -> np.ndarray:
    """Indices uint8 [H, W] of a PNG with a palette, or the values of a grey one."""
    try:
        with Image.open(path) as image:
            indices = np.array(image)
    except OSError as error:
        raise DataSetError(f'cannot read {path}: {error}') from error
    if indices.ndim != 2:
        raise DataSetError(f'{path} has {indices.shape[2]} channels; it needs a palette')
    return indices


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file."""
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataSetError(f'cannot read {path}: {error.strerror or error}') from error
    except (EOFError, ValueError) as error:
        raise DataSetError(f'{path} is no whole .npy file: {error}') from error


def read_table(path: Path, columns: int, skip: int = 0) -> np.ndarray:
    """Rows of numbers of a text file, float64 [N, columns]; `#` starts a comment.

    skip: lines of a header
    """
    lines = read_bytes(path).decode('utf-8', errors='replace').splitlines()[skip:]
    rows = [line.split('#')[0].split() for line in lines]
    rows = [row for row in rows if row]
    try:
        table = np.array(rows, dtype=float).reshape(len(rows), -1)
    except ValueError as error:
        raise DataSetError(f'{path} is no table of numbers: {error}') from error
    if not rows or table.shape[1] != columns:
        raise DataSetError(f'{path} holds a table of {table.shape}; {columns} columns are needed')
    return table


def read_rows(path: Path, columns: int, frames: int) -> np.ndarray:
    """A table with one row for every frame, float64 [frames, columns]."""
    table = read_table(path, columns)
    if len(table) != frames:
        raise DataSetError(f'{path} has {len(table)} rows for {frames} images; extract both again')
    return table


def require_size(path: Path, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The values [h, w, ...] of a file, or DataSetError when they are not of size (h, w)."""
    if values.shape[:2] != size:
        raise DataSetError(
            f'{path} is {values.shape[1]} x {values.shape[0]}, not {size[1]} x {size[0]} as its '
            'image is; take both from the same release of the data set'
        )
    return values


def _decoded(data: bytes, origin: str, mode: int) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if values is None:
        raise DataSetError(f'{origin} is no image that can be decoded; it may be cut short')
    return values
