"""Refinement of disturbed true masks, with true geometry and with noise on the depth.

`python test/motion/refinement_table.py` prints the table of docs/motion.md.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
import sys

import cv2
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.motion.refine_paper import refine_paper
from fourd_perception.motion.refine_released import refine_released, refine_robust
from fourd_perception.motion.refinement_clip import RefinementClip
from fourd_perception.synthetic.recording import make_recording
import numpy as np
import torch

VARIANTS = {'released': refine_released, 'paper': refine_paper, 'robust': refine_robust}
WIDTH, HEIGHT = 160, 120
FARTHEST = 60.0  # metres, for the sky


@cache
def disturbed_clip(
    seed: int, kind: str = 'room', cameras: int = 1, noise: float = 0.0, instants: int = 8
) -> tuple[RefinementClip, torch.Tensor]:
    """A clip with five instants a second; coarse masks: dilated truth, two ellipses.

    noise: relative deviation of the depth, smooth over a few pixels. Returns the true mask too.
    """
    recording = make_recording(kind=kind, cameras=4, seconds=3.0, rate=10.0, seed=seed)
    names, indices = list(recording.cameras)[:cameras], range(0, 2 * instants, 2)
    cells = [(view, name, i) for i in indices for view, name in enumerate(names)]
    images, depth, moving, poses, intrinsics = [], [], [], [], []
    for _, name, i in cells:
        stamps = recording.stamps(name)
        camera = recording.cameras[name].resized(WIDTH, HEIGHT)
        image = recording.image(name, stamps[i])
        images.append(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
        depth.append(recording.depth(camera, stamps[i]))
        others = [stamps[j] for j in indices if j != i]
        moving.append(recording.own_motion(camera, stamps[i], others) > 1)
        poses.append(recording.world_from_camera(name, stamps[i]))
        half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        intrinsics.append(camera.intrinsics + half)
    random = np.random.default_rng(seed)
    depths = np.nan_to_num(np.array(depth), nan=FARTHEST)
    scale = np.median(depths)  # the networks' habit: depths around 1
    depths, poses = depths / scale, np.array(poses)
    poses[:, :3, 3] /= scale
    if noise:
        field = random.standard_normal(depths.shape)
        smooth = np.stack([cv2.GaussianBlur(f, (0, 0), 2) for f in field])
        depths = depths * (1 + noise * smooth / smooth.std())
    times = [i // 2 for _, _, i in cells]
    clip = RefinementClip(
        images=torch.from_numpy(np.array(images)).permute(0, 3, 1, 2) / 255,
        depth=torch.from_numpy(depths).float(),
        mask=torch.from_numpy(np.array([_disturbed(mask, random) for mask in moving])),
        world_from_camera=torch.from_numpy(poses),
        intrinsics=torch.from_numpy(np.array(intrinsics)),
        layout=CellLayout(tuple(view for view, _, _ in cells), tuple(times)),
        confidence=torch.full(depths.shape, 5.0),
    )
    return clip, torch.from_numpy(np.array(moving))


def _disturbed(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    coarse = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9)))
    for _ in range(2):
        centre = int(random.integers(20, WIDTH - 20)), int(random.integers(20, HEIGHT - 20))
        cv2.ellipse(coarse, centre, (14, 10), 0, 0, 360, 1, -1)
    return coarse > 0


def iou(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Of masks, over all frames together."""
    return float((found & wanted).sum() / (found | wanted).sum())


def main() -> None:
    """Print a Markdown table."""
    print('| scene | cameras | noise of depth | coarse | ' + ' | '.join(VARIANTS) + ' |')
    print('|---|---|---|---|' + '---|' * len(VARIANTS))
    for kind in ('room', 'street'):
        for cameras in (1, 2):
            for noise in (0.0, 0.05):
                rows = []
                for seed in (0, 1):
                    clip, truth = disturbed_clip(seed, kind, cameras, noise)
                    refined = [iou(refine(clip), truth) for refine in VARIANTS.values()]
                    rows.append([iou(clip.mask, truth), *refined])
                mean = ' | '.join(f'{value:.2f}' for value in np.mean(rows, axis=0))
                print(f'| {kind} | {cameras} | {noise:.0%} | {mean} |', flush=True)


if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
