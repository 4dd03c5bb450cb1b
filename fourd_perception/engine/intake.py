"""The way in: a time slice decoded, put into the window, and made tensors of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fourd_perception.engine.camera_update import Pictures
from fourd_perception.engine.cells import CellStore
from fourd_perception.engine.network_size import network_size, Size
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.engine.timings import StageTimes
from fourd_perception.geometry.cameras import CameraModel, Rig
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.visual_grid import VisualGrid
from fourd_perception.grid.window import SlidingWindow
from fourd_perception.model.prediction import GridTensors
import numpy as np

Faults = tuple[tuple[Frame, str], ...]
Decode = Callable[[Frame], np.ndarray]


class UnusableSlice(ValueError):
    """No frame of a slice could be read; `faults` holds each with the reason."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        super().__init__('; '.join(f'{frame.camera}: {reason}' for frame, reason in faults))


@dataclass(frozen=True, eq=False)
class Taken:
    """What the window holds after one more slice.

    grid:     its newest slice is without frames that could not be read
    tensors:  the grid as the predictor reads it
    rigs:     what was known of the cameras at each time
    cameras:  the newest calibration by name; without intrinsics where there is none
    pictures: of the newest slice, by camera
    faults:   frames that could not be read
    """

    grid: VisualGrid
    tensors: GridTensors
    rigs: tuple[Rig, ...]
    cameras: Mapping[str, CameraModel]
    pictures: Mapping[str, Pictures]
    faults: Faults

    @property
    def slice(self) -> TimeSlice:
        """The newest slice."""
        return self.grid.slices[-1]


class Intake:
    """Keeps the window, and every frame in it at network size, made once when it was new.

    The network's size follows from the sizes of all cameras heard of so far. It changes only when
    one more turns up or one changes its size; then the frames in the window are decoded again.
    """

    def __init__(self, settings: EngineSettings, patch: int, decode: Decode) -> None:
        self.window = SlidingWindow(
            settings.window_length, settings.window_min_interval, settings.window_max_gap
        )
        self._settings = settings
        self._patch = patch
        self._decode = decode
        self._rigs: tuple[Rig, ...] = ()
        self._sizes: dict[str, Size] = {}
        self._cells: CellStore | None = None

    def take(self, time_slice: TimeSlice, rig: Rig, times: StageTimes) -> Taken:
        """Decode the slice and put it into the window; UnusableSlice when nothing can be read."""
        with times.stage('decode'):
            images, faults = self._read(time_slice, rig)
        usable = time_slice.without({frame.camera for frame, _ in faults})
        if usable is None:
            raise UnusableSlice(faults)
        with times.stage('resize'):
            cells = self._store(self._sizes | _sizes(rig, images))
            grid = self.window.push(usable)
            self._rigs = (*self._rigs, rig)[-grid.shape[1] :]
            self._fill(cells, grid, images)
            cameras = {
                name: rig.cameras.get(name) or CameraModel(name, *size, intrinsics=None)
                for name, size in self._sizes.items()
            }
            tensors = cells.tensors(grid, cameras)
        pictures = {
            frame.camera: Pictures(images[frame.camera], cells[frame].image) for frame in usable
        }
        return Taken(grid, tensors, self._rigs, cameras, pictures, faults)

    def _read(self, time_slice: TimeSlice, rig: Rig) -> tuple[dict[str, np.ndarray], Faults]:
        images, faults = {}, []
        for frame in time_slice:
            try:
                image = self._decode(frame)
                _check_size(image, rig.cameras.get(frame.camera))
                images[frame.camera] = image
            except ValueError as error:
                faults.append((frame, str(error)))
        return images, tuple(faults)

    def _store(self, sizes: dict[str, Size]) -> CellStore:
        """The store for cameras of these sizes; a new, empty one where they ask for it."""
        if self._cells is not None and sizes == self._sizes:
            return self._cells
        if any(sizes[name] != size for name, size in self._sizes.items()):
            self.window.clear()
        self._sizes = sizes
        size = network_size(sizes.values(), self._patch, self._settings.pixel_budget)
        if self._cells is None or self._cells.size != size:
            self._cells = CellStore(size, self._settings.device)
        return self._cells

    def _fill(self, cells: CellStore, grid: VisualGrid, images: Mapping[str, np.ndarray]) -> None:
        """Put exactly the frames of the grid into the store; `images` are those of the newest."""
        for time_slice in grid.slices:
            is_newest = time_slice is grid.slices[-1]
            for frame in time_slice:
                if frame not in cells:
                    cells.add(frame, images[frame.camera] if is_newest else self._decode(frame))
        cells.keep_only([frame for time_slice in grid.slices for frame in time_slice])


def _sizes(rig: Rig, images: Mapping[str, np.ndarray]) -> dict[str, Size]:
    calibrated = {name: (camera.width, camera.height) for name, camera in rig.cameras.items()}
    seen = {name: (image.shape[1], image.shape[0]) for name, image in images.items()}
    return calibrated | seen


def _check_size(image: np.ndarray, camera: CameraModel | None) -> None:
    height, width = image.shape[:2]
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise ValueError(
            f'the image is {width}x{height} pixels, its CameraInfo is for '
            f'{camera.width}x{camera.height}; publish the one that belongs to the image'
        )
