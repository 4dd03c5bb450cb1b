"""What may be asked of the generator."""

from __future__ import annotations

from dataclasses import dataclass

SETTINGS = ('mixed', 'hand_held', 'rig', 'still', 'street')


@dataclass(frozen=True)
class SceneSpec:
    """Kind and size of clips.

    size:     (height, width) in pixels, multiples of 16
    views:    cameras of the rig, 1 to 8
    instants: slices of the clip
    setting:  one of `SETTINGS`
    movers:   False: nothing moves but the cameras
    held_out: things and textures are of the families that are kept out of training, which else
              never appear; places, grain and clouds are those of training
    tracks:   points that are followed through the clip
    """

    size: tuple[int, int] = (96, 128)
    views: int = 1
    instants: int = 8
    setting: str = 'mixed'
    movers: bool = True
    held_out: bool = False
    tracks: int = 0

    def __post_init__(self) -> None:
        if min(self.size) < 16 or any(n % 16 for n in self.size):
            raise ValueError(f'size {self.size}: height and width must be multiples of 16')
        if not 1 <= self.views <= 8:
            raise ValueError(f'{self.views} views; a rig has 1 to 8 cameras')
        if self.instants < 1:
            raise ValueError(f'{self.instants} instants; a clip has 1 or more')
        if self.setting not in SETTINGS:
            raise ValueError(f'setting {self.setting!r} is unknown; take one of {SETTINGS}')
        if self.tracks < 0:
            raise ValueError(f'{self.tracks} tracks; take 0 or more')
