"""One image of one camera, and the frames of one instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NANOSECONDS = 1_000_000_000  # in a second


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One undecoded image.

    camera:  name of the camera, as in the parameter `cameras`
    stamp:   acquisition time, integer nanoseconds, copied from the message
    payload: whatever the decoder of the engine understands (a message, raw bytes, an array);
             the grid never looks inside
    """

    camera: str
    stamp: int
    payload: Any


@dataclass(frozen=True, slots=True, eq=False)
class TimeSlice:
    """The frames of one instant: one place per camera, missing ones `None`.

    cameras:   all cameras of the rig, in the order of the parameter `cameras`
    frames:    parallel to `cameras`
    reference: the camera that opened the slice; always present
    """

    cameras: tuple[str, ...]
    frames: tuple[Frame | None, ...]
    reference: str

    def __post_init__(self) -> None:
        if len(self.cameras) != len(self.frames):
            raise ValueError(
                f'a time slice of {len(self.cameras)} cameras needs as many places, '
                f'not {len(self.frames)}; put None where a camera has no frame'
            )
        if self.frame(self.reference) is None:
            raise ValueError(
                f'the reference camera {self.reference!r} has no frame in its own slice; '
                'name a camera that is present'
            )

    @property
    def stamp(self) -> int:
        """Stamp of the reference camera's frame, nanoseconds."""
        frame = self.frame(self.reference)
        assert frame is not None
        return frame.stamp

    @property
    def spread(self) -> int:
        """Newest minus oldest stamp of the slice, nanoseconds."""
        stamps = [frame.stamp for frame in self]
        return max(stamps) - min(stamps)

    def frame(self, camera: str) -> Frame | None:
        """The frame of one camera, or None where it is missing or unknown."""
        for name, frame in zip(self.cameras, self.frames):
            if name == camera:
                return frame
        return None

    def __iter__(self) -> Iterator[Frame]:
        """The present frames, in camera order."""
        return (frame for frame in self.frames if frame is not None)

    def __len__(self) -> int:
        """Number of present frames."""
        return sum(frame is not None for frame in self.frames)

    def without(self, cameras: set[str]) -> TimeSlice | None:
        """The same slice with some frames taken out; None when nothing is left.

        When the reference goes, the first present camera takes its role.
        """
        frames = tuple(
            None if frame is None or frame.camera in cameras else frame for frame in self.frames
        )
        left = [frame.camera for frame in frames if frame is not None]
        if not left:
            return None
        reference = self.reference if self.reference in left else left[0]
        return TimeSlice(self.cameras, frames, reference)
