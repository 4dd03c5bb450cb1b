"""What the engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

OutputSize = str | tuple[int, int]
POSES = ('auto', 'head', 'solved')


def parse_output_size(text: str) -> OutputSize:
    """`network`, `input`, or WxH such as `320x240` as (width, height).

    Raises ValueError for anything else.
    """
    if text in ('network', 'input'):
        return text
    width, cross, height = text.partition('x')
    if cross and width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return int(width), int(height)
    raise ValueError(f'output size {text!r}: give network, input, or WxH such as 320x240')


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engine; names follow the parameters of the node.

    window_length:       slices in the window, at least 2
    window_min_interval: least spacing of slices taken, seconds
    window_max_gap:      a longer gap empties the window, seconds
    pixel_budget:        most pixels of one network image
    output_size:         `network`, `input`, or (width, height) of the dense outputs
    allow_unscaled:      whether depth and poses are handed out without a metric scale
    max_scale_spread:    largest relative spread at which a scale from the rig is accepted
    min_baseline_ratio:  smallest ratio of camera distance to median depth that fixes a scale
    pose:                where motions come from: `head` (predicted poses), `solved` (depth and
                         flow), or `auto`: what suits the predictor
    device:              torch device of the predictor and of the dense work
    """

    window_length: int = 4
    window_min_interval: float = 0.0
    window_max_gap: float = 1.0
    pixel_budget: int = 37_632
    output_size: OutputSize = 'network'
    allow_unscaled: bool = False
    max_scale_spread: float = 0.05
    min_baseline_ratio: float = 0.10
    pose: str = 'auto'
    device: str = 'cpu'

    def __post_init__(self) -> None:
        if self.window_length < 2:
            raise ValueError(
                f'window.length {self.window_length}: flow, masks and a continuous world need '
                'at least 2 slices'
            )
        if self.pose not in POSES:
            raise ValueError(f'pose {self.pose!r} is not one of {", ".join(POSES)}')
        if isinstance(self.output_size, str):
            parse_output_size(self.output_size)
