"""One recording in TUM's layout: stamped colour and depth images, and a trajectory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import functools
from pathlib import Path

from fourd_perception.datasets.dataset import Recording
from fourd_perception.datasets.files import read_rgb, require_size
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.datasets.sensor_depth import read_sensor_depth
from fourd_perception.datasets.stamped_files import associate, read_stamped_files, Trajectory
from fourd_perception.datasets.undistortion import Lens
from fourd_perception.geometry.clips import STATIC
import numpy as np

_PER_METRE = 5000.0
_SIZE = 480, 640


@dataclass(frozen=True, eq=False)
class RgbdSequence:
    """A folder with rgb.txt, depth.txt, groundtruth.txt and the images that they list.

    Every colour image is an instant. Its depth is the one that greedy association gives it,
    within 0.02 s; its pose is told by `Trajectory`; both are unknown where there is none.

    world_from_camera: from the pose in groundtruth.txt [4, 4] to that of the colour camera
    still:             nothing in the recording moves but the camera
    """

    folder: Path
    lens: Lens
    still: bool
    world_from_camera: Callable[[np.ndarray], np.ndarray]

    def recording(self) -> Recording:
        """The sequence as a recording; reads the three lists."""
        return Recording(self.folder.name, 1, len(self._images[0]), self.read)

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of a colour image; there is one view."""
        stamps, images = self._images
        image = require_size(images[instant], read_rgb(images[instant]), _SIZE)
        pose = self._trajectory.pose(stamps[instant])
        return RawFrame(
            image=self.lens.image(image),
            seconds=stamps[instant],
            intrinsics=self.lens.intrinsics,
            world_from_camera=None if pose is None else self.world_from_camera(pose),
            depth=self._depth(instant),
            dynamic=np.full(_SIZE, STATIC, np.uint8) if self.still else None,
        )

    def _depth(self, instant: int) -> np.ndarray | None:
        path = self._depth_files.get(instant)
        if path is None:
            return None
        depth = read_sensor_depth(path, _PER_METRE)
        return self.lens.depth(require_size(path, depth, _SIZE))

    @functools.cached_property
    def _images(self) -> tuple[np.ndarray, tuple[Path, ...]]:
        return read_stamped_files(self.folder / 'rgb.txt')

    @functools.cached_property
    def _depth_files(self) -> dict[int, Path]:
        """Depth file by number of the colour image."""
        stamps, files = read_stamped_files(self.folder / 'depth.txt')
        return {int(i): files[j] for i, j in associate(self._images[0], stamps)}

    @functools.cached_property
    def _trajectory(self) -> Trajectory:
        return Trajectory.read(self.folder / 'groundtruth.txt')
