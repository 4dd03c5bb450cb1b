"""The .sens container of ScanNet: one scan's calibration, colour and depth images and poses."""

from __future__ import annotations

from dataclasses import dataclass
import functools
from pathlib import Path
import struct
from typing import BinaryIO
import zlib

from fourd_perception.datasets.files import DataSetError, decode_rgb, require_size
from fourd_perception.datasets.sensor_depth import sensor_depth
import numpy as np

_VERSION = 4
# Codes of compression in the header; ScanNet itself is jpeg and zlib.
_COLOUR_CODES = {1: 'png', 2: 'jpeg'}
_RAW_DEPTH, _ZLIB_DEPTH = 0, 1
# camera_to_world, stamps of colour and depth in microseconds, bytes of colour and depth.
_FRAME = struct.Struct('<16f4Q')


@dataclass(frozen=True)
class SensFrame:
    """One frame as stored.

    image: uint8 [H, W, 3] RGB; depth: float32 [h, w] metres, NaN where nothing was measured
    world_from_camera: float64 [4, 4], not finite where tracking was lost
    microseconds: of the colour image, 0 where the recorder had no clock
    """

    image: np.ndarray
    depth: np.ndarray
    world_from_camera: np.ndarray
    microseconds: int


@dataclass(frozen=True, eq=False)
class SensFile:
    """The header of a .sens file and access to its frames.

    Raises DataSetError naming the file for another format and for one that is cut short.
    """

    path: Path

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self._header.frames

    @property
    def colour_intrinsics(self) -> np.ndarray:
        """float64 [3, 3] of the colour images."""
        return self._header.matrices[0][:3, :3]

    @property
    def depth_intrinsics(self) -> np.ndarray:
        """float64 [3, 3] of the depth images."""
        return self._header.matrices[2][:3, :3]

    @property
    def colour_from_depth(self) -> np.ndarray:
        """float64 [4, 4], from the two extrinsics of the header."""
        colour, depth = self._header.matrices[1], self._header.matrices[3]
        return np.linalg.inv(colour) @ depth

    def frame(self, number: int) -> SensFrame:
        """Frame `number`, 0 <= number < frames."""
        header = self._header
        with self._open() as file:
            file.seek(self._offsets[number])
            values = _FRAME.unpack(self._read(file, _FRAME.size))
            colour = self._read(file, values[18])
            depth = self._read(file, values[19])
        image = decode_rgb(colour, f'the colour image of frame {number} in {self.path}')
        return SensFrame(
            image=require_size(self.path, image, header.colour_size),
            depth=self._depth(depth, number),
            world_from_camera=np.array(values[:16]).reshape(4, 4),
            microseconds=values[16],
        )

    def _depth(self, data: bytes, number: int) -> np.ndarray:
        header = self._header
        try:
            raw = zlib.decompress(data) if header.depth_code == _ZLIB_DEPTH else data
            values = np.frombuffer(raw, '<u2').reshape(header.depth_size)
        except (zlib.error, ValueError) as error:
            raise DataSetError(
                f'{self.path} holds no depth image of its size at frame {number}: {error}'
            ) from error
        return sensor_depth(values, header.per_metre)

    @functools.cached_property
    def _header(self) -> _Header:
        with self._open() as file:
            (version,) = struct.unpack('<I', self._read(file, 4))
            if version != _VERSION:
                raise DataSetError(
                    f'{self.path} is no .sens file of version {_VERSION} (found {version})'
                )
            (length,) = struct.unpack('<Q', self._read(file, 8))
            self._read(file, length)
            numbers = struct.unpack('<64f', self._read(file, 256))
            codes = struct.unpack('<ii4If', self._read(file, 28))
            (frames,) = struct.unpack('<Q', self._read(file, 8))
            start = file.tell()
        colour_code, depth_code, width, height, depth_width, depth_height, per_metre = codes
        if colour_code not in _COLOUR_CODES or depth_code not in (_RAW_DEPTH, _ZLIB_DEPTH):
            raise DataSetError(
                f'{self.path} is compressed by codes {colour_code} (colour) and {depth_code} '
                f'(depth); {_COLOUR_CODES} and {{0: raw, 1: zlib}} can be read: export it'
            )
        matrices = np.array(numbers).reshape(4, 4, 4)
        sizes = (height, width), (depth_height, depth_width)
        return _Header(matrices, *sizes, depth_code, per_metre, frames, start)

    @functools.cached_property
    def _offsets(self) -> tuple[int, ...]:
        """Where the frames start; each tells its length."""
        offsets = [self._header.start]
        with self._open() as file:
            for _ in range(self.frames):
                file.seek(offsets[-1])
                sizes = _FRAME.unpack(self._read(file, _FRAME.size))[18:]
                offsets.append(offsets[-1] + _FRAME.size + sum(sizes))
        return tuple(offsets)

    def _open(self) -> BinaryIO:
        try:
            return self.path.open('rb')
        except OSError as error:
            raise DataSetError(f'cannot read {self.path}: {error.strerror}') from error

    def _read(self, file: BinaryIO, count: int) -> bytes:
        data = file.read(count)
        if len(data) < count:
            raise DataSetError(f'{self.path} is cut short; download it again')
        return data


@dataclass(frozen=True, eq=False)
class _Header:
    """What a .sens file says before its frames.

    matrices: [4, 4, 4]: intrinsics and extrinsics of colour, then of depth
    per_metre: what depth is divided by; start: offset of the first frame
    """

    matrices: np.ndarray
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]
    depth_code: int
    per_metre: float
    frames: int
    start: int
