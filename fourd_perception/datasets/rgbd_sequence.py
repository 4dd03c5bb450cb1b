"""One recording in TUM's layout: stamped colour and depth images, and a trajectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def open_rgbd_sequence(
    folder: Path,
    lens: Lens,
    still: bool = False,
    of_camera: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Recording:
    """The recording in a folder of rgb.txt, depth.txt, groundtruth.txt and the images they list.

    Every colour image is an instant. Its depth is the one that greedy association gives it,
    within 0.02 s; its pose is told by `Trajectory`; both are unknown where there is none.

    still:     nothing in the recording moves but the camera
    of_camera: from a pose in groundtruth.txt [4, 4] to the colour camera's, where they differ
    """
    stamps, images = read_stamped_files(folder / 'rgb.txt')
    depth_stamps, depths = read_stamped_files(folder / 'depth.txt')
    depth_of_image = {int(i): depths[j] for i, j in associate(stamps, depth_stamps)}
    trajectory = Trajectory.read(folder / 'groundtruth.txt')
    reader = _Reader(stamps, images, depth_of_image, trajectory, lens, still, of_camera)
    return Recording(folder.name, 1, len(images), reader.read)


@dataclass(frozen=True, eq=False)
class _Reader:
    """Colour images [N] with their stamps, depth images by number of the colour image."""

    stamps: np.ndarray
    images: tuple[Path, ...]
    depths: Mapping[int, Path]
    trajectory: Trajectory
    lens: Lens
    still: bool
    of_camera: Callable[[np.ndarray], np.ndarray] | None

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of a colour image; there is one view."""
        path = self.images[instant]
        image = require_size(path, read_rgb(path), _SIZE)
        pose = self.trajectory.pose(self.stamps[instant])
        if pose is not None and self.of_camera is not None:
            pose = self.of_camera(pose)
        return RawFrame(
            image=self.lens.image(image),
            seconds=self.stamps[instant],
            intrinsics=self.lens.intrinsics,
            world_from_camera=pose,
            depth=self._depth(instant),
            dynamic=np.full(_SIZE, STATIC, np.uint8) if self.still else None,
        )

    def _depth(self, instant: int) -> np.ndarray | None:
        path = self.depths.get(instant)
        if path is None:
            return None
        depth = read_sensor_depth(path, _PER_METRE)
        return self.lens.depth(require_size(path, depth, _SIZE))
